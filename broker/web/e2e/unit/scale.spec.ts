// The scale of a time line.
import { expect, test } from '@playwright/test';
import { about, flagged, stepOf, ticksOf } from '../../src/lib/scale';

const h = 3600e6;

test('labels have room, from seconds to days, on a phone and on a wide screen', () => {
  for (const length of [1e6, 40e6, 600e6, h, 8 * h, 30 * h, 400 * h]) {
    for (const width of [280, 1200, 2500]) {
      const step = stepOf(length, width, 72);
      expect((step / length) * width, `${length} on ${width}`).toBeGreaterThanOrEqual(72);
      const ticks = ticksOf(0, length, width, 72);
      const labels = ticks.filter((t) => t.major);
      expect(labels.length).toBeLessThanOrEqual(width / 72 + 1);
      expect(labels[0]!.at).toBe(0);
      expect(ticks.length).toBeLessThan(400);
    }
  }
  expect(stepOf(8 * h, 1200, 72)).toBe(0.5 * h);
  expect(stepOf(8 * h, 300, 72)).toBe(2 * h);
});

test('a stretch keeps a moment where it was, and stays within all there is', () => {
  expect(about(4 * h, 0.5, 2 * h, 8 * h)).toBe(3 * h);
  expect(about(0.1 * h, 0.5, 2 * h, 8 * h)).toBe(0);
  expect(about(7.9 * h, 0.5, 2 * h, 8 * h)).toBe(6 * h);
  const [first] = ticksOf(3 * h + 1, h, 1000, 72).filter((t) => t.major);
  expect(first!.at).toBeGreaterThan(3 * h);
});

test('flags do not pile up, and none is lost', () => {
  const all = Array.from({ length: 2000 }, (_, i) => ({ at: i * 14.4e6 }));
  const flags = flagged(all, 0, 8 * h, (8 * h * 28) / 1000);
  expect(flags.length).toBeLessThan(37);
  expect(flags.reduce((n, f) => n + f.all.length, 0)).toBe(2000);
  for (let i = 1; i < flags.length; i++) expect(flags[i]!.at - flags[i - 1]!.at).toBeGreaterThanOrEqual((8 * h * 28) / 1000);
  expect(flagged(all, h, 60e6, 1e6).length).toBe(5);
});
