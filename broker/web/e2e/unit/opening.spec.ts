// What an activation's sign-in covers is read from its own bytes; a broker that hands out
// or shows anything else is refused, and nothing is signed.
import { expect, test } from '@playwright/test';
import { shown, Unfit } from '../../src/lib/documents';
import { opening, remember } from '../../src/lib/opening';
import type { Documents, Request } from '../../src/lib/types';
import { asset, people } from '../mock';
import { fixedBy, papers, sha256 } from '../papers';

const gid = shown('S', Buffer.alloc(16, 9).toString('base64url'));
const p = papers(41, { status: 'approved', grant: gid });
const another = papers(42);
const b64 = (s: string) => Buffer.from(s).toString('base64');
const theirs = { ...p, bytes: p.bytes.replace('"sub":"u-1"', '"sub":"u-2"') };

const open = (r: Partial<Request> = {}, d: Partial<Documents> = {}) =>
  opening({ ...p.request, ...r }, { ...p.documents, grant: fixedBy(p), ...d }, people.brandt, asset().agent);

test('the grant of a request is read from its bytes', async () => {
  const o = await open();
  expect(o.grant).toMatchObject({ asset: 'NGH-PETCT1', services: ['recon-ssh'], maxs: 1800 });
  expect(o.hash).toBe(sha256('sallyport/grant/v1\0', Buffer.from(fixedBy(p), 'base64')).toString('hex'));
  expect(o.signedHere).toBe(false);
  const less = await open({ max_seconds: 600, channels: ['shell'] }, { grant: fixedBy(p, { maxs: 600, channels: ['shell'] }) });
  expect(less.grant.maxs).toBe(600);
});

const lies = [
  ['another request than R-', {}, { request: another.documents.request }],
  ['another grant than the one it names', {}, { grant: fixedBy(p, { gid: Buffer.alloc(16, 8).toString('base64url') }) }],
  ['another grant than the one it names', { grant: null }, {}],
  ['The grant answers another request', {}, { grant: fixedBy(another) }],
  ["another agent's than the scanner's", {}, { grant: fixedBy(p, { agent: 'SHA256:' + 'B'.repeat(43) }) }],
  ['session length goes beyond what you asked for', { max_seconds: 3600 }, { grant: fixedBy(p, { maxs: 3600 }) }],
  ['scanner goes beyond what you asked for', { asset: 'NGH-MR2' }, { grant: fixedBy(p, { asset: 'NGH-MR2' }) }],
  ['services goes beyond what you asked for', { services: ['console-ssh'] }, { grant: fixedBy(p, { services: ['console-ssh'] }) }],
  ['says another length', { max_seconds: 600 }, {}],
  ['says another list of services', { services: ['console-ssh'] }, {}],
  ['says another list of channels', { channels: ['shell'] }, {}],
  ['says another service class', { class: 'observe' }, {}],
  ['says another window', { not_after: p.request.not_before }, {}],
  ['says another scanner', { asset: 'NGH-MR2' }, {}],
  ['is not written as request and grant must be', {}, { grant: b64('{"v":1}') }],
  ['is not written as request and grant must be', {}, { grant: '' }],
  ['is not written as request and grant must be', {}, { request: b64(p.bytes + ' ') }],
  ['is not yours', {}, { request: b64(theirs.bytes), grant: fixedBy(theirs) }],
] as [string, Partial<Request>, Partial<Documents>][];
test('a broker that lies is refused, in words', async () => {
  for (const [says, r, d] of lies) {
    await expect(open(r, d), says).rejects.toThrow(Unfit);
    await expect(open(r, d)).rejects.toThrow(says);
    await expect(open(r, d), says).rejects.toThrow('Nothing was signed. Tell your security contact.');
  }
});

test('a request is compared with the one that was signed in this browser', async () => {
  const kept = new Map<string, string>();
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true, value: { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v) },
  });
  await remember(Buffer.from(p.bytes));
  expect((await open()).signedHere).toBe(true);
  const longer = { ...p, bytes: p.bytes.replace('"maxs":1800', '"maxs":7200') };
  await expect(open({ max_seconds: 7200 }, { request: b64(longer.bytes), grant: fixedBy(longer) })).rejects.toThrow('not the request that you signed in this browser');
  kept.set('signed', 'nonsense');
  expect((await open()).signedHere).toBe(false);
  for (let i = 0; i < 300; i++) await remember(Buffer.from(papers(1000 + i).bytes));
  expect(JSON.parse(kept.get('signed')!)).toHaveLength(200);
  Reflect.deleteProperty(globalThis, 'localStorage');
});
