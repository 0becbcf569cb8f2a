// The recording of a console: played, jumped in, looked through, and taken out of.
import { readFileSync } from 'node:fs';
import { accessible, everyLook, expect, fits, photograph, test } from '../look';
import { at, mock, recording } from '../mock';
import type { Page } from '@playwright/test';
import type * as T from '../../src/lib/types';

const vid = 'V-7H2K9M4QXW3EVN5TBJ6CPA8DFR';
const v = JSON.parse(readFileSync(new URL('../console.json', import.meta.url), 'utf8')) as { duration: number; parts: T.ReplayPart[]; seen: { at: number; w: number; h: number; hidden: boolean; sha256: string }[] };
const replay: T.Replay = {
  recording: vid, duration: v.duration, started: at(-90), zone: 'Europe/London', parts: v.parts.length, read: v.duration, whole: true,
  channels: [{ stream: 3, kind: 'control', text: 'control', terminal: false, at: 0, end: v.duration }],
  markers: [{ at: 12e6, kind: 'freeze', text: 'Frozen (broker) by m.okafor@northfield.example' }, { at: 18e6, kind: 'thaw', text: 'Freeze (broker) lifted' }, { at: v.duration, kind: 'end', text: 'ended by its people' }],
  activity: Array.from({ length: 600 }, (_, i) => (i % 26 < 3 ? 900 : 0)), inputs: Array.from({ length: 600 }, (_, i) => (i % 104 < 3 ? 2 : 0)), states: [],
};
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAoAAAAGCAIAAAB1kpiRAAAAcElEQVR4nA3MMREAIRAEwRVBfDEiVgTxxIhYEcQXIwKB/3FXtYQGmshooY2CDrroIYka1KRMLWpToQ51qUf97IEnNl544+CDL374ZwZMMCzYEDhw4fHvZJBJTBbZJOSQSx75uQc9adOL3nToQ1/60R/LvjvFGhCGpwAAAABJRU5ErkJggg==', 'base64');

function answers(over: Record<string, unknown> = {}) {
  const asked: string[] = [];
  const part = (url: URL) => {
    asked.push(url.pathname.split('/replay/')[1]!);
    const m = /at\/(\d+)$/.exec(url.pathname);
    return m ? v.parts.findLast((p) => p.from <= Number(m[1]))! : v.parts[Number(url.pathname.split('/').at(-1))]!;
  };
  return {
    asked,
    all: { [`GET /recordings/${vid}`]: recording({ id: vid, service: 'console-vnc', protocol: 'vnc', digest: null }), [`GET /recordings/${vid}/replay`]: replay, [`GET /recordings/${vid}/replay/*`]: part, ...over },
  };
}
async function thumbs(page: Page) {
  const asked: number[] = [];
  await page.route(/\/replay\/thumb\/\d+$/, async (r) => {
    asked.push(Number(r.request().url().split('/').at(-1)));
    await r.fulfill({ contentType: 'image/png', body: png });
  });
  return asked;
}
const canvas = (page: Page) => page.getByRole('group', { name: /^The recorded console/ }).locator('canvas');

/** What the canvas shows, as the hash of its pixels. */
const shown = (page: Page) =>
  canvas(page).evaluate(async (c: HTMLCanvasElement) => {
    if (!c.width) return '';
    const sum = await crypto.subtle.digest('SHA-256', c.getContext('2d')!.getImageData(0, 0, c.width, c.height).data);
    return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, '0')).join('');
  });
const now = (n: number) => v.seen.find((s) => s.at === n * 1e6)!.sha256;
const begin = (page: Page, moment = '') => page.goto(`/recordings/${vid}${moment}`);

test('a console is played, and everything is in the first view', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await thumbs(page);
  await begin(page, '#t=5');
  await everyLook(page, 'console', async (p) => {
    await expect.poll(() => shown(p), { timeout: 30_000 }).toBe(now(5));
    const high = p.viewportSize()!.height;
    for (const what of [p.getByRole('button', { name: 'Play' }), p.getByRole('slider', { name: 'Moment' }), p.getByLabel('Speed'), canvas(p)]) {
      await p.evaluate(() => scrollTo(0, 0));
      const box = (await what.boundingBox())!;
      expect(box.y + box.height, String(what)).toBeLessThanOrEqual(high);
    }
    await expect(p.getByText('Jana Brandt').first()).toBeVisible();
  });
  await expect(page.getByText(/^Masked: the hospital hides parts/)).toBeVisible();
});

