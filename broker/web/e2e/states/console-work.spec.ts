// The page of a console, against a console that is not there. What is asserted is the
// viewer's picture.
import { accessible, everyLook, expect, photograph, test } from '../look';
import { mock, session } from '../mock';
import { agent, holdKey, sid, type Agent } from '../agent';
import { FakeConsole } from '../rfb';
import type { Page } from '@playwright/test';

const where = `/console/NGH/NGH-PETCT1/console-vnc?session=${sid}`;
const broker = (over = {}) => ({
  'GET /sessions/*': session({ id: sid, service: 'console-vnc', protocol: 'vnc' }),
  'POST /attach': () => ({ ticket: 'T', expires: new Date(Date.now() + 30e3).toISOString(), url: '/api/v1/attach/ws' }),
  ...over,
});
const all = ['clipboard-in', 'clipboard-out', 'control'];

async function opens(page: Page, channels = all, over: Partial<Agent> = {}): Promise<{ a: Agent; c: FakeConsole }> {
  await mock(page, 'engineer', broker());
  const a = await agent(page, { challenge: { protocol: 'vnc', service: 'console-vnc' }, ...over });
  Object.assign(a.welcome, { service: 'console-vnc', channels });
  const c = new FakeConsole(a);
  await holdKey(page, session().request);
  await page.goto(where);
  return { a, c };
}
const picture = (page: Page) => page.getByRole('img', { name: /^Picture of the console/ });
const sink = (page: Page) => page.getByRole('textbox', { name: /^Console of/ });
/** The viewer's picture is the console's, pixel by pixel. */
async function shows(page: Page, c: FakeConsole): Promise<void> {
  await expect
    .poll(async () => {
      const got = await picture(page).evaluate((e: HTMLCanvasElement) => {
        if (e.width === 0) return { width: 0, height: 0, bytes: '' };
        const d = e.getContext('2d')!.getImageData(0, 0, e.width, e.height);
        let s = '';
        for (let i = 0; i < d.data.length; i += 0x2000) s += String.fromCharCode(...d.data.subarray(i, i + 0x2000));
        return { width: e.width, height: e.height, bytes: btoa(s) };
      });
      const b = Buffer.from(got.bytes, 'base64');
      if (got.width !== c.width || got.height !== c.height || b.length !== c.pixels.length) return 'another size';
      for (let i = 0; i < b.length; i += 4) if (b[i] !== c.pixels[i] || b[i + 1] !== c.pixels[i + 1] || b[i + 2] !== c.pixels[i + 2]) return 'another pixel at ' + i / 4;
      return 'the same';
    }, { timeout: 30_000 })
    .toBe('the same');
}

test('a console at work in every look', async ({ page }) => {
  const { a, c } = await opens(page);
  await shows(page, c);
  a.say('N', { type: 'watchers', people: ['Maya Okafor', 'Dr Elena Rossi'] });
  await everyLook(page, 'console', async (p) => {
    await expect(picture(p)).toBeVisible();
    await expect(p.getByText('recorded')).toBeAttached();
    await expect(p.getByText('Maya Okafor and Dr Elena Rossi watch.').first()).toBeAttached();
    await expect(p).toHaveTitle(/^● \d{1,2}:\d\d NGH\/NGH-PETCT1/);
    await expect(p.getByText('Maya Okafor and Dr Elena Rossi watch.').and(p.locator('.said *'))).toHaveCount(0);
  });
  c.paint((x, y) => [y & 255, 40, x & 255]);
  await shows(page, c);
});

