// What the page offers is what session/grant offers. The vectors are written by the Go side.
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { farthest, keyReach } from '../../src/lib/documents';
import { offers, reasons } from '../../src/lib/offers';
import { protocols, speaks } from '../../src/lib/protocols';

const all = JSON.parse(readFileSync(new URL('../../../../session/grant/testdata/weboffers.json', import.meta.url), 'utf8'));
const has = (p: string) => speaks(p)?.channels;

test('protocols, their channels, and the times that everybody keeps', () => {
  expect(Object.fromEntries(protocols.map((p) => [p, speaks(p)!.channels]))).toEqual(all.protocols);
  expect([keyReach, farthest]).toEqual([all.key_reach, all.farthest]);
  for (const p of ['', 'SSH', 'telnet', 'constructor']) expect(speaks(p), p).toBeUndefined();
});

test('what services offer together', () => {
  expect(all.offers.length).toBeGreaterThan(8);
  for (const v of all.offers) {
    const o = offers(all.asset, v.services, has);
    if (typeof o === 'string') expect(o, v.name).toBe(v.why);
    else expect([o.class, o.channels, ''], v.name).toEqual([v.class, v.channels, v.why]);
  }
});

test('what is not offered, and why', () => {
  expect(all.terms.length).toBeGreaterThan(20);
  for (const v of all.terms) {
    const o = offers(all.asset, v.services, has);
    const why = typeof o === 'string' ? o : (reasons(o, { ...v, nbf: all.now + v.nbf, exp: all.now + v.exp }, all.now)[0] ?? '');
    expect(why, v.name).toBe(v.why);
  }
});
