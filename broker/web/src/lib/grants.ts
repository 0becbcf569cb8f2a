// The grant that answers a request: as asked, or less. Held against the vectors in
// session/grant/testdata/webgrant.json.
import { classes, grantDocument, grantHash, hex, newId, readGrant, readRequest, requestHash, shown, sorted, unbase64, Unfit, type GrantDoc, type RequestDoc } from './documents';
import type { Channel, Documents, ServiceClass } from './types';

type Terms = Pick<RequestDoc, 'site' | 'asset' | 'services' | 'class' | 'channels' | 'nbf' | 'exp' | 'maxs' | 'crit'>;
/** What an approver allows instead of what was asked; never more. */
export interface Less {
  maxs?: number;
  exp?: number;
  class?: ServiceClass;
  channels?: Channel[];
  nocrit?: boolean; // no critical sections
}
/** A grant that could be approved: what it says, its bytes and their hash in hex. */
export interface Draft {
  grant: GrantDoc;
  bytes: Uint8Array<ArrayBuffer>;
  hash: string;
}

function refuse(why: string): never {
  throw new Unfit(why);
}

/** Why a grant goes beyond its request; "" where it does not. */
export function beyond(g: Terms, r: Terms): string {
  const part = (a: readonly string[], b: readonly string[]) => a.every((x) => b.includes(x));
  const rank = (c: ServiceClass) => classes.indexOf(c);
  if (g.site !== r.site) return 'site';
  if (g.asset !== r.asset) return 'scanner';
  if (!part(g.services, r.services)) return 'services';
  if (rank(g.class) < 0 || rank(g.class) > rank(r.class)) return 'service class';
  if (!part(g.channels, r.channels)) return 'channels';
  if (g.nbf < r.nbf) return 'beginning';
  if (g.exp > r.exp || g.exp <= g.nbf) return 'end';
  if (g.maxs > r.maxs || g.maxs < 1) return 'session length';
  if ((g.crit ?? 0) > (r.crit ?? 0)) return 'critical section';
  return '';
}

/** Whether a grant allows less than its request asked. */
export function narrower(g: Terms, r: Terms): boolean {
  return g.maxs < r.maxs || g.exp < r.exp || g.class !== r.class || (g.crit ?? 0) < (r.crit ?? 0) || g.channels.length < r.channels.length;
}

/** Builds the grant that answers a request at an agent. Throws Refused for what goes beyond the request. */
export async function draft(requestBytes: Uint8Array, agent: string, less: Less = {}, gid = newId()): Promise<Draft> {
  const r = readRequest(requestBytes);
  const channels = sorted(less.channels ?? r.channels);
  const g: GrantDoc = {
    gid, req: hex(await requestHash(requestBytes)), site: r.site, agent, asset: r.asset, services: r.services, class: less.class ?? r.class, channels,
    nbf: r.nbf, exp: less.exp ?? r.exp, maxs: less.maxs ?? r.maxs, obl: ['record'],
  };
  if (r.crit && g.class === 'disruptive' && !less.nocrit) g.crit = r.crit;
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(agent)) refuse("The hospital's agent is not known here, so no grant can name it.");
  if (channels.length === 0) refuse('A grant without any channel opens nothing. Leave one, or decline.');
  const wider = beyond(g, r);
  if (wider) refuse(`The grant's ${wider} goes beyond what the engineer asked for.`);
  if (narrower(g, r) && r.kind === 'extension') refuse('An extension is approved as it was asked, or declined.');
  const bytes = grantDocument({
    id: gid, request: g.req, site: g.site, agent, asset: g.asset, services: g.services, class: g.class, channels, from: g.nbf, until: g.exp, longest: g.maxs, critical: g.crit,
  });
  return { grant: g, bytes, hash: hex(await grantHash(bytes)) };
}

/** The grant that somebody approved before: checked to answer this request at this agent, and to go nowhere beyond it. */
export async function pinned(grantBytes: Uint8Array<ArrayBuffer>, requestBytes: Uint8Array, agent: string): Promise<Draft> {
  const g = readGrant(grantBytes);
  const fits = g.req === hex(await requestHash(requestBytes)) && g.agent === agent && g.obl.includes('record');
  if (!fits || beyond(g, readRequest(requestBytes))) refuse('The grant that was approved before is not for this request. Do not approve it. Tell your security contact.');
  return { grant: g, bytes: grantBytes, hash: hex(await grantHash(grantBytes)) };
}

/** Reads what the broker holds of a request and checks that it is the one that was asked for. */
export function requestOf(d: Documents, id: string): { bytes: Uint8Array<ArrayBuffer>; doc: RequestDoc } {
  const bytes = unbase64(d.request);
  const doc = readRequest(bytes);
  if (shown('R', doc.rid) !== id) refuse(`The broker handed out another request than ${id}. Do not approve it. Tell your security contact.`);
  return { bytes, doc };
}
