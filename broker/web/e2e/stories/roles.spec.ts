// The pages of each kind of people, with what a morning's work left on them: by day and by
// night, on a desk and in a hand.
import type { Page } from '@playwright/test';
import { accessible, fits, looks, photograph } from '../look';
import { expect as expects, test, visit, type World } from '../world';
import { approve, ask, choose, screen, work } from './people';

const expect = expects.configure({ timeout: 30_000 });

/** Shows a page as the pages' own tests and the long story show it least: by night, and in a hand. */
async function looked(page: Page, name: string): Promise<void> {
  for (const l of looks.slice(1)) {
    await page.setViewportSize({ width: l.width, height: l.height });
    await page.emulateMedia({ colorScheme: l.scheme, reducedMotion: 'reduce' });
    await fits(page);
    await photograph(page, `role-${name}-${l.name}`);
    if (l.scheme === 'dark') await test.step(`${name}, ${l.name}`, () => accessible(page));
  }
  await page.setViewportSize({ width: looks[0].width, height: looks[0].height });
  await page.emulateMedia({ colorScheme: looks[0].scheme, reducedMotion: 'reduce' });
}

/** Goes to pages, each of which shows what is told. */
async function walk(page: Page, who: string, pages: Record<string, string | RegExp>): Promise<void> {
  for (const [path, told] of Object.entries(pages)) {
    await page.goto(path);
    await expect(page.getByText(told).filter({ visible: true }).first()).toBeVisible();
    await looked(page, `${who}${path.replace(/[/?=]+/g, '-').replace(/-[RSV]-[a-z0-9]+/i, '-one')}`);
  }
}

const sealed = (world: World) => (JSON.parse(world.cli('auditor', 'recordings', 'ls', '-o', 'json')) as { id: string }[]).map((r) => r.id);

test('every page of each role', async ({ browser, world }) => {
  test.setTimeout(600_000);
  const [vendor, hospital] = await Promise.all([visit(browser, world, 'Luis Ortega'), visit(browser, world, 'Maya Okafor')]);

  // One that was declined, one that waits, a shell that ended, a console that goes on.
  const no = await ask(vendor.page, 'NGH-MR1', 'Look at the gradient coil.', 'WO-R1');
  await hospital.page.goto(`/requests/${no}`);
  await hospital.page.getByRole('button', { name: 'Decline' }).click();
  await hospital.page.getByRole('dialog').getByRole('textbox').fill('Scanner in use until 15:00.');
  await hospital.page.getByRole('dialog').getByRole('button', { name: /^Decline/ }).click();
  await expect(hospital.page.getByText(/Declined by/).first()).toBeVisible();
  const shell = await ask(vendor.page, 'NGH-CT2', 'Tube arcs during the night.', 'WO-R2');
  await approve(hospital, shell);
  await work(vendor.page, shell);
  await vendor.page.keyboard.type('swversion\n');
  await expect(screen(vendor.page)).toContainText('RECON 7.4');
  world.agent('kill', '--all');
  await expect(vendor.page.getByText(/Nothing goes to the device any more/)).toBeVisible();
  await vendor.page.goto('/assets/NGH/NGH-PETCT1');
  await choose(vendor.page, 'console-vnc');
  await vendor.page.getByLabel('Reason').fill('The chiller warning comes back.');
  await vendor.page.getByLabel('Work order').fill('WO-R3');
  await vendor.page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(vendor.page).toHaveURL(/\/requests\/R-/);
  const console = vendor.page.url().split('/').pop()!;
  await approve(hospital, console);
  await vendor.page.getByRole('link', { name: 'Open the console' }).click();
  await expect(vendor.page.getByRole('img', { name: /^Picture of the console/ })).toBeVisible();
  await looked(vendor.page, 'engineer-console');
  const waits = await vendor.context.newPage();
  const waiting = await ask(waits, 'NGH-MR1', 'Helium level falls.', 'WO-R4');

  await walk(waits, 'engineer', {
    '/assets': 'NGH-PETCT1', '/assets/NGH/NGH-PETCT1': 'console-vnc', '/requests': 'NGH-MR1', [`/requests/${waiting}`]: 'The hospital has not answered yet',
    [`/requests/${no}`]: /Declined by/, '/sessions': 'NGH-CT2', '/account': 'Luis Ortega',
  });
  await walk(hospital.page, 'approver', {
    '/inbox': 'NGH-MR1', [`/requests/${waiting}`]: 'Helium level falls.', '/live': 'Luis Ortega', '/sessions': 'NGH-PETCT1', '/engineers': 'Luis Ortega', '/recordings': 'NGH-CT2', '/account': 'Maya Okafor',
  });
  await hospital.page.goto('/live');
  await hospital.page.getByRole('button', { name: /Freeze.*Luis Ortega/ }).click();
  await expect(hospital.page.getByRole('button', { name: /Thaw.*Luis Ortega/ })).toBeVisible();
  await looked(hospital.page, 'approver-live-frozen');
  await expect(vendor.page.getByText('The hospital froze this session.', { exact: true })).toBeVisible();
  await looked(vendor.page, 'engineer-console-frozen');

  world.cli('auditor', 'login', '--hint', 's.adeyemi@northfield.example');
  const auditor = await visit(browser, world, 'Sam Adeyemi');
  await auditor.page.goto('/sessions');
  const session = await auditor.page.locator('a[href^="/sessions/S-"]').first().getAttribute('href');
  await walk(auditor.page, 'auditor', {
    '/live': 'Luis Ortega', '/sessions': 'NGH-PETCT1', [session!]: /Session on/, '/recordings': 'NGH-CT2', [`/recordings/${sealed(world)[0]}`]: 'Why do you look?', '/audit': /session/i, '/account': 'Sam Adeyemi',
  });
  world.agent('kill', '--all'); // other stories of this world find nobody at work
  await auditor.close();
  await hospital.close();
  await vendor.close();
});