test('keys and pointer go to the console, and a keyboard finds the way out', async ({ page }) => {
  const { c } = await opens(page);
  await shows(page, c);
  await picture(page).click({ position: { x: 100, y: 50 } });
  await expect.poll(() => c.pointers.filter((p) => p.buttons === 1).length).toBe(1);
  const scale = await picture(page).evaluate((e: HTMLCanvasElement) => e.width / e.getBoundingClientRect().width);
  const at = c.pointers.find((p) => p.buttons === 1)!;
  expect(Math.abs(at.x - 100 * scale) + Math.abs(at.y - 50 * scale)).toBeLessThan(3);
  await expect(sink(page)).toBeFocused();
  await page.keyboard.type('Az');
  await page.keyboard.press('Tab');
  await page.keyboard.press('F5');
  await expect.poll(() => c.keys.filter((k) => k.down).map((k) => k.sym)).toEqual([0x41, 0x7a, 0xff09, 0xffc2]);
  await page.keyboard.press('Control+Shift+M');
  await expect(sink(page)).not.toBeFocused();
  await expect.poll(() => new Set(c.keys.filter((k) => k.down).map((k) => k.sym)).size === new Set(c.keys.filter((k) => !k.down).map((k) => k.sym)).size).toBe(true);
  await page.getByRole('button', { name: 'Keys' }).click();
  await page.getByRole('button', { name: 'Ctrl Alt Del' }).click();
  await expect.poll(() => c.keys.slice(-6).map((k) => [k.sym, k.down])).toEqual([[0xffe3, true], [0xffe9, true], [0xffff, true], [0xffff, false], [0xffe9, false], [0xffe3, false]]);
  await page.getByRole('button', { name: 'Ctrl', exact: true }).click();
  await page.getByRole('button', { name: 'F4', exact: true }).click();
  await expect.poll(() => c.keys.slice(-4).map((k) => [k.sym, k.down])).toEqual([[0xffe3, true], [0xffc1, true], [0xffc1, false], [0xffe3, false]]);
  await expect(page.getByRole('button', { name: 'Ctrl', exact: true })).toHaveAttribute('aria-pressed', 'false');
  await accessible(page);
  await photograph(page, 'console-keys-desktop', false);
});

interface Stroke {
  key: string;
  code: string;
  modifiers?: number; // 1 Alt, 2 Ctrl, 8 Shift
}
async function strike(page: Page, strokes: Stroke[]): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  for (const s of strokes) {
    const one = { key: s.key, code: s.code, modifiers: s.modifiers ?? 0, windowsVirtualKeyCode: 0 };
    await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...one });
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', ...one });
  }
}

test('letters arrive as the engineer\'s keyboard makes them, whatever its layout', async ({ page }) => {
  const { c } = await opens(page);
  await shows(page, c);
  await sink(page).focus();
  // German: z is where y is in the United States; AltGr Q is @
  await strike(page, [{ key: 'z', code: 'KeyY' }, { key: 'ü', code: 'BracketLeft' }, { key: 'AltGraph', code: 'AltRight' }, { key: '@', code: 'KeyQ' }, { key: '€', code: 'KeyE' }]);
  // French: a is where q is, & needs no Shift
  await strike(page, [{ key: 'a', code: 'KeyQ' }, { key: '&', code: 'Digit1' }, { key: 'é', code: 'Digit2' }]);
  await expect.poll(() => c.keys.filter((k) => k.down).map((k) => k.sym)).toEqual([0x7a, 0xfc, 0x40, 0x20ac, 0x61, 0x26, 0xe9]);
  expect(c.keys.every((k) => k.code === 0)).toBe(true);
  // a dead key waits for its letter: nothing goes before it
  const cdp = await page.context().newCDPSession(page);
  await strike(page, [{ key: 'Dead', code: 'BracketLeft' }]);
  await cdp.send('Input.imeSetComposition', { text: '^', selectionStart: 1, selectionEnd: 1 });
  await cdp.send('Input.insertText', { text: 'ê' });
  await expect.poll(() => c.keys.filter((k) => k.down).slice(7).map((k) => k.sym)).toEqual([0xea]);
  // by position: the scancode goes, and the device's layout decides
  await page.getByRole('button', { name: 'Keys' }).click();
  await page.getByLabel('My keyboard sends').selectOption('positions');
  await sink(page).focus();
  await strike(page, [{ key: 'z', code: 'KeyY' }, { key: 'Dead', code: 'BracketLeft' }]);
  await expect.poll(() => c.keys.filter((k) => k.down).slice(8)).toEqual([{ sym: 0x7a, code: 0x15, down: true }, { sym: 0, code: 0x1a, down: true }]);
});

