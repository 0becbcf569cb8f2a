// What an approver's page builds is byte for byte what session/grant builds, and
// nothing that it would refuse. The vectors are written by the Go side.
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import * as docs from '../../src/lib/documents';
import * as g from '../../src/lib/grants';

const all = JSON.parse(readFileSync(new URL('../../../../session/grant/testdata/webgrant.json', import.meta.url), 'utf8'));
const bytes = (s: string) => new TextEncoder().encode(s);

test('grants, their hashes and nonces', async () => {
  expect(all.drafts.length).toBeGreaterThan(3);
  for (const v of all.drafts) {
    const d = await g.draft(bytes(v.request), v.agent, v.less, v.gid);
    expect(new TextDecoder().decode(d.bytes), v.name).toBe(v.grant);
    expect(d.hash).toBe(v.hash);
    expect(await docs.approveNonce(d.bytes, v.token, docs.unbase64(v.salt))).toBe(v.nonce);
    const again = await g.pinned(d.bytes, bytes(v.request), v.agent);
    expect(again.hash).toBe(v.hash);
  }
});

test('nothing wider than the request is built', async () => {
  const v = all.drafts[0];
  for (const less of all.refused) await expect(g.draft(bytes(v.request), v.agent, less, v.gid), JSON.stringify(less)).rejects.toThrow(docs.Unfit);
  await expect(g.draft(bytes(v.request), v.agent, { channels: [] })).rejects.toThrow(docs.Unfit);
  await expect(g.draft(bytes(v.request), 'SHA256:short')).rejects.toThrow(docs.Unfit);
  await expect(g.draft(bytes(all.drafts[3].request), v.agent, { maxs: 60 }), 'an extension').rejects.toThrow(docs.Unfit);
});

test('a grant of somebody else must answer this very request', async () => {
  const [a, b, c] = all.drafts;
  await expect(g.pinned(bytes(c.grant), bytes(a.request), a.agent)).rejects.toThrow(docs.Unfit);
  await expect(g.pinned(bytes(a.grant), bytes(a.request), a.agent.replace('47', '48'))).rejects.toThrow(docs.Unfit);
  expect((await g.pinned(bytes(b.grant), bytes(a.request), a.agent)).grant.maxs).toBe(300);
  for (const wider of [a.grant.replace('"maxs":1800', '"maxs":1801'), a.grant.replace('["record"]', '[]'), a.grant.replace('"class":"non-disruptive"', '"class":"all"')]) {
    expect(wider).not.toBe(a.grant);
    await expect(g.pinned(bytes(wider), bytes(a.request), a.agent)).rejects.toThrow(docs.Unfit);
  }
});

test('one spelling of a document', () => {
  const v = all.drafts[0];
  for (const other of [v.request + ' ', ' ' + v.request, '\ufeff' + v.request, v.request.replace('"v":1', '"v":1,"v":1'), v.request.replace('{', '{"x":1,'), '[]', 'null', '{}', v.request.replace('"rid"', '"RID"')]) {
    expect(() => docs.readRequest(bytes(other)), other).toThrow(docs.Unfit);
  }
  expect(() => docs.readGrant(bytes(v.grant.replace('"obl"', '"OBL"')))).toThrow(docs.Unfit);
});

test('the documents must be of the request that was asked for', () => {
  const v = all.drafts[0];
  const d = { request: Buffer.from(v.request).toString('base64'), token: '', salt: '', received: '', approvals: [] };
  const rid = JSON.parse(v.request).rid;
  expect(g.requestOf(d, docs.shown('R', rid)).doc.rid).toBe(rid);
  expect(() => g.requestOf(d, 'R-' + 'a'.repeat(26))).toThrow(docs.Unfit);
});

test('ids read as the command line writes them', () => {
  for (const [text, id] of all.ids) expect(docs.shown('R', text)).toBe(id);
});
