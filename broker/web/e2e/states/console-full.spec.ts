// A console in full screen: all keys go to the device, and what one has to know and to do of a
// session stays in reach.
import type { Locator, Page } from '@playwright/test';
import { accessible, expect as expects, photograph, test } from '../look';
import { mock, session } from '../mock';
import { agent, holdKey, sid } from '../agent';
import { FakeConsole } from '../rfb';

const expect = expects.configure({ timeout: 30_000 });
const escape = 0xff1b;
const picture = (page: Page) => page.getByRole('img', { name: /^Picture of the console/ });
const sink = (page: Page) => page.getByRole('textbox', { name: /^Console of/ });
const wide = (page: Page) => page.evaluate(() => document.fullscreenElement === document.documentElement);
/** What the page asked of the browser's lock of keys. */
const asked = (page: Page) => page.evaluate(() => (globalThis as unknown as { asked: string[] }).asked);

/** Opens a console in a browser that locks keys, or in one that cannot. */
async function opens(page: Page, channels = ['control'], locks = true) {
  await page.addInitScript((can) => {
    const asked: string[] = [];
    Object.assign(globalThis, { asked });
    const keyboard = can ? { lock: async () => void asked.push('lock'), unlock: () => void asked.push('unlock') } : undefined;
    Object.defineProperty(navigator, 'keyboard', { value: keyboard, configurable: true });
  }, locks);
  await mock(page, 'engineer', {
    'GET /sessions/*': session({ id: sid, service: 'console-vnc', protocol: 'vnc' }),
    'POST /attach': () => ({ ticket: 'T', expires: new Date(Date.now() + 30e3).toISOString(), url: '/api/v1/attach/ws' }),
  });
  const a = await agent(page, { challenge: { protocol: 'vnc', service: 'console-vnc' } });
  Object.assign(a.welcome, { service: 'console-vnc', channels });
  const c = new FakeConsole(a);
  await holdKey(page, session().request);
  await page.goto(`/console/NGH/NGH-PETCT1/console-vnc?session=${sid}`);
  await expect(picture(page)).toBeVisible();
  await page.getByRole('button', { name: 'Full screen' }).click();
  await expect.poll(() => wide(page)).toBe(true);
  return { a, c };
}
/** It can be seen and reached: nothing lies over its middle. */
async function within(page: Page, ...all: Locator[]): Promise<void> {
  for (const one of all) {
    await expect(one).toBeInViewport({ ratio: 1 });
    expect(await one.evaluate((e) => {
      const b = e.getBoundingClientRect();
      const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
      return top !== null && (e.contains(top) || top.contains(e));
    }), String(one)).toBe(true);
  }
}
const struck = (c: FakeConsole, sym: number) => c.keys.filter((k) => k.sym === sym).map((k) => k.down);

test('all keys go to the device, and the bars stay', async ({ page }) => {
  const { a, c } = await opens(page);
  expect(await asked(page)).toEqual(['lock']);
  await expect(page.getByText('Full screen. All keys go to the device, Esc too; hold Esc to leave.').first()).toBeVisible();
  await expect(page.locator('#leave-hint')).toHaveText('All keys go to the device. Ctrl Shift M leaves the console. Hold Esc to leave full screen.');
  await expect(sink(page)).toBeFocused();
  await page.keyboard.type('Az');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Tab');
  await expect.poll(() => c.keys.filter((k) => k.down).map((k) => k.sym)).toEqual([0x41, 0x7a, escape, 0xff09]);
  expect(await wide(page)).toBe(true);

  const bars = [page.getByText('recorded'), page.getByText(/left$|^\d{1,2}:\d\d$/).first(), page.getByRole('button', { name: 'Extend' }), page.getByRole('button', { name: 'End', exact: true }), page.getByRole('button', { name: 'Leave full screen' })];
  await within(page, ...bars);
  a.say('N', { type: 'frozen', causes: ['interlock'] });
  await within(page, ...bars, page.getByText('The hospital froze this session.', { exact: true }));
  await expect(page.locator('.strip.frozen')).toHaveCSS('border-top-width', '3px'); // unlike the strips that only say something
  await page.keyboard.type('x');
  await photograph(page, 'console-full-desktop', false);
  await accessible(page);
  a.say('N', { type: 'thawed', causes: [] });
  await expect(page.getByText('What you type and click goes to the device again.').first()).toBeVisible();
  expect(struck(c, 0x78)).toEqual([]);
  a.say('N', { type: 'said', text: 'The operator at the console is asked to accept.' });
  await within(page, page.getByText('The operator at the console is asked to accept.').last());

  // Out by keyboard to the bar, and the question before the end lies over the picture.
  await sink(page).focus();
  await page.keyboard.press('Control+Shift+M');
  await expect(sink(page)).not.toBeFocused();
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await within(page, page.getByRole('dialog').getByRole('button', { name: 'End the session' }));
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  expect(await wide(page)).toBe(true);
  expect(struck(c, escape)).toEqual([true, false]);

  // Who holds Esc leaves: the browser says so while the key is down, and the device is let go of it.
  await sink(page).focus();
  await page.keyboard.down('Escape');
  await expect.poll(() => struck(c, escape)).toEqual([true, false, true]);
  await page.evaluate(() => document.exitFullscreen());
  await expect.poll(() => struck(c, escape)).toEqual([true, false, true, false]);
  await expect.poll(() => asked(page)).toEqual(['lock', 'unlock']);
  await expect(page.getByRole('button', { name: 'Full screen', exact: true })).toBeVisible();
  await expect(page.getByText('You left full screen.')).toBeAttached();
  await page.keyboard.up('Escape');
  await page.keyboard.type('q');
  await expect.poll(() => struck(c, 0x71)).toEqual([true, false]);
  await expect(page.getByText('to leave full screen')).toHaveCount(0);
});

test('a browser that locks no keys: Esc leaves, and is sent from the page', async ({ page }) => {
  const { c } = await opens(page, ['control'], false);
  await expect(page.getByText('Full screen. Esc leaves it; to send Esc to the device, press it under Keys.').first()).toBeVisible();
  await expect(page.getByText('leaves full screen.')).toBeVisible();
  await page.getByRole('button', { name: 'Keys' }).click();
  await page.getByRole('button', { name: 'Escape' }).click();
  await expect.poll(() => struck(c, escape)).toEqual([true, false]);
  expect(await wide(page)).toBe(true);
  await page.getByRole('button', { name: 'Leave full screen' }).click();
  await expect.poll(() => wide(page)).toBe(false);
  expect(await asked(page)).toEqual([]);
});

test('who only looks keeps the keys, and Esc leaves', async ({ page }) => {
  await opens(page, []);
  expect(await asked(page)).toEqual([]);
  await expect(page.getByText('Full screen. Esc leaves it.').first()).toBeVisible();
});

test('when it is over the keys are the engineer\'s again, and so is the screen with the next page', async ({ page }) => {
  const { a } = await opens(page);
  a.say('N', { type: 'ended', reason: 'killed-remote', text: 'Ended by the hospital' });
  await expect(page.getByText('Ended by the hospital.').last()).toBeVisible();
  await expect.poll(() => asked(page)).toEqual(['lock', 'unlock']);
  await within(page, page.getByRole('link', { name: 'See the recording' }));
  await page.getByRole('link', { name: 'Open the session' }).click();
  await expect.poll(() => wide(page)).toBe(false);
});
