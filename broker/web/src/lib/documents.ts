// The two documents and the nonces that bind sign-ins to them, byte for byte as
// session/grant writes them: the agent at the hospital hashes exactly these bytes.
// Nothing here needs a page, so that a test can hold it against the vectors in
// session/grant/testdata/web.json.
import type { Channel, ServiceClass } from './types';

export const maxDocument = 4096;
export const maxReason = 1000; // bytes
export const maxWorkOrder = 64; // bytes
/** How far ahead a window may begin for its request to bring a key, in seconds. */
export const keyReach = 3600;
/** How far ahead a window may begin at all, in seconds. */
export const farthest = 30 * 86400;

export const channels: Channel[] = ['clipboard-in', 'clipboard-out', 'control', 'exec', 'files-in', 'files-out', 'shell'];
export const classes: ServiceClass[] = ['observe', 'non-disruptive', 'disruptive'];

/** A document that must not be made or approved, and what to do about it. */
export class Unfit extends Error {}

interface Terms {
  site: string;
  asset: string;
  services: string[];
  class: ServiceClass;
  channels: Channel[];
  from: number; // Unix seconds
  until: number; // Unix seconds
  longest: number; // seconds
  critical?: number; // seconds of critical sections in all; 0 and none are one
}
export interface RequestTerms extends Terms {
  id?: string; // rid; drawn where it is not given
  kind: 'session' | 'extension';
  parent: string; // the gid of the session to extend, or ""
  engineer: { iss: string; sub: string };
  key: string; // key line, "" where the window begins more than an hour ahead
  reason: string;
  workOrder: string;
}
export interface GrantTerms extends Terms {
  id?: string; // gid
  request: string; // hex of the request's hash
  agent: string; // SHA256:... of the agent's identity key
  obligations?: ('consent' | 'hold-files' | 'record' | 'view-only')[];
}

const utf8 = new TextEncoder();

// Control characters, line and paragraph separators, marks that turn the reading
// direction, byte order marks and invisible tags: what people cannot be shown as it is.
const deceptive = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u;
// A surrogate alone is not a character.
const lone = /\p{Surrogate}/u;

/** Whether everybody can be shown a text as it is: bounded, no control characters, nothing that turns the reading direction. */
export function plain(text: string, least: number, most: number): boolean {
  if (lone.test(text) || deceptive.test(text)) return false;
  const n = utf8.encode(text).length;
  return n >= least && n <= most;
}

const name = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/;
const need = (holds: boolean, what: string) => {
  if (!holds) throw new Unfit(what);
};

function ascending(list: readonly string[]): boolean {
  return list.length <= 32 && list.every((x, i) => i === 0 || list[i - 1]! < x);
}

/** Sorted by bytes, each once. */
export function sorted<T extends string>(list: readonly T[]): T[] {
  return [...new Set(list)].sort((a, b) => (a < b ? -1 : 1));
}

function checkTerms(t: Terms): void {
  need(name.test(t.site) && name.test(t.asset), 'The document does not name a site and a scanner.');
  need(t.services.length > 0 && ascending(t.services) && t.services.every((s) => name.test(s)), 'Name at least one service, each once.');
  need(classes.includes(t.class), 'The service class is not known.');
  need(ascending(t.channels) && t.channels.every((c) => channels.includes(c)), 'The channels are not listed properly.');
  const whole = [t.from, t.until, t.longest].every(Number.isSafeInteger);
  need(whole && t.from >= 0 && t.until > t.from && t.until <= 253402300799, 'Give a window whose end lies after its beginning.');
  const critical = t.critical ?? 0;
  need(Number.isSafeInteger(critical) && critical >= 0 && critical <= maxCritical, 'A critical section is at most 30 minutes long.');
  need(critical === 0 || t.class === 'disruptive', 'Only disruptive work has critical sections.');
  need(t.longest >= 1 && t.longest <= 0x7fffffff, 'Say how long a session may be.');
}

/** The longest critical section that any hospital allows, in seconds. */
export const maxCritical = 1800;
/** A document names a critical section only where there is one. */
const crit = (seconds: number | undefined) => (seconds ? { crit: seconds } : {});

function written(doc: object): Uint8Array<ArrayBuffer> {
  const bytes = utf8.encode(JSON.stringify(doc));
  need(bytes.length <= maxDocument, 'The document is larger than 4096 bytes. Shorten the reason.');
  return bytes;
}

