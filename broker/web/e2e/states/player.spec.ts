import { holds, median } from '../figure';
import { accessible, everyLook, expect, photograph, test } from '../look';
import { at, mock, problem, recording } from '../mock';
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import type * as T from '../../src/lib/types';

const vid = 'V-7H2K9M4QXW3EVN5TBJ6CPA8DFR';
const b64 = (s: string) => Buffer.from(s).toString('base64');
const notYet = problem(409, 'Say first why you look at this recording.', 'Give a reason.', 'refused');

const lines = ['uptime', ' 11:40:02 up 41 days', 'tail -2 events.log', 'WARN block 57: temperature 31.4', 'ERROR block 57: gain drift 4.2 %', 'scp result.csv', '<img src=x onerror=alert(1)> \u202eevil', 'exit'];
const events: T.ReplayPart['events'] = [
  [0, 1, 'c', ''], [0, 1, 'r', '80x24'],
  ...lines.map((l, i): [number, number, 'o', string] => [(i + 1) * 60e6, 1, 'o', b64(`\x1b[32m$\x1b[0m ${l}\r\n`)]),
  [200e6, 2, 'c', ''], [200e6, 2, 'r', '80x24'], [201e6, 2, 'o', b64('output of the command\r\n\x1b]0;EVIL\x07')],
];
const replay: T.Replay = {
  recording: vid, duration: 600e6, started: at(-90), zone: 'Europe/London', parts: 1, read: 600e6, whole: true,
  channels: [{ stream: 1, kind: 'shell', text: '', terminal: true, at: 0, end: -1 }, { stream: 2, kind: 'exec', text: 'df -h', terminal: false, at: 200e6, end: 202e6 }],
  markers: [
    { at: 0, kind: 'shell', text: 'shell' }, { at: 200e6, kind: 'exec', text: 'df -h' }, { at: 260e6, kind: 'freeze', text: 'Frozen (broker) by m.okafor@northfield.example' },
    { at: 330e6, kind: 'thaw', text: 'Freeze (broker) lifted' }, { at: 360e6, kind: 'file-out', text: '/home/service/result.csv, 12 kB' },
    { at: 420e6, kind: 'refused', text: 'direct-tcpip: 10.0.0.9:445 <script>alert(1)</script> ' + 'x'.repeat(90) }, { at: 540e6, kind: 'warning', text: 'This session ends in 1 minute' }, { at: 600e6, kind: 'end', text: 'ended by its people' },
  ],
  activity: Array.from({ length: 600 }, (_, i) => (i % 60 < 12 ? (i * 37) % 900 : i % 7 === 0 ? 30 : 0)), inputs: [], states: [],
};
const only: T.ReplayPart = { n: 0, from: 0, to: 600e6, complete: true, screens: [], consoles: [], events };
const transcript: T.TranscriptLine[] = lines.map((text, i) => ({ at: (i + 1) * 60e6, stream: 1, text: '$ ' + text }));
const all = (of: T.TranscriptLine[]): T.Transcript => ({ lines: of, read: 600e6, next: 1, whole: true });

function answers(over: Record<string, unknown> = {}, viewed = true) {
  const calls: unknown[] = [];
  let may = viewed;
  return {
    calls,
    all: {
      [`GET /recordings/${vid}`]: recording({ id: vid }),
      [`POST /recordings/${vid}/viewed`]: (_u: URL, _m: string, b: unknown) => (calls.push(b), (may = true), null),
      [`GET /recordings/${vid}/replay`]: () => (may ? replay : notYet),
      [`GET /recordings/${vid}/replay/at/*`]: only,
      [`GET /recordings/${vid}/replay/0`]: only,
      [`GET /recordings/${vid}/transcript`]: () => (may ? all(transcript) : notYet),
      ...over,
    },
  };
}
const shown = (page: Page) => page.locator('.xterm-rows');

test('a reason comes first', async ({ page }) => {
  const a = answers({}, false);
  await mock(page, 'auditor', a.all);
  await page.goto('/recordings/' + vid);
  await everyLook(page, 'player-reason', (p) => expect(p.getByRole('heading', { name: 'Why do you look?' })).toBeVisible());
  await expect(shown(page)).toHaveCount(0);
  await page.getByRole('button', { name: 'Show the recording' }).click();
  await expect(page.getByText('Choose a reason, or write one.')).toBeVisible();
  await page.getByLabel('Incident').check();
  await page.getByLabel(/In your words/).fill('ticket 4711');
  await page.getByRole('button', { name: 'Show the recording' }).click();
  await expect(shown(page)).toBeVisible();
  expect(a.calls).toEqual([{ input: false, reason: 'Incident: ticket 4711' }]);
  await expect(page.getByRole('link', { name: 'Download the evidence pack' })).toHaveAttribute('href', `/api/v1/recordings/${vid}/pack?reason=Incident%3A%20ticket%204711`);
});