test('a jump shows its moment, and reads one part', async ({ page }) => {
  const a = answers();
  await mock(page, 'auditor', a.all);
  await begin(page, '#t=35');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(35));
  expect(a.asked).toEqual(['at/35000000']);
  const moment = page.getByRole('slider', { name: 'Moment' });
  for (const [to, parts] of [[13, 2], [17, 2], [41, 3], [15, 3], [37, 3]] as const) {
    await moment.fill(String(to * 1000));
    await expect.poll(() => shown(page), { message: `at ${to}`, timeout: 30_000 }).toBe(now(to));
    expect(a.asked.length, `parts read at ${to}`).toBe(parts);
  }
});

test('another moment in the address is shown on the open page', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await begin(page, '#t=5');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(5));
  for (const to of [37, 13]) {
    await page.evaluate((t) => (location.hash = `t=${t}`), to);
    await expect.poll(() => shown(page), { message: `at ${to}`, timeout: 30_000 }).toBe(now(to));
  }
  await page.goBack();
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(37));
});

test('the pointer is shown by its picture, and drawn where somebody opened what was typed', async ({ page }) => {
  const green = Buffer.alloc(8 + 4 * 4 * 4).fill(Buffer.from([0xff, 0, 0xc8, 0]), 8); // 4 x 4, its tip at 1, 1
  for (const [i, n] of [1, 1, 4, 4].entries()) green.writeUInt16BE(n, 2 * i);
  const part = (typed: T.ReplayPart['events']): T.ReplayPart => ({ ...v.parts[0]!, to: v.duration, events: [v.parts[0]!.events[0]!, [1e5, 3, 'k', green.toString('base64')], ...typed] });
  let typed: T.ReplayPart['events'] = [];
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay`]: { ...replay, parts: 1 }, [`GET /recordings/${vid}/replay/*`]: () => part(typed) }).all);
  await begin(page, '#t=1');
  await expect(page.getByText(/Where the engineer pointed is sealed for the hospital/)).toBeVisible();
  await expect.poll(() => page.locator('canvas.shape').evaluate((c: HTMLCanvasElement) => [c.width, c.height, ...c.getContext('2d')!.getImageData(0, 0, 1, 1).data])).toEqual([4, 4, 0, 200, 0, 255]);
  const at = (x: number, y: number) => canvas(page).evaluate((c: HTMLCanvasElement, [x, y]) => [...c.getContext('2d')!.getImageData(x!, y!, 1, 1).data], [x, y]);
  await photograph(page, 'console-pointer', false);
  const moves = (when: number, x: number, y: number): T.ReplayPart['events'][number] => [when, 3, 'i' as 'k', Buffer.from([0x50, x >> 8, x & 255, y >> 8, y & 255, 0, 0]).toString('base64')];
  typed = [moves(2e5, 30, 40), moves(5e6, 100, 60)];
  await page.reload();
  await expect(page.getByText('The pointer is drawn where the engineer moved it.')).toBeVisible();
  await expect.poll(() => at(29, 39)).toEqual([0, 200, 0, 255]);
  await page.evaluate(() => (location.hash = 't=6'));
  await expect.poll(() => at(99, 59)).toEqual([0, 200, 0, 255]);
  expect(await at(29, 39)).not.toEqual([0, 200, 0, 255]);
});

test('a strip shows when somebody typed or pointed, and a link names the moment', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await mock(page, 'auditor', answers().all);
  await begin(page, '#t=5');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(5));
  const places = await page.locator('path.heat').evaluateAll((all) => all.flatMap((p) => [...p.getAttribute('d')!.matchAll(/M([\d.]+) /g)].map((m) => Number(m[1]))).sort((a, b) => a - b));
  expect(places.map(Math.round)).toEqual(replay.inputs.flatMap((n, i) => (n ? [i] : [])));
  await page.getByRole('button', { name: 'Copy link to this moment' }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(new RegExp(`/recordings/${vid}#t=5$`));
});

test('it plays from part to part, at any speed, and to its end', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await begin(page, '#t=1');
  await page.getByLabel('Speed').selectOption('32');
  await page.getByRole('button', { name: 'Play' }).click();
  await expect(page.getByText('0:46 / 0:46')).toBeVisible({ timeout: 30_000 });
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(v.seen.at(-1)!.sha256);
  await page.keyboard.press('ArrowLeft');
  await expect(page.getByText('0:41 / 0:46')).toBeVisible();
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(41));
});

test('thumbnails follow the pointer, and are asked for once', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  const asked = await thumbs(page);
  await begin(page, '#t=5');
  const box = (await page.getByRole('slider', { name: 'Moment' }).boundingBox())!;
  const over = async (part: number) => page.mouse.move(box.x + box.width * part, box.y + 10);
  await over(0.5);
  await expect(page.locator('.thumb.shown')).toBeVisible();
  await expect(page.locator('.thumb.shown')).toContainText('0:23');
  await photograph(page, 'console-thumb', false);
  const n = asked.length;
  await over(0.501);
  await over(0.5);
  await expect(page.locator('.thumb.shown')).toContainText('0:23');
  expect(asked.length).toBe(n);
  await page.mouse.move(5, 5);
  await expect(page.locator('.thumb.shown')).toHaveCount(0);
});

test('pictures and a video are made in the browser', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await begin(page, '#t=5');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(5));
  const saved = async (name: string) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return { name: file.suggestedFilename(), bytes: readFileSync((await file.path())!) };
  };
  const one = await saved('Picture of this moment');
  expect([one.name, one.bytes.readUInt32BE(16), one.bytes.readUInt32BE(20)]).toEqual([`${vid}-0.05.png`, 480, 320]);
  const sheet = await saved('Contact sheet');
  expect([sheet.name, sheet.bytes.readUInt32BE(16) > 1600]).toEqual([`${vid}.png`, true]);
  const video = await saved('Video');
  expect(video.name).toMatch(/\.(webm|mp4)$/);
  expect(video.bytes.length).toBeGreaterThan(5000);
  if (video.name.endsWith('.webm')) expect(video.bytes.subarray(0, 4).toString('hex')).toBe('1a45dfa3');
  await accessible(page);
});

test('a contact sheet and a video say how far they are, and are cancelled', async ({ page }) => {
  const a = answers();
  let hold = true;
  await mock(page, 'auditor', { ...a.all, [`GET /recordings/${vid}/replay/*`]: (u: URL) => (hold && !u.pathname.endsWith('/5000000') ? new Promise(() => {}) : v.parts.findLast((p) => p.from <= Number(u.pathname.split('/').at(-1)))) });
  await begin(page, '#t=5');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(5));
  for (const [button, what] of [['Contact sheet', 'the contact sheet'], ['Video', 'the video']] as const) {
    await page.getByRole('button', { name: button }).click();
    await expect(page.getByRole('progressbar', { name: `Making ${what}` })).toBeVisible();
    await expect(page.getByText(new RegExp(`^Making ${what}, \\d+ %$`))).toBeVisible();
    await photograph(page, 'console-making', false);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect(page.getByText('Cancelled; nothing was saved.')).toBeVisible();
    await expect(page.getByRole('progressbar')).toHaveCount(0);
  }
  hold = false;
});

test('a live recording grows under the page', async ({ page }) => {
  let parts = 2;
  const grown = () => ({ ...replay, parts, duration: v.parts[parts - 1]!.to, read: v.parts[parts - 1]!.to, markers: [], channels: [{ ...replay.channels[0]!, end: -1 }] });
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}`]: recording({ id: vid, state: 'live', ended: null, service: 'console-vnc', protocol: 'vnc', digest: null }), [`GET /recordings/${vid}/replay`]: () => grown() }).all);
  await begin(page, '#t=19');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(19));
  await expect(page.getByText('/ 0:20')).toBeVisible();
  parts = 3;
  await expect(page.getByText('/ 0:30')).toBeVisible({ timeout: 40_000 });
  await page.getByRole('slider', { name: 'Moment' }).fill('27000');
  await expect.poll(() => shown(page), { timeout: 30_000 }).toBe(now(27));
});

test('what cannot be drawn is said', async ({ page }) => {
  const bad = { ...v.parts[0]!, events: [v.parts[0]!.events[0]!, [1e5, 3, 't', 'AAAA']] };
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay/*`]: bad }).all);
  await begin(page, '#t=1');
  await expect(page.getByText('A part of this console cannot be read.')).toBeVisible();
  await fits(page);
});

test('a list shows a picture of each', async ({ page }) => {
  await mock(page, 'auditor', { 'GET /recordings': [recording({ id: vid, service: 'console-vnc', protocol: 'vnc' }), recording({ id: 'V-8H2K9M4QXW3EVN5TBJ6CPA8DFR', readable: false })] });
  await page.route(/\/picture$/, (r) => r.fulfill({ contentType: 'image/png', body: png }));
  await page.goto('/recordings');
  await everyLook(page, 'recordings-pictures', async (p) => {
    await expect(p.getByText('Jana Brandt').first()).toBeVisible();
    await expect.poll(() => p.locator('.picture img').evaluateAll((all) => all.map((i) => (i as HTMLImageElement).naturalWidth))).toEqual([10]);
  });
});