test('frozen: nothing goes to the device, and held keys are forgotten', async ({ page }) => {
  const { a, c } = await opens(page);
  await shows(page, c);
  await page.getByRole('button', { name: 'Keys' }).click();
  await page.getByRole('button', { name: 'Ctrl', exact: true }).click();
  await expect.poll(() => c.keys.length).toBe(1);
  a.say('N', { type: 'frozen', causes: ['interlock'] });
  await everyLook(page, 'console-frozen', async (p) => {
    await expect(p.getByText('You can look; nothing that you type or click goes to the device.').first()).toBeVisible();
    await expect(p).toHaveTitle(/^Frozen/);
  });
  await expect(page.getByRole('button', { name: 'Ctrl', exact: true })).toHaveAttribute('aria-pressed', 'false');
  await sink(page).focus();
  await page.keyboard.type('rm');
  await picture(page).click();
  a.say('N', { type: 'thawed', causes: [] });
  await expect(page.getByText('What you type and click goes to the device again.').first()).toBeVisible();
  await sink(page).focus();
  await page.keyboard.type('q');
  await expect.poll(() => c.keys.some((k) => k.sym === 0x71)).toBe(true);
  expect(c.keys.slice(1).map((k) => k.sym)).toEqual([0x71, 0x71]);
  expect(c.pointers.every((p) => p.buttons === 0)).toBe(true);
});

test('only looking: no key, no pointer, and Tab goes through the page', async ({ page }) => {
  const { c } = await opens(page, []);
  await shows(page, c);
  await expect(page.getByText('look only')).toBeVisible();
  await everyLook(page, 'console-observe', async (p) => void (await expect(picture(p)).toBeVisible()));
  await page.setViewportSize({ width: 1280, height: 800 });
  await picture(page).click();
  await page.keyboard.type('x');
  for (let i = 0; i < 6; i++) await page.keyboard.press('Tab');
  await expect(page.getByRole('button', { name: 'Keys' })).toHaveCount(0);
  await expect(page.getByRole('button', { name: /Clipboard/ })).toHaveCount(0);
  // in full size the picture moves under the hand
  await page.setViewportSize({ width: 420, height: 500 });
  await page.getByRole('button', { name: 'Show in full size' }).click();
  const box = (await picture(page).boundingBox())!;
  await page.mouse.move(300, 300);
  await page.mouse.down();
  await page.mouse.move(200, 280, { steps: 4 });
  await page.mouse.up();
  await expect.poll(async () => (await picture(page).boundingBox())!.x).toBe(box.x - 100);
  expect([c.keys, c.pointers]).toEqual([[], []]);
});

test('the clipboard goes each way on its own, and only when told', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const { c } = await opens(page);
  await shows(page, c);
  await page.evaluate(() => navigator.clipboard.writeText('größe ✓\nzwei\u200b'));
  await sink(page).focus();
  await page.keyboard.press('Control+v');
  await expect(page.getByLabel(/^This text goes into/)).toHaveValue('größe ✓\nzwei');
  await expect(page.getByText('One character that no screen shows was left out.')).toBeVisible();
  expect(c.pasted).toEqual([]);
  await accessible(page);
  await photograph(page, 'console-clipboard-desktop', false);
  await page.getByRole('button', { name: 'Send and press Ctrl V' }).click();
  await expect.poll(() => c.pasted).toEqual(['größe ✓\nzwei']);
  await expect.poll(() => c.keys.slice(-4).map((k) => [k.sym, k.down])).toEqual([[0xffe3, true], [0x76, true], [0x76, false], [0xffe3, false]]);
  // once more the same: it is there already
  await page.evaluate(() => navigator.clipboard.writeText('größe ✓\nzwei'));
  const before = c.keys.length;
  await sink(page).focus();
  await page.keyboard.press('Control+v');
  await expect.poll(() => c.keys.slice(before).filter((k) => k.down && k.sym === 0x76).length).toBe(1);
  await expect(page.getByRole('dialog')).toHaveCount(0);
  // out: it waits until it is taken
  c.copies('block 57: 31.4 °C\nlimit 30.0');
  await expect(page.getByText('Text was copied at the console.').first()).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('größe ✓\nzwei');
  await page.getByRole('button', { name: /^Clipboard/ }).click();
  await expect(page.getByLabel('What was copied at the console')).toHaveText('block 57: 31.4 °C\nlimit 30.0');
  await page.getByRole('button', { name: 'Copy to my clipboard' }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe('block 57: 31.4 °C\nlimit 30.0');
});