test('another moment in the address is shown on the open page', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await page.goto(`/recordings/${vid}#t=61`);
  await expect(shown(page)).toContainText('$ uptime');
  await expect(shown(page)).not.toContainText('exit');
  await page.evaluate(() => (location.hash = 't=500'));
  await expect(shown(page)).toContainText('exit');
  await page.goBack();
  await expect(shown(page)).not.toContainText('exit');
});

test('eight hours on one line', async ({ page }) => {
  const duration = 8 * 3600e6;
  const markers: T.Marker[] = [{ at: 0, kind: 'shell', text: 'shell' }];
  for (let hour = 0; hour < 8; hour++)
    for (let n = 0; n < 20; n++) markers.push({ at: hour * 3600e6 + 900e6 + n * 7e6, kind: n % 5 ? 'file-in' : 'exec', text: n % 5 ? `/service/patch/part-${n}, 4 kB` : `check ${n}` });
  markers.push({ at: 4.5 * 3600e6, kind: 'freeze', text: 'Frozen (broker) by m.okafor@northfield.example' }, { at: 5 * 3600e6, kind: 'thaw', text: 'Freeze (broker) lifted' }, { at: duration, kind: 'end', text: 'ended by its people' });
  markers.sort((a, b) => a.at - b.at);
  const activity = Array.from({ length: 600 }, (_, i) => (i % 75 < 30 ? (i * 37) % 900 : i % 75 < 50 ? 20 : 0));
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay`]: { ...replay, duration, read: duration, channels: [{ ...replay.channels[0]!, end: -1 }], markers, activity } }).all);
  await page.goto('/recordings/' + vid);
  const toolbar = page.getByRole('toolbar', { name: 'Marks' });
  const apart = async () => {
    const places = await toolbar.getByRole('button').evaluateAll((all) => all.map((b) => b.getBoundingClientRect().left));
    expect(places.length).toBeGreaterThan(3);
    for (let i = 1; i < places.length; i++) expect(places[i]! - places[i - 1]!).toBeGreaterThanOrEqual(24);
  };
  await everyLook(page, 'player-day', async (p) => {
    await p.getByRole('slider', { name: 'Moment' }).scrollIntoViewIfNeeded();
    await expect(p.getByRole('slider', { name: 'Moment' })).toHaveAttribute('aria-valuetext', '0 seconds of 8 hours');
    await apart();
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  const labels = page.locator('.scale .major');
  await expect(labels.first()).toHaveText('0:00');
  await expect(page.locator('.scale').getByText('4:00:00')).toBeVisible();
  const most = toolbar.getByRole('button', { name: /and 15 more/ });
  await expect(most.first()).toHaveAccessibleName(/check 0/);
  const slider = page.getByRole('slider', { name: 'Moment' });
  await slider.focus();
  for (const [key, to] of [['PageUp', 1440], ['End', 28800], ['Home', 0]] as const) {
    await page.keyboard.press(key);
    await expect(slider).toHaveJSProperty('value', String(to * 1000));
  }
  for (let n = 0; n < 7; n++) await page.keyboard.press('+');
  await expect(page.getByRole('status').filter({ hasText: ' to ' })).toContainText('0:00 to 3:45');
  await page.getByRole('slider', { name: 'Part in sight' }).fill(String(870e3));
  await apart();
  await expect(toolbar.getByRole('button', { name: 'check 5' })).toBeVisible();
  await page.getByRole('button', { name: 'All of it', exact: true }).click();
  await expect(labels.last()).toContainText(':00:00');
});

test('a recording in every look, at the moment of its link', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await page.goto(`/recordings/${vid}#t=301`);
  await everyLook(page, 'player', async (p) => {
    await expect(shown(p)).toContainText('gain drift');
    await expect(shown(p)).not.toContainText('result.csv');
    await expect(p.getByRole('slider', { name: 'Moment' })).toHaveAttribute('aria-valuetext', '5 minutes of 10 minutes');
    await expect(p.locator('[aria-current=true]')).toContainText('gain drift');
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  const slider = page.getByRole('slider', { name: 'Moment' });
  await slider.focus();
  for (const [key, to] of [['PageUp', 331], ['ArrowRight', 336], ['ArrowLeft', 331], ['Home', 0], ['End', 600]] as const) {
    await page.keyboard.press(key);
    await expect(slider).toHaveJSProperty('value', String(to * 1000));
  }
  await expect(shown(page)).toContainText('onerror');
  expect(await page.locator('.replay img').count()).toBe(0);
  await page.locator('h1').click();
  await page.keyboard.press('/');
  await page.keyboard.type('block 57');
  await expect(page.getByText('1 of 2')).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(slider).toHaveJSProperty('value', '300000');
  await page.getByRole('button', { name: 'Next hit' }).click();
  await expect(slider).toHaveJSProperty('value', '240000');
  await page.getByRole('button', { name: /Refused/ }).hover();
  await photograph(page, 'player-search-desktop', false);
  await accessible(page);
  await page.getByLabel('Shown').selectOption('2');
  await expect(shown(page)).toContainText('output of the command');
  await expect(page).toHaveTitle(/^Recording NGH-PETCT1/);
});

test('it plays, skips what is idle, and stops at the end', async ({ page }) => {
  await mock(page, 'auditor', answers().all);
  await page.goto('/recordings/' + vid);
  await expect(page.getByRole('button', { name: 'Play' })).toBeVisible();
  await page.getByLabel('Speed').selectOption('16');
  await page.locator('h1').click();
  await page.keyboard.press('Space');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  // nine gaps of a minute, half a second each
  await expect(shown(page)).toContainText('exit', { timeout: 20_000 });
  await expect(page.getByRole('button', { name: 'Play' })).toBeVisible();
});

test('checked, tampered, reviewed: said as it is', async ({ page }) => {
  const verdict: T.Verdict = { at: at(-1), verdict: 'intact', signer: 'known', segments: 41, countersigned: true, logged: true, message: 'Every segment is what the agent signed.' };
  const sent: unknown[] = [];
  const a = answers({
    [`POST /recordings/${vid}/verify`]: verdict,
    [`POST /recordings/${vid}/reviews`]: (_u: URL, _m: string, b: any) => (sent.push(b), recording({ id: vid, verdict, reviews: [{ by: 's.adeyemi@northfield.example', at: at(0), ...b }] })),
  });
  await mock(page, 'auditor', a.all);
  await page.goto('/recordings/' + vid);
  await expect(page.getByText('Not checked yet.')).toBeVisible();
  await page.getByRole('button', { name: 'Verify' }).click();
  await expect(page.getByText('Checked by the broker: 41 segments intact').first()).toBeVisible();
  await page.getByLabel(/A concern/).check();
  await page.getByRole('button', { name: 'Save the review' }).click();
  await expect(page.getByText('Say what concerns you.')).toBeVisible();
  await page.getByLabel('Comment').fill('Why was result.csv taken along?');
  await page.getByRole('button', { name: 'Save the review' }).click();
  await expect(page.getByText('Why was result.csv taken along?')).toBeVisible();
  expect(sent).toEqual([{ attestation: 'concern', comment: 'Why was result.csv taken along?' }]);
  await mock(page, 'engineer', answers({ [`GET /recordings/${vid}`]: recording({ id: vid, verdict: { ...verdict, verdict: 'tampered', message: 'Segment 12 is not what the agent signed.' } }) }).all);
  await page.goto('/recordings/' + vid);
  await everyLook(page, 'player-tampered', (p) => expect(p.getByText('it was tampered with').first()).toBeVisible());
  await expect(page.getByRole('button', { name: 'Save the review' })).toHaveCount(0);
});

test('sealed to others, live, missing, no answer', async ({ page }) => {
  await mock(page, 'auditor', { [`GET /recordings/${vid}`]: recording({ id: vid, readable: false, digest: null }) });
  await page.goto('/recordings/' + vid);
  await everyLook(page, 'player-sealed', (p) => expect(p.getByText(`sallyport play ${vid}`)).toBeVisible());
  await mock(page, 'approver', answers({ [`GET /recordings/${vid}`]: recording({ id: vid, state: 'live', ended: null, digest: null, reason: '' }) }).all);
  await page.goto('/recordings/' + vid);
  await expect(page.getByText('The recording still grows')).toBeVisible();
  await expect(page).toHaveTitle(/^● /);
  await mock(page, 'auditor', {});
  await page.goto('/recordings/V-NONE');
  await expect(page.getByText('There is no such recording.')).toBeVisible();
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay`]: problem(503, "The broker's vault did not answer.", 'Try again.', 'unreachable') }).all);
  await page.goto('/recordings/' + vid);
  await expect(page.getByRole('alert')).toContainText('vault did not answer');
});

test('two hours and 20 MB are scrubbed without waiting', async ({ page }) => {
  test.setTimeout(120_000);
  const count = 80;
  const each = 7200e6 / count;
  const chunk = (p: number, k: number) => {
    let s = '';
    for (let l = 0; l < 40; l++) s += `\x1b[3${1 + (l % 7)}m part ${p} step ${k} line ${l}\x1b[0m ` + 'abcdefghij klmnop '.repeat(4) + '\r\n';
    return s;
  };
  const steps = 64; // of about 4 KiB
  const part = (n: number): T.ReplayPart => ({
    n, from: n * each, to: (n + 1) * each, complete: true,
    screens: n ? [{ stream: 1, cols: 80, rows: 24, draw: b64(`what stood when part ${n} began\r\n`) }] : [], consoles: [],
    events: Array.from({ length: steps }, (_, k) => [n * each + (k * each) / steps, 1, 'o', b64(chunk(n, k))]),
  });
  const bytes = count * steps * Buffer.byteLength(chunk(10, 10));
  expect(bytes).toBeGreaterThan(19e6);
  const many = Array.from({ length: 50_000 }, (_, i): T.TranscriptLine => ({ at: i * 144e3, stream: 1, text: `line ${i} ${i % 1000 === 0 ? 'needle' : 'hay'}` }));
  const all: Record<string, unknown> = answers({
    [`GET /recordings/${vid}/replay`]: { ...replay, duration: 7200e6, channels: [replay.channels[0]!], markers: [], parts: count, read: 7200e6 },
    [`GET /recordings/${vid}/transcript`]: { lines: many, read: 7200e6, next: count, whole: true },
  }).all;
  delete all[`GET /recordings/${vid}/replay/0`];
  const asked: string[] = [];
  all[`GET /recordings/${vid}/replay/at/*`] = (u: URL) => {
    const n = Math.min(count - 1, Math.floor(Number(u.pathname.split('/').pop()) / each));
    asked.push('at ' + n);
    return part(n);
  };
  await mock(page, 'auditor', all);
  await page.addInitScript(() => {
    (window as any).long = [];
    new PerformanceObserver((l) => (window as any).long.push(...l.getEntries().map((e) => ({ at: e.startTime, ms: e.duration })))).observe({ type: 'longtask' });
  });
  const began = Date.now();
  await page.goto(`/recordings/${vid}#t=7190`);
  await expect(shown(page)).toContainText(`part ${count - 1} step`, { timeout: 60_000 });
  const first = Date.now() - began;
  expect(asked).toEqual([`at ${count - 1}`]); // nothing else is read to begin at the end
  await page.evaluate(() => ((window as any).long.length = 0));
  const jump = (t: number): Promise<number> => { // without what the test itself takes to answer
    const p = Math.floor((t * 1e6) / each);
    const k = Math.floor((t * 1e6 - p * each) / (each / steps));
    return page.evaluate(
      async ({ t, want }) => {
        const i = document.querySelector<HTMLInputElement>('input[type=range]')!;
        const from = performance.now();
        i.value = String(t * 1000);
        i.dispatchEvent(new Event('input', { bubbles: true }));
        while (!document.querySelector('.xterm-rows')!.textContent!.includes(want)) await new Promise((r) => setTimeout(r, 4));
        const asked = performance.getEntriesByType('resource').filter((e) => e.startTime >= from && e.name.includes('/replay/at/'));
        return performance.now() - from - asked.reduce((n, e) => n + e.duration, 0);
      },
      { t, want: `part ${p} step ${k} ` },
    );
  };
  console.log(`first picture: ${first} ms`);
  const read = new Set([`at ${count - 1}`]);
  let rounds = 0;
  const jumps = async () => { // elsewhere in every round
    const took: number[] = [];
    for (const t of [3600, 60, 7000, 1234, 5000, 2, 6500, 3000, 3010, 61].map((t) => (t + 180 * rounds) % 7190)) {
      took.push(await jump(t));
      read.add(`at ${Math.floor((t * 1e6) / each)}`);
    }
    rounds++;
    return median(took);
  };
  await holds('the middle one of ten jumps', 150, 300, jumps);
  await holds('the middle one of the long tasks of ten jumps', 50, 150, async () => {
    await page.evaluate(() => ((window as any).long.length = 0));
    await jumps();
    return median(await page.evaluate(() => ((window as any).long as { ms: number }[]).map((l) => l.ms)));
  });
  expect(asked, 'a jump reads one part, and nothing again').toEqual([...read]);
  // 50,000 lines, and only those in sight are on the page
  expect(await page.locator('[data-line]').count()).toBeLessThan(80);
  await page.locator('h1').click();
  await page.keyboard.press('/');
  await page.keyboard.type('needle');
  await expect(page.getByText('1 of 50')).toBeVisible();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await expect(page.locator('.found')).toContainText('needle');
  await photograph(page, 'player-long-desktop', false);
});

/** What the screen shows, with its colours, once a moment is shown. */
async function picture(page: Page, t: number): Promise<string> {
  await page.evaluate(async (t) => {
    const i = document.querySelector<HTMLInputElement>('input[type=range]')!;
    i.value = String(t / 1000);
    i.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise((r) => setTimeout(r)); // it says that it is busy
    while (!document.querySelector('[aria-label="The recorded screen"][aria-busy=false]')) await new Promise((r) => setTimeout(r, 5));
    for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame); // drawn
  }, t);
  // Blanks that were written and places that were never written to look alike at a line's end.
  return (await shown(page).innerHTML()).replace(/<span>([^<]*?) *<\/span>(?=<\/div>)/g, (_, text: string) => (text ? `<span>${text}</span>` : ''));
}

test('a jump into what full-screen programs drew: the same as from the beginning', async ({ page }) => {
  test.setTimeout(120_000);
  const worked = JSON.parse(readFileSync('e2e/worked.json', 'utf8')) as { duration: number; parts: T.ReplayPart[] };
  const head = { ...replay, duration: worked.duration, channels: [{ ...replay.channels[0]!, end: -1 }], markers: [], read: worked.duration };
  const through = { n: 0, from: 0, to: worked.duration, complete: true, screens: [], consoles: [], events: worked.parts.flatMap((p) => p.events) };
  const inside = (n: number, share: number) => {
    const { from, to } = worked.parts[n]!;
    return 1000 * Math.floor((from + share * (to - from)) / 1000);
  };
  const moments = worked.parts.flatMap((_, n) => [inside(n, 0), inside(n, 0.3), inside(n, 0.9)]);
  expect(worked.parts.length).toBeGreaterThan(7);
  const seen: string[][] = [];
  for (const parts of [[through], worked.parts]) {
    const asked: string[] = [];
    await mock(page, 'auditor', answers({
      [`GET /recordings/${vid}/replay`]: { ...head, parts: parts.length },
      [`GET /recordings/${vid}/replay/at/*`]: (u: URL) => {
        const t = Number(u.pathname.split('/').pop());
        asked.push(u.pathname);
        return parts.findLast((p) => p.from <= t);
      },
    }).all);
    await page.goto('about:blank');
    await page.goto(`/recordings/${vid}#t=5`);
    await expect(shown(page)).toContainText('Also: cat cd date');
    const all = [];
    for (const t of [...moments].reverse()) all.push(await picture(page, t)); // backwards: each begins anew
    seen.push(all);
    expect(asked.length).toBeLessThanOrEqual(parts.length);
  }
  const [whole, begun] = seen as [string[], string[]];
  expect(new Set(whole).size).toBeGreaterThan(12);
  for (const i of whole.keys()) expect(begun[i], `at ${[...moments].reverse()[i]}`).toBe(whole[i]);
});

test('a search in lines that are not all says so', async ({ page }) => {
  const some = [...transcript, { at: 21 * 60e6, stream: 1, text: '[This command wrote more than is shown here.]', cut: true }];
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/transcript`]: all(some) }).all);
  await page.goto(`/recordings/${vid}#t=5`);
  const search = page.getByRole('searchbox');
  await search.fill('wipe-the-disk');
  await expect(page.locator('.count')).toHaveText('Not in the lines below');
  await expect(page.getByText('sallyport recordings export ' + vid + ' --reason WHY --format text')).toBeVisible();
  await accessible(page);
  await search.fill('$');
  await expect(page.locator('.count')).toHaveText(/^1 of \d+ so far$/);
  await mock(page, 'auditor', answers().all);
  await page.reload();
  await search.fill('wipe-the-disk');
  await expect(page.locator('.count')).toHaveText('Not found');
});

test('a search goes on stretch by stretch, and says how far it is', async ({ page }) => {
  let may = 1;
  const line = (n: number, text: string): T.TranscriptLine => ({ at: n * 100e6, stream: 1, text });
  const stretch = async (u: URL): Promise<T.Transcript> => {
    const n = Number(u.searchParams.get('from'));
    while (n > may) await new Promise((r) => setTimeout(r, 20));
    return { lines: [line(n, n === 4 ? 'wipe-the-disk' : `hay ${n}`)], read: (n + 1) * 100e6, next: n + 1, whole: n === 5 };
  };
  await mock(page, 'auditor', answers({
    [`GET /recordings/${vid}/replay`]: { ...replay, parts: 6, channels: [replay.channels[0]!] }, [`GET /recordings/${vid}/transcript`]: stretch,
  }).all);
  await page.goto(`/recordings/${vid}#t=5`);
  await page.getByRole('searchbox').fill('wipe-the-disk');
  await page.getByRole('searchbox').press('Enter');
  await expect(page.locator('.count')).toHaveText('Not found up to 3:20 of 10:00');
  await expect(page.getByText('2 lines, up to 3:20 of 10:00')).toBeVisible();
  await accessible(page);
  may = 9;
  await expect(page.locator('.count')).toHaveText('1 of 1');
  await expect(page.locator('[data-line="4"]')).toContainText('wipe-the-disk');
  await expect(page.getByText('6 lines', { exact: true })).toBeVisible();
});

test('nothing that a device sends stops the player', async ({ page }) => {
  const part: T.ReplayPart = { n: 0, from: 0, to: 100e6, complete: true, screens: [], consoles: [], events: [[1e6, 1, 'c', '80x24'], [2e6, 1, 'o', b64('before\x1b[24;80H\x1b[1J')], [3e6, 1, 'o', b64('\x1b[Hafter')]] };
  await mock(page, 'auditor', answers({
    [`GET /recordings/${vid}/replay`]: { ...replay, duration: 100e6, read: 100e6, parts: 1, channels: [{ ...replay.channels[0]!, end: -1 }], markers: [] },
    [`GET /recordings/${vid}/replay/at/*`]: part,
  }).all);
  await page.goto(`/recordings/${vid}#t=50`);
  await expect(shown(page)).toContainText('after');
  await expect(shown(page)).not.toContainText('before');
});

test('what is still being read is said, and playing does not wait for it', async ({ page }) => {
  let reads = 0;
  const found = (n: number): Partial<T.Replay> => (n < 3 ? { read: n * 100e6, whole: false, channels: [], markers: n ? [replay.markers[0]!] : [], activity: [5] } : {});
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay`]: () => ({ ...replay, ...found(Math.min(reads, 2)) }) }).all);
  await page.goto(`/recordings/${vid}#t=301`);
  await expect(shown(page)).toContainText('gain drift');
  await expect(page.getByText('The recording is still being read, 0 % so far')).toBeVisible();
  await expect(page.getByText('The transcript comes once all of the recording was read.')).toBeVisible();
  await expect(page.getByRole('button', { name: /Refused/ })).toHaveCount(0);
  reads = 2;
  await expect(page.getByText('The recording is still being read, 33 % so far')).toBeVisible();
  await accessible(page);
  await page.getByRole('slider', { name: 'Moment' }).focus();
  await page.keyboard.press('End');
  await expect(shown(page)).toContainText('onerror');
  await mock(page, 'auditor', answers().all);
  await expect(page.getByRole('button', { name: /Refused/ })).toBeVisible();
  await expect(page.getByText('The recording is still being read')).toHaveCount(0);
  await expect(page.locator('[data-line]').first()).toBeVisible();
});

test('what was not drawn is said, and what was closed stays as it was', async ({ page }) => {
  const parts: T.ReplayPart[] = [
    { n: 0, from: 0, to: 100e6, complete: true, screens: [], consoles: [], events: [[1e6, 1, 'c', '80x24'], [2e6, 1, 'o', b64('first shell\r\n')], [99e6, 1, 'o', b64('logout\r\n')]] },
    { n: 1, from: 100e6, to: 200e6, complete: true, screens: [], consoles: [], events: [[101e6, 3, 'c', '80x24'], [102e6, 3, 'o', b64('second shell\r\n')]] },
    { n: 2, from: 200e6, to: 300e6, complete: false, screens: [], consoles: [], events: [[250e6, 3, 'o', b64('later\r\n')]] },
    { n: 3, from: 300e6, to: 400e6, complete: true, screens: [{ stream: 3, cols: 80, rows: 24, draw: b64('drawn again\r\n') }], consoles: [], events: [] },
  ];
  const shells = [1, 3].map((stream) => ({ stream, kind: 'shell', text: '', terminal: true, at: stream === 1 ? 1e6 : 101e6, end: stream === 1 ? 99e6 : -1 }));
  await mock(page, 'auditor', answers({
    [`GET /recordings/${vid}/replay`]: { ...replay, duration: 400e6, read: 400e6, parts: 4, channels: shells, markers: [] },
    [`GET /recordings/${vid}/replay/at/*`]: (u: URL) => parts.findLast((p) => p.from <= Number(u.pathname.split('/').pop())),
    [`GET /recordings/${vid}/replay/*`]: (u: URL) => parts[Number(u.pathname.split('/').pop())],
  }).all);
  await page.goto(`/recordings/${vid}#t=350`);
  await expect(shown(page)).toContainText('drawn again');
  await page.getByLabel('Shown').selectOption('1');
  await expect(shown(page)).toContainText('logout');
  await expect(shown(page)).toContainText('first shell');
  await page.getByLabel('Shown').selectOption('3');
  await picture(page, 260e6);
  await expect(shown(page)).toContainText('later');
  await expect(page.getByText('What stood on this screen is not known here: the agent could not draw it.')).toBeVisible();
  await accessible(page);
  await picture(page, 350e6);
  await expect(shown(page)).toContainText('drawn again');
  await expect(page.getByText('is not known here')).toHaveCount(0);
});

test('what is not stored is said, with what helps', async ({ page }) => {
  const stuck = { part: 'seg-000004', parts: 2, since: at(-30), message: 'The segment 000004 of this recording cannot be stored at the broker: another content is there.', next: 'Look for two agents with one identity.' };
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}`]: recording({ id: vid, stuck }) }).all);
  await page.goto('/recordings/' + vid);
  await everyLook(page, 'player-stuck', async (p) => {
    await expect(p.getByText('another content is there. The same holds for 1 other part of it.')).toBeVisible();
    await expect(p.getByText('The agent keeps it and goes on trying; nothing else waits for it. Look for two agents with one identity.')).toBeVisible();
  });
  await accessible(page);
});

test('how the scanner stood is a lane below the line', async ({ page }) => {
  const states: T.Replay['states'] = [{ at: 0, is: 'in-service' }, { at: 250e6, is: 'patient-on-table' }, { at: 260e6, is: 'scanning' }, { at: 330e6, is: 'idle' }, { at: 480e6, is: 'unknown' }, { at: 590e6, is: '' }];
  const markers = [...replay.markers, { at: 250e6, kind: 'modality' as const, text: 'The scanner is with a patient on the table (operator: set by T. Reyes).' }].sort((a, b) => a.at - b.at);
  await mock(page, 'auditor', answers({ [`GET /recordings/${vid}/replay`]: { ...replay, states, markers } }).all);
  await page.goto(`/recordings/${vid}`);
  const lane = page.getByRole('list', { name: 'How the scanner stood' });
  await everyLook(page, 'player-lane', async () => {
    await expect(lane.getByRole('listitem')).toHaveCount(6);
    await expect(lane).toContainText('0:00 to 4:10: the scanner was in service');
    await expect(lane).toContainText('4:20 to 5:30: the scanner was scanning');
    await expect(lane).toContainText('From 9:50 on there are more changes than are shown here');
    await accessible(page);
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('button', { name: /Patients first: The scanner is with a patient/ }).click();
  await expect(page.getByRole('slider', { name: 'Moment' })).toHaveAttribute('aria-valuetext', /^4 min/);
  // Without an interlock there is none.
  await mock(page, 'auditor', answers().all);
  await page.goto(`/recordings/${vid}`);
  await expect(page.getByRole('slider', { name: 'Moment' })).toBeVisible();
  await expect(lane).toHaveCount(0);
});
