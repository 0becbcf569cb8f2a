// What a browser loads before it shows anything stays small, and the terminal's
// renderer comes only with the pages that show a terminal.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@playwright/test';

interface Chunk {
  file: string;
  css?: string[];
  imports?: string[];
}
const dist = new URL('../../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8')) as Record<string, Chunk>;
const read = (file: string) => readFileSync(new URL(file, dist));

/** The files of chunks with all that they import at once. */
function graph(...names: string[]): Set<string> {
  const files = new Set<string>();
  const seen = new Set<string>();
  const walk = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    const c = manifest[name];
    if (!c) throw new Error(`${name} is not in the manifest`);
    for (const f of [c.file, ...(c.css ?? [])]) files.add(f);
    for (const i of c.imports ?? []) walk(i);
  };
  names.forEach(walk);
  return files;
}
const kilobytes = (files: Iterable<string>) => [...files].reduce((n, f) => n + gzipSync(read(f), { level: 9 }).length, 0) / 1000;

test('the entry, scripts and styles, is at most 70 kB', () => {
  const size = kilobytes(graph('index.html'));
  console.log(`entry ${size.toFixed(1)} kB`);
  expect(size).toBeLessThanOrEqual(70);
});

for (const page of ['SignIn', 'Inbox', 'Assets', 'RequestPage']) {
  test(`the first look at ${page} is at most 80 kB with the entry`, () => {
    const size = kilobytes(graph('index.html', `src/pages/${page}.svelte`));
    console.log(`${page} ${size.toFixed(1)} kB`);
    expect(size).toBeLessThanOrEqual(80);
  });
}

test('the terminal comes with the pages that show one', () => {
  const terminal = (files: Iterable<string>) => [...files].some((f) => f.endsWith('.js') && read(f).includes('xterm-helper-textarea'));
  expect(terminal(Object.values(manifest).map((c) => c.file)), 'some chunk holds it').toBe(true);
  const pages = Object.keys(manifest).filter((n) => n === 'index.html' || n.startsWith('src/pages/'));
  expect(pages.length).toBeGreaterThan(10);
  const shows = pages.filter((n) => terminal(graph(n)));
  for (const n of shows) expect(['src/pages/Terminal.svelte', 'src/pages/Player.svelte', 'src/pages/Watch.svelte']).toContain(n);
});

test('noVNC comes with the page of a console, and only once it opens', () => {
  const viewer = (files: Iterable<string>) => [...files].some((f) => f.endsWith('.js') && read(f).includes('noVNC'));
  expect(viewer(Object.values(manifest).map((c) => c.file)), 'some chunk holds it').toBe(true);
  for (const n of Object.keys(manifest).filter((n) => n === 'index.html' || n.startsWith('src/pages/'))) expect(viewer(graph(n)), n).toBe(false);
});
