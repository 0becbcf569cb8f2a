// What an engineer's own requests and sessions mean for an asset, and where a scanner's
// pages are. Two hospitals may call their scanners alike: a name counts with its site.
import { api, get } from './api';
import { speaks } from './protocols';
import type { Asset, Protocol, Request, Session } from './types';

/** What bears a scanner's name. */
type Named = { site: string; asset: string };

/** A scanner's full name, or that of one of its services. */
export function full(x: Named | Asset, service = ''): string {
  return `${x.site}/${'asset' in x ? x.asset : x.name}` + (service && '/' + service);
}
/** The scanner of a name; undefined where it is not in the catalogue, or not for this person. */
export async function scanner(of: Named, signal?: AbortSignal): Promise<Asset | undefined> {
  return (await get<Asset[]>(api`/assets?site=${of.site}&name=${of.asset}`, signal)).find((a) => full(a) === full(of));
}
/** My request for an asset that still leads somewhere: granted before asked, newest first. */
export function openRequest(asset: Asset, all: Request[]): Request | undefined {
  const open = all.filter((r) => full(r) === full(asset) && r.kind === 'session' && (r.status === 'pending' || r.status === 'approved'));
  return open.find((r) => r.status === 'approved') ?? open[0];
}
/** My session on an asset that lives now. */
export function liveSession(asset: Asset, all: Session[]): Session | undefined {
  return all.find((s) => full(s) === full(asset) && (s.state === 'live' || s.state === 'frozen'));
}
/** The page on which to ask for a scanner. */
export function asking(x: Named | Asset): string {
  return '/assets/' + full(x).split('/').map(encodeURIComponent).join('/');
}
/** Where one works on a service in a session: the page of its protocol; '' where this application has none. */
export function workplace(protocol: Protocol | '', x: Named | Asset, service: string, session: string): string {
  const place = speaks(protocol)?.place;
  return place ? `/${place}/${full(x).split('/').map(encodeURIComponent).join('/')}/${encodeURIComponent(service)}?session=${encodeURIComponent(session)}` : '';
}
