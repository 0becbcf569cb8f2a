// Times in the nights in which the clocks are changed.
import { expect, test } from '@playwright/test';
import { hour, momentOf } from '../../src/lib/zones';

const berlin = 'Europe/Berlin';

test('an hour that comes twice is said with its zone, others are not', () => {
  for (const [at, shown] of [
    ['2026-10-24T23:59:00Z', '01:59'], ['2026-10-25T00:30:00Z', '02:30 CEST'], ['2026-10-25T01:30:00Z', '02:30 CET'], ['2026-10-25T02:00:00Z', '03:00'],
    ['2027-03-28T00:59:00Z', '01:59'], ['2027-03-28T01:00:00Z', '03:00'], ['2026-11-23T12:46:00Z', '13:46'],
  ]) expect(hour(at!, berlin), at).toBe(shown);
  expect(hour('2026-10-25T00:30:00Z', 'Nowhere/Else')).toBe('00:30');
  expect(hour(Date.parse('2026-10-25T01:30:00Z'), 'Europe/London')).toBe('01:30 GMT');
});

test('an hour that is left out is no time', () => {
  expect(momentOf('2027-03-28', '02:30', berlin)).toBeNaN();
  expect(momentOf('2027-03-28', '03:30', berlin)).toBe(Date.parse('2027-03-28T01:30:00Z'));
  expect([Date.parse('2026-10-25T00:30:00Z'), Date.parse('2026-10-25T01:30:00Z')]).toContain(momentOf('2026-10-25', '02:30', berlin));
});
