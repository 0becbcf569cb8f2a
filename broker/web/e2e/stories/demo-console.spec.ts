// The demonstration's console, as it is shown to a visitor: ask, approve, work, watch in a
// second browser, freeze, thaw, come back, kill, replay, look through, take along.
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { accessible, fits, photograph } from '../look';
import { expect as expects, test, visit, type Visitor, type World } from '../world';
import { approve, choose } from './people';

const expect = expects.configure({ timeout: 30_000 });
const picture = (page: Page) => page.getByRole('img', { name: /^Picture of the console/ });
const sink = (page: Page) => page.getByRole('textbox', { name: /^Console of/ });
const replayed = (page: Page) => page.getByRole('group', { name: /^The recorded console/ }).locator('canvas');

/** What a canvas shows, as the hash of its pixels. */
const seen = (page: Page, of = picture(page)) =>
  of.evaluate(async (c: HTMLCanvasElement) => {
    if (!c.width) return '';
    const sum = await crypto.subtle.digest('SHA-256', c.getContext('2d')!.getImageData(0, 0, c.width, c.height).data);
    return `${c.width}x${c.height} ` + Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, '0')).join('');
  });
const empty = 'e3b0c442';

async function shot(page: Page, name: string): Promise<void> {
  await fits(page);
  await photograph(page, `story-console-${name}`, false);
}

/** What is typed is seen by all who look. */
async function types(who: Visitor, text: string, ...by: Visitor[]): Promise<void> {
  const before = await Promise.all([who, ...by].map((v) => seen(v.page)));
  await sink(who.page).focus();
  await who.page.keyboard.type(text);
  for (const [i, v] of [who, ...by].entries()) await expect.poll(() => seen(v.page)).not.toBe(before[i]);
}

test('the console of the demonstration', async ({ browser, world }) => {
  test.setTimeout(180_000);
  const [vendor, hospital] = await Promise.all([visit(browser, world, 'Jana Brandt'), visit(browser, world, 'Maya Okafor')]);
  const { page } = vendor;

  await page.goto('/assets/NGH/NGH-PETCT1');
  await choose(page, 'console-vnc');
  await page.getByLabel('Reason').fill('The chiller warning comes back; look at the service console.');
  await page.getByLabel('Work order').fill('WO-2026-12001');
  await shot(page, 'ask');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page).toHaveURL(/\/requests\/R-/);
  await approve(hospital, page.url().split('/').pop()!);

  // Work. What is hidden is said.
  await page.getByRole('link', { name: 'Open the console' }).click();
  await expect(picture(page)).toBeVisible();
  await expect(page.getByText('The hospital hides part of this screen.')).toBeVisible();
  await expect.poll(() => seen(page)).not.toContain(empty);
  await types(vendor, 'evlog');
  await accessible(page);
  await shot(page, 'work');

  // An auditor finds the session and watches.
  const auditor = await visit(browser, world, 'Sam Adeyemi', '/live');
  const session = new URL(page.url()).searchParams.get('session');
  await auditor.page.goto('/sessions');
  await auditor.page.getByRole('link', { name: /NGH-PETCT1/ }).first().click();
  await auditor.page.getByRole('link', { name: 'Watch' }).click();
  await expect(picture(auditor.page)).toBeVisible();
  await expect(page.getByText('Sam Adeyemi watches.').first()).toBeAttached();
  await expect(auditor.page.getByText('watching')).toBeVisible();
  await types(vendor, ' -n 5', auditor);
  await shot(auditor.page, 'watch');
  await accessible(auditor.page);

  // Freeze: nothing that is typed arrives. Thaw: it does again.
  await hospital.page.goto('/live');
  await hospital.page.getByRole('button', { name: /Freeze.*Jana Brandt/ }).click();
  await expect(page.getByText('The hospital froze this session.', { exact: true })).toBeVisible();
  await sink(page).focus();
  await page.keyboard.type('typed into the ice');
  await shot(page, 'frozen');
  await shot(auditor.page, 'watch-frozen');
  await hospital.page.getByRole('button', { name: /Thaw.*Jana Brandt/ }).click();
  await expect(page.getByText('What you type and click goes to the device again.').first()).toBeVisible();
  await types(vendor, '\n', auditor);

  // A page that is loaded anew comes back without asking anybody.
  await page.reload();
  await expect(picture(page)).toBeVisible();
  await types(vendor, 'q', auditor);
  expect(new URL(page.url()).searchParams.get('session')).toBe(session);

  // The end, at once for everybody.
  await hospital.page.getByRole('button', { name: /End.*Jana Brandt/ }).click();
  await hospital.page.getByRole('dialog').getByRole('button', { name: /^End/ }).click();
  await expect(page.getByText(/Nothing goes to the device any more/)).toBeVisible();
  await expect(auditor.page.getByText('The hospital ended this session.').last()).toBeVisible();
  await shot(page, 'ended');
  await shot(auditor.page, 'watch-ended');
  await review(auditor);
  await alone(auditor, world);
  await vendor.close();
  await hospital.close();
  await auditor.close();
});

