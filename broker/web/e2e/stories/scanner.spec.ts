// The agent's own page, as the people at the scanner have it: on a tablet, with gloves, at
// night, and with the broker gone.
import type { Browser, Page } from '@playwright/test';
import { accessible, fits, photograph } from '../look';
import { expect, test, visit, type World } from '../world';
import { choose } from './people';

const tablet = { width: 1024, height: 768 };

/** The page on a tablet; without scripts, where that is asked. */
async function atTheScanner(browser: Browser, world: World, scripts = true): Promise<Page> {
  const context = await browser.newContext({ baseURL: world.console, viewport: tablet, ignoreHTTPSErrors: true, hasTouch: true, javaScriptEnabled: scripts, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.on('pageerror', (e) => expect(e.message).toBe('no error'));
  page.on('console', (m) => expect(m.text()).not.toMatch(/Content.Security.Policy/i));
  await page.goto('/');
  return page;
}

/** Takes a picture in both lights, and finds nothing too small, too wide or unreadable. */
async function shown(page: Page, name: string): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await photograph(page, `scanner-${name}-${scheme}`);
    await accessible(page);
  }
  // At one moment: the board follows the agent, and a button that goes has no size.
  const small = await page.locator('button, input:visible').evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().height < 64).map((e) => e.textContent));
  expect(small).toEqual([]);
  await fits(page);
  await page.setViewportSize({ width: 320, height: 600 });
  await fits(page);
  await page.setViewportSize(tablet);
}

/** Who signed in reads what waits for an approval, as it was signed; others that something waits. */
async function reads(browser: Browser, world: World, stranger: Page, request: string): Promise<void> {
  await expect(stranger.getByRole('region', { name: "1 request waits for the hospital's approval" })).toBeVisible();
  expect(await stranger.content()).not.toMatch(/Brandt|Gantry|meridian|WO-2026/);
  const page = await atTheScanner(browser, world);
  await page.getByLabel('PIN').fill('271828');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  const asked = page.getByRole('article', { name: 'Jana Brandt (meridian.example) asks to work at NGH-PETCT1' });
  for (const said of ['Gantry <tilt> drifts', 'WO-2026-11873', 'work on the console', 'Approved by nobody yet; 1 needed.', `sallyport approve ${request}`]) await expect(asked).toContainText(said);
  await shown(page, 'asked');
  await page.context().close();
}

test('the page at the scanner: nobody, somebody and why, frozen, stopped', async ({ browser, world }) => {
  test.setTimeout(180_000);
  const page = await atTheScanner(browser, world);
  const scanner = page.getByRole('region', { name: 'NGH-PETCT1' });
  await expect(scanner).toContainText('Nobody is connected.');
  await shown(page, 'nobody');

  const vendor = await visit(browser, world, 'Jana Brandt', '/assets/NGH/NGH-PETCT1');
  await choose(vendor.page, 'console-vnc');
  await vendor.page.getByLabel('Reason').fill('Gantry <tilt> drifts');
  await vendor.page.getByLabel('Work order').fill('WO-2026-11873');
  await vendor.page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(vendor.page).toHaveURL(/\/requests\/R-/);
  await reads(browser, world, page, vendor.page.url().split('/').pop()!);
  world.cli('approver', 'login', '--hint', 'm.okafor@northfield.example');
  world.cli('approver', 'approve', vendor.page.url().split('/').pop()!, '--yes');
  await expect(scanner).toContainText('1 approved and not begun.');
  await expect(page.getByText('approval')).toHaveCount(0);
  await vendor.page.getByRole('link', { name: 'Open the console' }).click();
  await expect(vendor.page.getByRole('img', { name: /^Picture of the console/ })).toBeVisible({ timeout: 30_000 });

  // A stranger at the page learns that somebody is there, and no more.
  await expect(scanner).toContainText('Connected');
  expect(await page.content()).not.toMatch(/Brandt|Gantry|meridian|WO-2026|Thaw/);
  await page.getByLabel('PIN').fill('123456');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('That is not the PIN.');
  await page.getByLabel('PIN').fill('271828');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(scanner).toContainText('Jana Brandt');
  await expect(scanner).toContainText('Gantry <tilt> drifts');
  await expect(scanner).toContainText('WO-2026-11873');
  await expect(scanner).toContainText('of meridian.example');
  await expect(scanner).toContainText('j.brandt@meridian.example may work on the console');
  const picture = scanner.getByRole('img');
  await expect.poll(() => picture.evaluate((e: HTMLImageElement) => e.naturalWidth)).toBeGreaterThan(300);
  const stop = (await scanner.getByRole('button', { name: /^STOP/ }).boundingBox())!;
  expect(stop.y + stop.height, 'STOP is in the first view, whatever the screen shows').toBeLessThan(tablet.height / 2);
  await shown(page, 'somebody');

  // A patient comes, whom anybody may report; that nobody is there any more needs the PIN, and a thaw.
  await expect(scanner).toContainText('The scanner is in service.');
  const passer = await atTheScanner(browser, world, false);
  await expect(passer.getByRole('region', { name: 'NGH-MR1' })).toContainText('Interlock: none.');
  await passer.getByRole('button', { name: 'Patient on table' }).click();
  await expect(passer.getByRole('region', { name: 'NGH-PETCT1' })).toContainText('The scanner is with a patient on the table.');
  await expect(passer.getByRole('button', { name: 'Idle' })).toHaveCount(0);
  await passer.context().close();
  await expect(scanner).toContainText('Frozen for the patient');
  await expect(scanner.getByRole('button', { name: 'Patient on table' })).toHaveAttribute('aria-pressed', 'true');
  await shown(page, 'patient');
  await scanner.getByRole('button', { name: 'Thaw this session' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(scanner).toContainText('Frozen for the patient');
  await scanner.getByRole('button', { name: 'In service' }).click();
  await expect(scanner).toContainText('The scanner is in service.');
  await scanner.getByRole('button', { name: 'Thaw this session' }).click();
  await expect(scanner).toContainText('Connected');

  await scanner.getByRole('button', { name: /^Freeze/ }).click();
  await expect(page.getByRole('status').first()).toContainText('Nothing more goes to the scanner.');
  await expect(scanner).toContainText('Frozen here');
  await shown(page, 'frozen');
  await scanner.getByRole('button', { name: /^Thaw/ }).click();
  await expect(scanner).not.toContainText('Frozen here');

  // STOP with the broker suspended, on a tablet whose browser runs no scripts, by nobody who signed in.
  process.kill(world.pids.broker!, 'SIGSTOP');
  try {
    const plain = await atTheScanner(browser, world, false);
    await plain.getByRole('button', { name: 'STOP NGH-PETCT1' }).click();
    await expect(plain.getByRole('status').first()).toContainText('Stopped.');
    await expect(plain.getByRole('region', { name: 'NGH-PETCT1' })).toContainText('Nobody is connected.');
    await plain.context().close();
    await expect(scanner).toContainText('Nobody is connected.');
    await expect(page.getByRole('region', { name: 'Today' })).toContainText('Gantry <tilt> drifts');
  } finally {
    process.kill(world.pids.broker!, 'SIGCONT');
  }
  await shown(page, 'stopped');
  await page.context().close();
  await vendor.close();
});
