// Names of a device, as they are written on the wire and on the page.
import { expect, test } from '@playwright/test';
import { bytesOf, key, local, typed, written } from '../../src/lib/names';

test('a name is written as it is, as far as it can be shown', () => {
  for (const [name, want] of [
    ['plain name.txt', 'plain name.txt'], ['größe 日本.csv', 'größe 日本.csv'], ['DOM\\user', 'DOM\\\\user'], ['two\nlines', 'two\\x0alines'],
    ['esc\x1b[2J', 'esc\\x1b[2J'], ['turn\u202ecod.exe', 'turn\\xe2\\x80\\xaecod.exe'], ['a\ufffd', 'a\\xef\\xbf\\xbd'], ['<b>&"', '<b>&"'],
  ] as const) {
    expect(written(name)).toBe(want);
    expect(new TextDecoder().decode(bytesOf(want))).toBe(name);
    expect(typed(want)).toBe(want); // what is written may be typed
  }
});

test('two ways to write a name are one name, and others are not', () => {
  expect(key('\\x61b')).toBe(key('ab'));
  expect(key('\\xc3\\xa4')).toBe(key('ä'));
  expect(key('a\\x0ab')).not.toBe(key('a\\\\x0ab'));
  expect(Array.from(bytesOf('bad\\xff'))).toEqual([0x62, 0x61, 0x64, 0xff]);
});

test('what is typed keeps escapes and escapes the rest', () => {
  expect(typed('a\\b')).toBe('a\\\\b');
  expect(typed('a\\xe4')).toBe('a\\xe4');
  expect(typed('a\\x00')).toBe('a\\\\x00');
  expect(typed('a\tb')).toBe('a\\x09b');
});

test('this computer gets a name that it can have', () => {
  expect(local('report.csv')).toBe('report.csv');
  expect(local('größe.csv')).toBe('größe.csv');
  expect(local('gr\\xc3\\xb6\\xc3\\x9fe.csv')).toBe('größe.csv');
  expect(local('two\\x0alines')).toBe('two_lines');
  expect(local('bad\\xff.bin')).toBe('bad_xff.bin');
  expect(local('..')).toBe('_');
  expect(local('C:\\\\x')).toBe('C__x');
});
