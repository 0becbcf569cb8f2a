// What an engineer's own requests and sessions mean for an asset.
import { speaks } from './protocols';
import type { Protocol, Request, Session } from './types';

/** My request for an asset that still leads somewhere: granted before asked, newest first. */
export function openRequest(asset: string, all: Request[]): Request | undefined {
  const open = all.filter((r) => r.asset === asset && r.kind === 'session' && (r.status === 'pending' || r.status === 'approved'));
  return open.find((r) => r.status === 'approved') ?? open[0];
}
/** My session on an asset that lives now. */
export function liveSession(asset: string, all: Session[]): Session | undefined {
  return all.find((s) => s.asset === asset && s.state !== 'ended');
}
/** Where one works on a service in a session: the page of its protocol; '' where this application has none. */
export function workplace(protocol: Protocol | '', asset: string, service: string, session: string): string {
  const place = speaks(protocol)?.place;
  return place ? `/${place}/${encodeURIComponent(asset)}/${encodeURIComponent(service)}?session=${encodeURIComponent(session)}` : '';
}