test('a clipboard that goes one way only says so', async ({ page }) => {
  const { c } = await opens(page, ['clipboard-out']);
  await shows(page, c);
  c.copies('serial 4711');
  await page.getByRole('button', { name: 'Clipboard, out' }).click();
  await expect(page.getByText('The hospital did not allow text to be pasted into this console.')).toBeVisible();
  await expect(page.getByLabel('What was copied at the console')).toHaveText('serial 4711');
  await picture(page).click({ force: true, position: { x: 2, y: 2 } });
  expect([c.keys, c.pointers.filter((p) => p.buttons)]).toEqual([[], []]);
});

test('what the hospital hides is said', async ({ page }) => {
  const { a, c } = await opens(page);
  await shows(page, c);
  a.say('N', { type: 'masked', masked: 'some' });
  await expect(page.getByText('The hospital hides part of this screen.')).toBeVisible();
  await accessible(page);
  await photograph(page, 'console-masked-desktop', false);
  a.say('N', { type: 'masked', masked: 'all' });
  await expect(page.getByText('The hospital hides all of this screen, because it has no rule for its size.')).toBeVisible();
  a.say('N', { type: 'masked', masked: 'nothing' });
  await expect(page.getByText(/The hospital hides/)).toHaveCount(0);
});

test('a dropped line comes back to the console as it stands', async ({ page }) => {
  const { a, c } = await opens(page);
  await shows(page, c);
  await page.route('**/api/v1/attach', (r) => r.abort());
  a.welcome = { ...a.welcome, resumed: true };
  a.drop();
  await expect(page.getByText('coming back by itself')).toBeVisible();
  await expect(page.locator('canvas.still')).toBeVisible(); // how it stood
  await photograph(page, 'console-away-desktop', false);
  c.paint((x) => [x & 255, 200, 10]);
  await page.unroute('**/api/v1/attach');
  await shows(page, c);
  await sink(page).focus();
  await page.keyboard.type('k');
  await expect.poll(() => c.letters()).toBe('k');
  expect(a.connections).toBe(2);
});

test('ended: the picture stays, with the way to the recording', async ({ page }) => {
  const { a, c } = await opens(page);
  await shows(page, c);
  a.say('N', { type: 'ended', reason: 'killed-remote', text: 'Ended by the hospital' });
  a.drop();
  await everyLook(page, 'console-ended', async (p) => {
    await expect(p.getByText('Ended by the hospital.').last()).toBeVisible();
    await expect(p.locator('canvas.still')).toBeVisible();
    await expect(p.getByRole('link', { name: 'See the recording' })).toHaveAttribute('href', '/recordings/V-7H2K9M4QXW3EVN5TBJ6CPA8DFR');
  });
  expect(a.connections).toBe(1);
});

test.describe('a phone', () => {
  test.use({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  test('has the keys its keyboard lacks, and types through its own', async ({ page }) => {
    const { c } = await opens(page);
    await shows(page, c);
    expect(await sink(page).getAttribute('inputmode')).toBe('none');
    await page.getByRole('button', { name: 'Keyboard', exact: true }).tap();
    await expect(sink(page)).toBeFocused();
    expect(await sink(page).getAttribute('inputmode')).toBe('text');
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Input.imeSetComposition', { text: 'na', selectionStart: 2, selectionEnd: 2 });
    await expect.poll(() => c.letters()).toBe('na'); // at once, not with the next space
    await cdp.send('Input.imeSetComposition', { text: 'nü', selectionStart: 2, selectionEnd: 2 });
    await cdp.send('Input.insertText', { text: 'nü ' });
    await expect.poll(() => c.keys.filter((k) => k.down).map((k) => k.sym)).toEqual([0x6e, 0x61, 0xff08, 0xfc, 0x20]);
    await page.getByRole('button', { name: 'Alt', exact: true }).tap();
    await page.getByRole('button', { name: 'Tab', exact: true }).tap();
    await expect.poll(() => c.keys.slice(-4).map((k) => [k.sym, k.down])).toEqual([[0xffe9, true], [0xff09, true], [0xff09, false], [0xffe9, false]]);
    await photograph(page, 'console-touch-phone', false);
  });
});
