// The page draws consoles as the recording does: the vectors are written by the Go tests.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { caption, moments } from '../../src/lib/exports';
import { Picture } from '../../src/lib/tiles';
import type { Replay, ReplayPart } from '../../src/lib/types';

interface Vectors {
  duration: number;
  parts: ReplayPart[];
  seen: { at: number; w: number; h: number; hidden: boolean; sha256: string }[];
  refused: string[];
}
const v = JSON.parse(readFileSync(new URL('../console.json', import.meta.url), 'utf8')) as Vectors;
const bytes = (s: string) => new Uint8Array(Buffer.from(s, 'base64'));
const sum = (p: Picture) => createHash('sha256').update(p.pix).digest('hex');

test('every moment is what the recording shows, played through', () => {
  const p = new Picture();
  const events = v.parts.flatMap((x) => x.events);
  let next = 0;
  for (const s of v.seen) {
    for (; next < events.length && events[next]![0] <= s.at; next++) p.take(events[next]![2], bytes(events[next]![3]));
    expect([p.w, p.h, p.hidden, sum(p)], `at ${s.at}`).toEqual([s.w, s.h, s.hidden, s.sha256]);
  }
});

test('every moment is what the recording shows, begun at its part', () => {
  for (const s of v.seen) {
    const part = v.parts.findLast((x) => x.from <= s.at)!;
    const p = new Picture();
    if (part.consoles[0]) p.stand(bytes(part.consoles[0].draw));
    for (const e of part.events) if (e[0] <= s.at) p.take(e[2], bytes(e[3]));
    expect([p.w, p.h, p.hidden, sum(p)], `at ${s.at}`).toEqual([s.w, s.h, s.hidden, s.sha256]);
  }
});

test('what cannot be is refused, cut short anywhere or changed anywhere', () => {
  const p = new Picture();
  p.take('w', new Uint8Array([0, 130, 0, 70, 0]));
  for (const b of v.refused) expect(() => p.take('t', bytes(b)), b).toThrow();
  for (const size of [[0, 0, 0, 70, 0], [0, 130, 0, 70, 2], [0, 130, 0, 70], [255, 255, 255, 255, 0], [0, 130, 0, 70, 0, 0]]) expect(() => p.take('w', new Uint8Array(size))).toThrow();
  const whole = bytes(v.parts[1]!.consoles[0]!.draw);
  for (let n = 0; n < whole.length; n += 997) expect(() => new Picture().stand(whole.subarray(0, n))).toThrow();
  // any bytes are drawn or refused, and never more than is there
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let n = 0; n < 80; n++) {
    const b = Uint8Array.from(whole);
    for (let k = 0; k < 3; k++) b[Math.floor(random() * (n % 2 ? 40 : b.length))] = Math.floor(random() * 256);
    const q = new Picture();
    try {
      q.stand(b);
    } catch (e) {
      expect((e as Error).message).toBe('A part of this console cannot be read.');
    }
    expect(q.pix.length).toBeLessThanOrEqual(4 * 3840 * 2400);
  }
});

test('a full picture of 1920 x 1080 is drawn fast', () => {
  const [w, h] = [1920, 1080];
  const out: number[] = [w >> 8, w & 255, h >> 8, h & 255, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (let y = 0; y < h; y += 64)
    for (let x = 0; x < w; x += 64) {
      out.push(16);
      for (let i = 0; i < 48; i++) out.push((i * 37) & 255);
      const n = (Math.min(64, w - x) / 2) * Math.min(64, h - y);
      for (let i = 0; i < n; i++) out.push((i * 11) & 255);
    }
  const data = Uint8Array.from(out);
  const p = new Picture();
  let best = Infinity;
  for (let n = 0; n < 10; n++) {
    const begun = performance.now();
    p.stand(data);
    best = Math.min(best, performance.now() - begun);
  }
  console.log(`${(w * h / best / 1000).toFixed(0)} Mpx/s`);
  expect(p.w).toBe(w);
});

test('a contact sheet shows moments at which something happened', () => {
  const replay = { duration: 100e6, read: 100e6, activity: Array.from({ length: 100 }, (_, i) => (i >= 20 && i < 60 ? 5 : 0)) } as Replay;
  const all = moments(replay, 10);
  expect(all).toHaveLength(10);
  expect(all.every((t) => t >= 20e6 && t <= 60e6)).toBe(true);
  expect([...all].sort((a, b) => a - b)).toEqual(all);
  expect(moments({ ...replay, activity: [] } as Replay, 4)).toEqual([25e6, 50e6, 75e6, 100e6]);
});

test('a picture of a contact sheet says how the scanner stood', () => {
  const replay = {
    duration: 100e6, read: 100e6, states: [{ at: 0, is: 'idle' }, { at: 20e6, is: 'patient-on-table' }, { at: 90e6, is: '' }],
    markers: [{ at: 30e6, kind: 'freeze', text: '' }, { at: 40e6, kind: 'thaw', text: '' }],
  } as unknown as Replay;
  const says = { idle: 'idle', 'patient-on-table': 'patient on the table' } as Parameters<typeof caption>[2];
  expect([10e6, 20e6, 30e6, 40e6, 95e6].map((t) => caption(replay, t, says))).toEqual([
    '0:10, idle', '0:20, patient on the table', '0:30, patient on the table, frozen', '0:40, patient on the table', '1:35',
  ]);
  expect(caption({ ...replay, states: [], markers: [] }, 61e6, says)).toBe('1:01');
});
