// Firmware is written through a console in the browser: the engineer asks for a critical
// section and declares it, a patient comes, the alarm rings at the scanner, it is ended; then
// more time is asked for in the console, declined, asked for again and granted.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessible, fits, photograph } from '../look';
import { expect as expects, test, visit, type World } from '../world';
import { approve, choose } from './people';

const expect = expects.configure({ timeout: 30_000 });

/** The hospital allows critical sections, and disruptive work. */
async function allows(world: World): Promise<void> {
  const file = join(world.state, 'agent.yaml');
  const text = readFileSync(file, 'utf8');
  const changed = text.replaceAll('class: non-disruptive', 'class: disruptive').replace('zone: Europe/London', 'zone: Europe/London\n    critical_section: 5m');
  expects(changed).not.toBe(text);
  writeFileSync(file, changed);
  process.kill(world.pids.agent!, 'SIGHUP');
}

test('a critical section in the browser, its alarm at the scanner, and more time in place', async ({ browser, world }) => {
  test.setTimeout(240_000);
  await allows(world);
  const [vendor, hospital] = await Promise.all([visit(browser, world, 'Jana Brandt'), visit(browser, world, 'Maya Okafor')]);
  const { page } = vendor;
  const state = (...args: string[]) => world.agent('state', 'set', ...args, '--asset', 'NGH-PETCT1');

  await expect(async () => {
    await page.goto('/assets/NGH/NGH-PETCT1');
    await choose(page, 'console-vnc');
    await expects(page.getByRole('group', { name: 'Critical sections' })).toBeVisible({ timeout: 5000 });
  }).toPass();
  await page.getByRole('group', { name: 'Critical sections' }).getByText('5 minutes').click();
  await page.getByLabel('Reason').fill('Firmware 4.2 of the detector.');
  await page.getByLabel('Work order').fill('WO-2026-12044');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page).toHaveURL(/\/requests\/R-/);
  await approve(hospital, page.url().split('/').pop()!);
  await page.getByRole('link', { name: 'Open the console' }).click();
  await expect(page.getByRole('img', { name: /^Picture of the console/ })).toBeVisible();

  // She declares it, on the session's page, by the key of this browser.
  const report = await vendor.page.context().newPage();
  await report.goto((await page.getByRole('link', { name: /^Session, / }).getAttribute('href'))!);
  await report.getByLabel('What is being done').fill('firmware 4.2');
  await report.getByRole('button', { name: 'Declare it, for 5 minutes' }).click();
  await expect(report.getByText('Critical section until', { exact: false }).first()).toBeVisible();
  await expect(report.getByRole('timer')).toContainText(/[1-5]:\d\d left/);
  await expect(page.getByText(/Critical section until .*: firmware 4\.2/).first()).toBeVisible();

  // A patient comes. At the scanner it is large and in words, and STOP says what it comes to.
  state('patient-on-table');
  const context = await browser.newContext({ baseURL: world.console, viewport: { width: 1024, height: 768 }, ignoreHTTPSErrors: true, reducedMotion: 'reduce' });
  const scanner = await context.newPage();
  await scanner.goto('/');
  const alarm = scanner.getByRole('region', { name: 'Alarm: NGH-PETCT1 is with a patient on the table in a critical section' });
  await expect(alarm).toContainText('the remote session is not frozen for the patient');
  await expect(scanner.locator('#alarms')).toContainText('Freeze and STOP work at once.');
  await expect(scanner.getByRole('button', { name: 'STOP NGH-PETCT1' })).toHaveAccessibleDescription(/stopping now may leave the scanner unusable/);
  await expect.poll(() => readFileSync(join(world.state, 'lamp'), 'utf8').trim(), { intervals: [170] }).toBe('0'); // it blinks
  await expect.poll(() => readFileSync(join(world.state, 'lamp'), 'utf8').trim(), { intervals: [170] }).toBe('1');
  for (const scheme of ['light', 'dark'] as const) {
    await scanner.emulateMedia({ colorScheme: scheme });
    await photograph(scanner, `scanner-alarm-${scheme}`);
    await accessible(scanner);
  }
  await fits(scanner);
  await expect(report.getByText('Alarm: a patient may be at the scanner')).toBeVisible();
  await hospital.page.goto('/live');
  await expect(hospital.page.getByText('Alarm: a patient may be at the scanner').first()).toBeVisible();

  // It is done: the state counts again, at once.
  await report.getByRole('button', { name: 'End the critical section' }).click();
  await expect(report.getByRole('timer')).toHaveCount(0);
  await expect(scanner.getByRole('region', { name: 'NGH-PETCT1', exact: true })).toContainText('Frozen for the patient');
  await expect(alarm).toHaveCount(0);
  await scanner.getByLabel('PIN').fill('271828');
  await scanner.getByRole('button', { name: 'Sign in', exact: true }).click();
  const two = scanner.getByText('2 h', { exact: true });
  await two.click();
  await photograph(scanner, 'scanner-holds');
  await scanner.getByRole('button', { name: 'In service' }).click();
  await expect(scanner.getByRole('region', { name: 'NGH-PETCT1', exact: true })).toContainText('The scanner is in service.');
  expect(JSON.parse(world.agent('state', 'ls', '--json')).some((s: { asset: string; until?: string }) => s.asset === 'NGH-PETCT1' && Date.parse(s.until ?? '') - Date.now() > 110 * 60e3)).toBe(true);
  await scanner.getByRole('button', { name: 'Thaw this session' }).click();
  await expect(page.getByText('The hospital froze this session.', { exact: false }).first()).toBeHidden();

  // More time, in the console: declined, asked again, granted. Nothing is opened anew.
  const more = async (why: string) => {
    await page.bringToFront();
    await page.getByRole('button', { name: 'Extend', exact: true }).click();
    await page.getByLabel('Reason').fill(why);
    await page.getByRole('button', { name: /Ask to go on until/ }).click();
    await expect(page.getByText(/The hospital was asked for more time, until .* at the latest/).last()).toBeVisible();
    await expect(async () => { // an earlier request may still be the first of the inbox
      await hospital.page.goto('/inbox');
      await hospital.page.getByRole('link', { name: /Jana Brandt/ }).first().click();
      await expects(hospital.page.getByText(/go on with a session that is open, until .* instead of/).first()).toBeVisible({ timeout: 4000 });
    }).toPass();
  };
  await more('Fifteen minutes to verify.');
  await hospital.page.getByRole('button', { name: 'Decline' }).click();
  await hospital.page.getByLabel(/Why|Reason/).last().fill('The scanner is needed.');
  await hospital.page.getByRole('button', { name: /^Decline/ }).last().click();
  await expect(page.getByText('More time was declined, or is no longer asked for: this session ends at').first()).toBeVisible();
  await photograph(page, 'story-console-declined', false);
  await more('Ten, then.');
  await hospital.page.getByRole('button', { name: /^Approve/ }).click();
  await expect(page.getByText('This session was extended').first()).toBeVisible();
  await photograph(page, 'story-console-extended', false);
  await expect(page.getByRole('img', { name: /^Picture of the console/ })).toBeVisible();
  expect(world.agent('status')).toContain('console-vnc');
  await context.close();
  await vendor.close();
  await hospital.close();
});
