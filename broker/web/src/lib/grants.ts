// The grant that answers a request, byte for byte as session/grant writes it: as asked,
// or less. Held against the vectors in session/grant/testdata/webgrant.json.
import { post } from './api';
import type { Channel, Documents, ProofStart, ServiceClass } from './types';

interface Terms {
  site: string;
  asset: string;
  services: string[];
  class: ServiceClass;
  channels: Channel[];
  nbf: number; // Unix seconds
  exp: number; // Unix seconds
  maxs: number; // seconds
}
export interface RequestDoc extends Terms {
  rid: string;
  kind: 'session' | 'extension' | 'handover';
  parent: string;
  eng: { iss: string; sub: string };
  key: string;
  reason: string;
  ref: string;
}
export interface GrantDoc extends Terms {
  gid: string;
  req: string; // hex of the request's hash
  agent: string;
  obl: string[];
}
/** What an approver allows instead of what was asked; never more. */
export interface Less {
  maxs?: number;
  exp?: number;
  class?: ServiceClass;
  channels?: Channel[];
}
/** A grant that could be approved: what it says, its bytes and their hash in hex. */
export interface Draft {
  grant: GrantDoc;
  bytes: Uint8Array<ArrayBuffer>;
  hash: string;
}
/** Something that must not be approved, in plain words. */
export class Refused extends Error {}

export const classes: ServiceClass[] = ['observe', 'non-disruptive', 'disruptive'];
const utf8 = new TextEncoder();

/** Reads a request's exact bytes; whatever session/grant would not have written is refused. */
export function readRequest(bytes: Uint8Array): RequestDoc {
  const d = parsed<RequestDoc>(bytes);
  const again = {
    v: 1, typ: 'sallyport-request', rid: d.rid, kind: d.kind, parent: d.parent, site: d.site, asset: d.asset, services: d.services, class: d.class,
    channels: d.channels, nbf: d.nbf, exp: d.exp, maxs: d.maxs, eng: { iss: d.eng?.iss, sub: d.eng?.sub }, key: d.key, reason: d.reason, ref: d.ref,
  };
  return same(again, bytes) ? d : refuse('The request is not written as it must be. Do not approve it.');
}

/** Reads a grant's exact bytes, as strictly. */
export function readGrant(bytes: Uint8Array): GrantDoc {
  const d = parsed<GrantDoc>(bytes);
  return same(spelt(d), bytes) ? d : refuse('The grant is not written as it must be. Do not approve it.');
}

/** The exact bytes of a grant. */
export function writeGrant(g: GrantDoc): Uint8Array<ArrayBuffer> {
  return utf8.encode(JSON.stringify(spelt(g)));
}

const spelt = (g: GrantDoc) => ({
  v: 1, typ: 'sallyport-grant', gid: g.gid, req: g.req, site: g.site, agent: g.agent, asset: g.asset, services: g.services, class: g.class,
  channels: g.channels, nbf: g.nbf, exp: g.exp, maxs: g.maxs, obl: g.obl,
});

function parsed<T>(bytes: Uint8Array): T {
  try {
    const d: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    if (bytes.length <= 4096 && typeof d === 'object' && d !== null) return d as T;
  } catch {
    // said below
  }
  return refuse('The document cannot be read. Do not approve it.');
}
function same(doc: object, bytes: Uint8Array): boolean {
  const again = utf8.encode(JSON.stringify(doc));
  return again.length === bytes.length && again.every((x, i) => x === bytes[i]);
}
function refuse(why: string): never {
  throw new Refused(why);
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
  return '';
}

/** Whether a grant allows less than its request asked. */
export function narrower(g: Terms, r: Terms): boolean {
  return g.maxs < r.maxs || g.exp < r.exp || g.class !== r.class || g.channels.length < r.channels.length;
}

/** Builds the grant that answers a request at an agent. Throws Refused for what goes beyond the request. */
export async function draft(requestBytes: Uint8Array, agent: string, less: Less = {}, gid = newId()): Promise<Draft> {
  const r = readRequest(requestBytes);
  const channels = [...new Set(less.channels ?? r.channels)].sort();
  const g: GrantDoc = {
    gid, req: hex(await requestHash(requestBytes)), site: r.site, agent, asset: r.asset, services: r.services, class: less.class ?? r.class, channels,
    nbf: r.nbf, exp: less.exp ?? r.exp, maxs: less.maxs ?? r.maxs, obl: ['record'],
  };
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(agent)) refuse("The hospital's agent is not known here, so no grant can name it.");
  if (channels.length === 0) refuse('A grant without any channel opens nothing. Leave one, or decline.');
  const wider = beyond(g, r);
  if (wider) refuse(`The grant's ${wider} goes beyond what the engineer asked for.`);
  if (narrower(g, r) && r.kind === 'extension') refuse('An extension is approved as it was asked, or declined.');
  const bytes = writeGrant(g);
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

/** Leaves for the hospital's sign-in, whose answer covers exactly these bytes. Comes back at /done/FLOW. */
export async function approve(id: string, grantBytes: Uint8Array, requestToken: string): Promise<void> {
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const body: ProofStart = {
    role: 'approve', id, document: base64(grantBytes), salt: base64(salt), nonce: await approveNonce(grantBytes, requestToken, salt), popup: false,
  };
  const { url } = await post<{ url: string }>('/auth/proofs', body);
  location.assign(url);
}

// Hashes, the nonce, ids.

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}
export const requestHash = (doc: Uint8Array) => sha256(utf8.encode('sallyport/request/v1\0'), doc);
export const grantHash = (doc: Uint8Array) => sha256(utf8.encode('sallyport/grant/v1\0'), doc);

/** Binds an approver's sign-in to a grant and to the engineer's token. */
export async function approveNonce(grantBytes: Uint8Array, requestToken: string, salt: Uint8Array): Promise<string> {
  if (salt.length !== 32) refuse('A salt has 32 bytes.');
  const extra = await sha256(utf8.encode(requestToken));
  return base64url(await sha256(utf8.encode('sallyport/v1/approve\0'), await grantHash(grantBytes), extra, salt));
}

function newId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)));
}
/** The form of an id that people see: shown('R', rid). */
export function shown(letter: 'R' | 'S' | 'V', text: string): string {
  const digits = 'abcdefghijklmnopqrstuvwxyz234567';
  let bits = 0;
  let left = 0;
  let out = '';
  for (const b of unbase64(text)) {
    bits = (bits << 8) | b;
    left += 8;
    while (left >= 5) out += digits[(bits >> (left -= 5)) & 31];
    bits &= 31;
  }
  return `${letter}-${out}${left > 0 ? digits[(bits << (5 - left)) & 31] : ''}`;
}
export function base64(b: Uint8Array): string {
  return btoa(Array.from(b, (x) => String.fromCharCode(x)).join(''));
}
function base64url(b: Uint8Array): string {
  return base64(b).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
/** Reads both spellings. */
export function unbase64(s: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(s.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}
export function hex(b: Uint8Array): string {
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}