/** From the session to its recording: jump, look along, take the contact sheet. */
async function review(auditor: Visitor): Promise<void> {
  const { page } = auditor;
  await page.getByRole('link', { name: 'Open the session' }).click();
  await expect(page.getByRole('heading', { name: /^Session on/ })).toBeVisible();
  await shot(page, 'session');
  await page.locator('a[href^="/recordings/V-"]').first().click();
  await page.getByLabel(/^Review: was it done/).check();
  await page.getByRole('button', { name: 'Show the recording' }).click();
  await expect(replayed(page)).toBeVisible();
  const [whole, frame] = [(await replayed(page).boundingBox())!, (await page.getByRole('group', { name: /^The recorded console/ }).boundingBox())!];
  expect([whole.y >= frame.y, whole.y + whole.height <= frame.y + frame.height + 1, whole.width / whole.height], 'all of the console is seen').toEqual([true, true, expect.closeTo(1280 / 1024, 1)]);
  const moment = page.getByRole('slider', { name: 'Moment' });
  await expect.poll(async () => Number(await moment.getAttribute('max'))).toBeGreaterThan(1000);
  const first = await seen(page, replayed(page));
  const box = (await moment.boundingBox())!;
  await page.mouse.click(box.x + box.width * 0.97, box.y + box.height / 2); // by then something was typed
  await expect.poll(() => seen(page, replayed(page))).not.toBe(first);
  const end = await moment.inputValue();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await expect.poll(async () => Math.round((10 * Number(await moment.inputValue())) / Number(end))).toBe(5);
  await expect(page.getByText(/^Masked: the hospital hides parts/)).toBeVisible();
  await page.mouse.move(box.x + box.width / 3, box.y + 10);
  await expect(page.locator('.thumb.shown')).toBeVisible();
  await shot(page, 'replay');
  await accessible(page);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Contact sheet' }).click()]);
  const sheet = readFileSync((await file.path())!);
  expect([file.suggestedFilename().endsWith('.png'), sheet.readUInt32BE(16) > 1600]).toEqual([true, true]);
  await file.saveAs('../../build/screens/story-console-sheet.png');
}

/** The same on the auditor's own machine: the command's player, which asks nobody. */
async function alone(auditor: Visitor, world: World): Promise<void> {
  const id = auditor.page.url().match(/V-[a-z0-9]+/)![0];
  world.cli('auditor', 'login', '--hint', 's.adeyemi@northfield.example');
  const play = await world.starts('auditor', 'recordings', 'play', id, '--reason', 'Complaint 12', '-o', 'json');
  const told = JSON.parse(play.line) as { listen: string; url: string };
  expect(told.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[a-z0-9]{26}\/$/);
  const page = await auditor.context.newPage();
  const elsewhere: string[] = [];
  page.on('request', (r) => void (new URL(r.url()).host !== told.listen && elsewhere.push(r.url())));
  await page.goto(told.url);
  await expect(replayed(page)).toBeVisible();
  // The same moment shows the same, to the pixel.
  const at = async (p: Page, t: number) => {
    await p.evaluate((to) => (location.hash = `t=${to}`), t);
    await expect(p.getByText(new RegExp(`^0:0?${t} /`))).toBeVisible();
  };
  for (const p of [page, auditor.page]) await at(p, 2);
  await expect.poll(() => seen(page, replayed(page))).toBe(await seen(auditor.page, replayed(auditor.page)));
  const box = (await page.getByRole('slider', { name: 'Moment' }).boundingBox())!;
  await page.mouse.move(box.x + box.width / 3, box.y + 10);
  await expect(page.locator('.thumb.shown')).toBeVisible();
  await shot(page, 'alone');
  await accessible(page);
  expect(elsewhere).toEqual([]);
  expect(await play.stop()).toBe(0);
  await page.close();
}
