// What the page makes is byte for byte what session/grant makes: documents, hashes,
// nonces, key lines, ids. The vectors are written by the Go side.
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import * as d from '../../src/lib/documents';

const all = JSON.parse(readFileSync(new URL('../../../../session/grant/testdata/web.json', import.meta.url), 'utf8'));
const text = (b: Uint8Array) => new TextDecoder().decode(b);

function asked(r: any): d.RequestTerms {
  return {
    id: r.rid, kind: r.kind, parent: r.parent, site: r.site, asset: r.asset, services: r.services, class: r.class, channels: r.channels,
    from: r.nbf, until: r.exp, longest: r.maxs, critical: r.crit, engineer: r.eng, key: r.key, reason: r.reason, workOrder: r.ref,
  };
}

test('requests: bytes, hashes and nonces', async () => {
  expect(all.requests.length).toBeGreaterThan(2);
  for (const v of all.requests) {
    const doc = d.requestDocument(asked(v.document));
    expect(text(doc)).toBe(v.bytes);
    expect(d.hex(await d.requestHash(doc))).toBe(v.hash);
    expect(await d.requestNonce(doc, d.unbase64(v.salt))).toBe(v.nonce);
  }
});

test('grants: bytes, hashes, the nonces of approvals and activations', async () => {
  expect(all.grants.length).toBeGreaterThan(1);
  for (const v of all.grants) {
    const g = v.document;
    const doc = d.grantDocument({
      id: g.gid, request: g.req, site: g.site, agent: g.agent, asset: g.asset, services: g.services, class: g.class, channels: g.channels,
      from: g.nbf, until: g.exp, longest: g.maxs, critical: g.crit, obligations: g.obl,
    });
    expect(text(doc)).toBe(v.bytes);
    expect(d.hex(await d.grantHash(doc))).toBe(v.hash);
    const salt = d.unbase64(v.salt);
    expect(await d.approveNonce(doc, v.token, salt)).toBe(v.approve);
    expect(await d.activateNonce(doc, v.key, salt)).toBe(v.activate);
    expect(d.readGrant(doc).gid).toBe(g.gid);
  }
});

test('lists are sorted and said once', () => {
  const v = all.requests[1];
  const mixed = { ...asked(v.document), services: [...v.document.services, v.document.services[0]].reverse(), channels: [...v.document.channels].reverse() };
  expect(text(d.requestDocument(mixed))).toBe(v.bytes);
});

test('keys become the same lines', () => {
  for (const v of all.keys) expect(d.keyLine(d.unbase64(v.point))).toBe(v.line);
});

test('ids read the same in documents and for people', () => {
  for (const v of all.ids) {
    expect(d.shown('R', v.text)).toBe(v.request);
    expect(d.inside(v.request)).toBe(v.text);
  }
  expect(d.newId()).toMatch(/^[A-Za-z0-9_-]{22}$/);
});

test('what session/grant refuses is not made', () => {
  const first = asked(all.requests[0].document);
  for (const reason of all.good) d.requestDocument({ ...first, reason });
  for (const reason of [...all.refused, '\ud800', 'x\udfff']) expect(() => d.requestDocument({ ...first, reason }), JSON.stringify(reason)).toThrow(d.Unfit);
  for (const change of all.unfit) expect(() => d.requestDocument(asked({ ...all.requests[0].document, ...change })), JSON.stringify(change)).toThrow(d.Unfit);
});

test('a salt is 32 bytes and never the same', async () => {
  const doc = d.requestDocument(asked(all.requests[0].document));
  expect(d.hex(d.newSalt())).not.toBe(d.hex(d.newSalt()));
  await expect(d.requestNonce(doc, new Uint8Array(16))).rejects.toThrow();
});