/** The exact bytes of a request. Throws Unfit for what the agent would refuse to read. */
export function requestDocument(terms: RequestTerms): Uint8Array<ArrayBuffer> {
  const t = { ...terms, services: sorted(terms.services), channels: sorted(terms.channels) };
  const rid = t.id ?? newId();
  need(isId(rid), 'The request has no proper id.');
  need(t.kind === 'session' ? t.parent === '' : isId(t.parent), 'An extension names its session, and nothing else does.');
  need(plain(t.engineer.iss, 1, 512) && plain(t.engineer.sub, 1, 255), 'The request does not name its engineer.');
  need(t.key === '' || /^(ssh-ed25519|ecdsa-sha2-nistp256) [A-Za-z0-9+/]+={0,2}$/.test(t.key), 'The key is not a plain key line.');
  need(plain(t.reason, 0, maxReason), 'Write the reason in at most 1000 plain characters.');
  need(plain(t.workOrder, 0, maxWorkOrder), "Give the work order's number alone.");
  checkTerms(t);
  return written({
    v: 1, typ: 'sallyport-request', rid, kind: t.kind, parent: t.parent, site: t.site, asset: t.asset, services: t.services, class: t.class,
    channels: t.channels, nbf: t.from, exp: t.until, maxs: t.longest, ...crit(t.critical), eng: { iss: t.engineer.iss, sub: t.engineer.sub }, key: t.key,
    reason: t.reason, ref: t.workOrder,
  });
}

/** The exact bytes of a grant. */
export function grantDocument(terms: GrantTerms): Uint8Array<ArrayBuffer> {
  const t = { ...terms, services: sorted(terms.services), channels: sorted(terms.channels), obl: sorted(terms.obligations ?? ['record']) };
  const gid = t.id ?? newId();
  need(isId(gid), 'The grant has no proper id.');
  need(/^[0-9a-f]{64}$/.test(t.request), 'The grant does not name its request.');
  need(/^SHA256:[A-Za-z0-9+/]{43}$/.test(t.agent), 'The grant does not name its agent.');
  need(t.obl.includes('record') && t.obl.every((o) => ['consent', 'hold-files', 'record', 'view-only'].includes(o)), 'The obligations are not listed properly.');
  checkTerms(t);
  return written({
    v: 1, typ: 'sallyport-grant', gid, req: t.request, site: t.site, agent: t.agent, asset: t.asset, services: t.services, class: t.class,
    channels: t.channels, nbf: t.from, exp: t.until, maxs: t.longest, ...crit(t.critical), obl: t.obl,
  });
}

// What the documents say. The bytes come from the broker: whatever session/grant would
// not have written is not read.

interface Said {
  site: string;
  asset: string;
  services: string[];
  class: ServiceClass;
  channels: Channel[];
  nbf: number; // Unix seconds
  exp: number; // Unix seconds
  maxs: number; // seconds
  crit?: number; // seconds of critical sections
}
export interface RequestDoc extends Said {
  rid: string;
  kind: 'session' | 'extension' | 'handover';
  parent: string;
  eng: { iss: string; sub: string };
  key: string;
  reason: string;
  ref: string;
}
export interface GrantDoc extends Said {
  gid: string;
  req: string; // hex of the request's hash
  agent: string;
  obl: string[];
}

const properCrit = (d: { crit?: number; class: ServiceClass }) =>
  d.crit === undefined || (Number.isSafeInteger(d.crit) && d.crit > 0 && d.crit <= maxCritical && d.class === 'disruptive');

/** Reads a request's exact bytes. */
export function readRequest(bytes: Uint8Array): RequestDoc {
  const d = parsed<RequestDoc>(bytes);
  const again = {
    v: 1, typ: 'sallyport-request', rid: d.rid, kind: d.kind, parent: d.parent, site: d.site, asset: d.asset, services: d.services, class: d.class,
    channels: d.channels, nbf: d.nbf, exp: d.exp, maxs: d.maxs, ...crit(d.crit), eng: { iss: d.eng?.iss, sub: d.eng?.sub }, key: d.key, reason: d.reason, ref: d.ref,
  };
  need(properCrit(d), 'The request has a critical section that none can have. Do not approve it.');
  need(same(again, bytes), 'The request is not written as it must be. Do not approve it.');
  return d;
}

/** Reads a grant's exact bytes, as strictly. */
export function readGrant(bytes: Uint8Array): GrantDoc {
  const d = parsed<GrantDoc>(bytes);
  const again = {
    v: 1, typ: 'sallyport-grant', gid: d.gid, req: d.req, site: d.site, agent: d.agent, asset: d.asset, services: d.services, class: d.class,
    channels: d.channels, nbf: d.nbf, exp: d.exp, maxs: d.maxs, ...crit(d.crit), obl: d.obl,
  };
  need(properCrit(d), 'The grant has a critical section that none can have. Do not approve it.');
  need(same(again, bytes), 'The grant is not written as it must be. Do not approve it.');
  return d;
}

