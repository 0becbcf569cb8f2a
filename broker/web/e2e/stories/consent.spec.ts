// The operator's consent, from both ends: the card on the agent's page, on a tablet, and what
// the engineer's page says meanwhile.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from '@playwright/test';
import { accessible, fits, photograph } from '../look';
import { expect as expects, test, visit, type World } from '../world';
import { approve, ask, screen } from './people';

const expect = expects.configure({ timeout: 20_000 });
const tablet = { width: 1024, height: 768 };

/** The page at the scanner, on a tablet; by somebody who knows the PIN, where that is asked. */
async function atTheScanner(browser: Browser, world: World, signs: boolean): Promise<Page> {
  const context = await browser.newContext({ baseURL: world.console, viewport: tablet, ignoreHTTPSErrors: true, hasTouch: true, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.on('pageerror', (e) => expect(e.message).toBe('no error'));
  await page.goto('/');
  if (signs) {
    await page.getByLabel('PIN').fill('271828');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
  }
  return page;
}

async function shown(page: Page, name: string): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await photograph(page, `scanner-${name}-${scheme}`);
    await accessible(page);
  }
  await fits(page);
}

/** Two scanners ask from now on: one its operator to accept, one for a code as well. */
function asks(world: World): () => void {
  const file = join(world.state, 'agent.yaml');
  const was = readFileSync(file, 'utf8');
  const reload = (text: string) => {
    writeFileSync(file, text);
    process.kill(world.pids.agent!, 'SIGHUP');
  };
  const ask = (text: string, asset: string, kind: string) => text.replace(new RegExp(`^(\\s*)- name: ${asset}\\n`, 'm'), `$1- name: ${asset}\n$1  consent: ${kind}\n`);
  reload(ask(ask(was, 'NGH-PETCT1', 'operator'), 'NGH-CT2', 'code'));
  return () => reload(was);
}

test('the operator lets a session open, and refuses another', async ({ browser, world }) => {
  test.setTimeout(240_000);
  const undo = asks(world);
  try {
    const [jana, luis] = [await visit(browser, world, 'Jana Brandt'), await visit(browser, world, 'Luis Ortega')];
    const hospital = await visit(browser, world, 'Maya Okafor', '/live');
    await jana.page.goto('/assets/NGH/NGH-PETCT1');
    await expect(jana.page.getByText('The operator at the scanner is asked when the session is to open').first()).toBeVisible();
    const [first, second] = [await ask(jana.page, 'NGH-PETCT1', 'Gantry drifts', 'WO-1'), await ask(luis.page, 'NGH-CT2', 'Tube arcs', 'WO-2')];
    await approve(hospital, first);
    await approve(hospital, second);
    const page = await atTheScanner(browser, world, true);
    const stranger = await atTheScanner(browser, world, false);
    const card = page.getByRole('region', { name: /wants to open .* at NGH-PETCT1/ });
    const other = page.getByRole('region', { name: /wants to open .* at NGH-CT2/ });

    // One waits: the card is there within a second of the engineer's word that they wait.
    await hospital.page.goto('/live');
    await jana.page.goto(`/requests/${first}`);
    await jana.page.getByRole('link', { name: 'Open the terminal' }).click();
    const waits = jana.page.getByText('This session opens when the operator at NGH-PETCT1 accepts.').first();
    const told = waits.waitFor({ timeout: 30_000 }).then(() => Date.now());
    const seen = card.waitFor({ timeout: 30_000 }).then(() => Date.now());
    console.log(`the card came ${(await seen) - (await told)} ms after the engineer's page had said that it waits`);
    await expect(jana.page.getByText('call them if nobody answers').first()).toBeVisible();
    await expect(hospital.page.getByRole('note').filter({ hasText: 'Awaiting consent.' })).toBeVisible();
    await accessible(jana.page);
    await photograph(jana.page, 'story-consent-engineer', false);
    for (const said of ['Jana Brandt', 'Gantry drifts', 'WO-1']) await expect(card).toContainText(said);
    await expect(stranger.getByRole('region', { name: 'Somebody of the vendor wants to open a session at NGH-PETCT1' })).toBeVisible();
    await expect(stranger.getByRole('button', { name: 'Accept' })).toHaveCount(0);
    expect(await stranger.content()).not.toMatch(/Brandt|Gantry|WO-1/);

    // Two wait, at two scanners; one of them can be opened with a code.
    await luis.page.goto(`/requests/${second}`);
    await luis.page.getByRole('link', { name: 'Open the terminal' }).click();
    await expect(luis.page.getByText('This session opens with the six digits that the operator at NGH-CT2 reads out').last()).toBeVisible();
    await expect(other).toContainText('Code to read out:');
    await expect(other.locator('.code b')).toHaveCount(6);
    await expect(hospital.page.getByRole('note').filter({ hasText: 'Awaiting consent.' })).toHaveCount(2);
    await shown(page, 'consent');
    await shown(stranger, 'consent-stranger');

    // Accepted: it opens by itself, and who is there is to be seen on every view of the page.
    await card.getByRole('button', { name: 'Accept' }).click();
    await expect(screen(jana.page)).toContainText('Type help for the service commands');
    await expect(card).toHaveCount(0);
    for (const view of [page, stranger]) await expect(view.getByRole('region', { name: 'NGH-PETCT1' }).getByText('Connected', { exact: true })).toBeVisible();
    await stranger.getByLabel('PIN').fill('000000');
    await stranger.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(stranger.getByRole('alert')).toContainText('That is not the PIN.');
    await expect(stranger.getByRole('region', { name: 'NGH-PETCT1' }).getByText('Connected', { exact: true })).toBeVisible();

    // Refused, by somebody who did not sign in: nothing is opened, and the engineer reads why.
    await stranger.getByRole('region', { name: /at NGH-CT2/ }).getByRole('button', { name: 'Refuse' }).click();
    await expect(luis.page.getByText('The operator at NGH-CT2 refused.').first()).toBeVisible();
    await expect(luis.page.getByText('Call the hospital before you ask again.').first()).toBeVisible();
    await expect(other).toHaveCount(0);
    await expect(hospital.page.getByText('Awaiting consent.')).toHaveCount(0);
    await photograph(luis.page, 'story-consent-refused', false);
    await expect(page.getByRole('region', { name: 'NGH-CT2' })).toContainText('Nobody is connected.');
    await shown(page, 'consent-given');

    // Asked again, the code is read out: a wrong one opens nothing, the right one does.
    await luis.page.getByRole('button', { name: 'Try again' }).click();
    await expect(other.locator('.code b')).toHaveCount(6);
    const digits = (await other.locator('.code b').allTextContents()).join('');
    expect(digits).toMatch(/^\d{6}$/);
    const field = luis.page.getByLabel('Code', { exact: true });
    await field.fill(digits === '000000' ? '111111' : '000000');
    await luis.page.keyboard.press('Enter');
    await expect(luis.page.getByText('That is not the code.').last()).toBeVisible();
    await photograph(luis.page, 'story-consent-code', false);
    await accessible(luis.page);
    await field.fill(`${digits.slice(0, 3)} ${digits.slice(3)}`);
    await luis.page.keyboard.press('Enter');
    await expect(screen(luis.page)).toContainText('Type help for the service commands');
    await expect(other).toHaveCount(0);
    await expect(page.getByRole('region', { name: 'NGH-CT2' }).getByText('Connected', { exact: true })).toBeVisible();
    for (const p of [page, stranger]) await p.context().close();
    for (const v of [jana, luis, hospital]) await v.close();
  } finally {
    undo();
  }
});
