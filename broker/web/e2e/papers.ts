// Documents as they would be on the wire, for requests that pages are shown.
import { createHash } from 'node:crypto';
import { shown } from '../src/lib/documents';
import type * as T from '../src/lib/types';
import { asset, request } from './mock';

const b64 = (s: string) => Buffer.from(s).toString('base64');
export const seconds = (t: string) => Math.floor(Date.parse(t) / 1000);
export const token = 'e30.e30.c2ln';
export const sha256 = (...parts: (string | Buffer)[]) => createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p as string)))).digest();

export interface Papers {
  request: T.Request;
  documents: T.Documents;
  bytes: string;
}

/** A request together with its exact bytes; the number makes its id. */
export function papers(n: number, over: Partial<T.Request> = {}, crit = 0): Papers {
  const id = Buffer.alloc(16, 7);
  id.writeUInt32BE(n + 1, 12);
  const rid = id.toString('base64url');
  const r = request({ ...over, id: shown('R', rid) });
  const bytes = JSON.stringify({
    v: 1, typ: 'sallyport-request', rid, kind: r.kind, parent: r.kind === 'extension' ? rid : '', site: r.site, asset: r.asset, services: r.services, class: r.class,
    channels: r.channels, nbf: seconds(r.not_before), exp: seconds(r.not_after), maxs: r.max_seconds, ...(crit ? { crit } : {}), eng: { iss: r.engineer.iss, sub: r.engineer.sub }, key: '',
    reason: r.reason, ref: r.work_order,
  });
  return { request: r, bytes, documents: { request: b64(bytes), token, salt: '', received: r.created, approvals: [] } };
}

/** The grant that a first approver fixed. */
export function fixedBy(p: Papers, over: object = {}, crit = 0): string {
  const r = JSON.parse(p.bytes);
  return b64(JSON.stringify({
    v: 1, typ: 'sallyport-grant', gid: Buffer.alloc(16, 9).toString('base64url'), req: sha256('sallyport/request/v1\0', p.bytes).toString('hex'), site: r.site,
    agent: asset().agent, asset: r.asset, services: r.services, class: r.class, channels: r.channels, nbf: r.nbf, exp: r.exp, maxs: r.maxs, ...(crit ? { crit } : {}), obl: ['record'], ...over,
  }));
}

/** What a hostile person or vendor could put into every field that is theirs. */
export const nasty = '<img src=x onerror=alert(1)>\u202Egnp.exe\u0007 ' + 'Donaudampfschifffahrtsgesellschaft'.repeat(6);