function parsed<T>(bytes: Uint8Array): T {
  try {
    const d: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    if (bytes.length <= maxDocument && typeof d === 'object' && d !== null) return d as T;
  } catch {
    // said below
  }
  throw new Unfit('The document cannot be read. Do not approve it.');
}
function same(doc: object, bytes: Uint8Array): boolean {
  const again = utf8.encode(JSON.stringify(doc));
  return again.length === bytes.length && again.every((x, i) => x === bytes[i]);
}

// Hashes and nonces.

export async function sha256(...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', join(...parts)));
}
export const requestHash = (doc: Uint8Array) => sha256(utf8.encode('sallyport/request/v1\0'), doc);
export const grantHash = (doc: Uint8Array) => sha256(utf8.encode('sallyport/grant/v1\0'), doc);
export const keyHash = (line: string) => sha256(utf8.encode(line));

async function nonce(role: 'request' | 'approve' | 'activate' | 'watch', subject: Uint8Array, extra: Uint8Array, salt: Uint8Array): Promise<string> {
  need(salt.length === 32 && subject.length === 32 && extra.length === 32, 'A salt has 32 bytes.');
  return base64url(await sha256(utf8.encode(`sallyport/v1/${role}\0`), subject, extra, salt));
}
/** Binds the engineer's sign-in to a request. */
export const requestNonce = async (doc: Uint8Array, salt: Uint8Array) => nonce('request', await requestHash(doc), new Uint8Array(32), salt);
/** Binds an approver's sign-in to a grant and to the engineer's token. */
export const approveNonce = async (doc: Uint8Array, requestToken: string, salt: Uint8Array) =>
  nonce('approve', await grantHash(doc), await sha256(utf8.encode(requestToken)), salt);
/** Binds the engineer's sign-in to a grant and to the key that joins it. */
export const activateNonce = async (doc: Uint8Array, line: string, salt: Uint8Array) => nonce('activate', await grantHash(doc), await keyHash(line), salt);
/** Binds the sign-in of somebody who watches to a session and to their key. */
export const watchNonce = async (session: string, line: string, salt: Uint8Array) => nonce('watch', await sha256(utf8.encode(session)), await keyHash(line), salt);

export function newSalt(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(32));
}

// Key lines.

/** A P-256 point as one line of OpenSSH, without a comment (RFC 5656, 3.1). */
export function keyLine(point: Uint8Array): string {
  need(point.length === 65 && point[0] === 4, 'Not an uncompressed P-256 point.');
  const kind = 'ecdsa-sha2-nistp256';
  const field = (b: Uint8Array) => join(new Uint8Array([0, 0, b.length >> 8, b.length & 255]), b);
  return kind + ' ' + base64(join(field(utf8.encode(kind)), field(utf8.encode('nistp256')), field(point)));
}

// Ids: base64url inside documents, R-, S- or V- and base32 for people.

export function newId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)));
}
function isId(s: string): boolean {
  if (!/^[A-Za-z0-9_-]{22}$/.test(s)) return false;
  const b = unbase64(s);
  return base64url(b) === s && b.some((x) => x !== 0);
}
const digits = 'abcdefghijklmnopqrstuvwxyz234567';
/** The form that people see: shown('R', rid). */
export function shown(letter: 'R' | 'S' | 'V', text: string): string {
  let bits = 0;
  let left = 0;
  let out = '';
  for (const b of unbase64(text)) {
    bits = (bits << 8) | b;
    left += 8;
    while (left >= 5) out += digits[(bits >> (left -= 5)) & 31];
    bits &= 31;
  }
  if (left > 0) out += digits[(bits << (5 - left)) & 31];
  return `${letter}-${out}`;
}
/** The form inside documents. */
export function inside(id: string): string {
  const out: number[] = [];
  let bits = 0;
  let have = 0;
  for (const c of id.slice(2)) {
    const v = digits.indexOf(c);
    need(v >= 0, `${id} is not an id.`);
    bits = (bits << 5) | v;
    have += 5;
    if (have >= 8) out.push((bits >> (have -= 8)) & 255);
    bits &= 0xff;
  }
  const text = base64url(new Uint8Array(out));
  need(isId(text), `${id} is not an id.`);
  return text;
}

// Bytes as text.

export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}
export function base64(b: Uint8Array): string {
  let s = '';
  for (const x of b) s += String.fromCharCode(x);
  return btoa(s);
}
export function base64url(b: Uint8Array): string {
  return base64(b).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
/** Reads both spellings. */
export function unbase64(s: string): Uint8Array<ArrayBuffer> {
  const raw = atob(s.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}
export function hex(b: Uint8Array): string {
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}
