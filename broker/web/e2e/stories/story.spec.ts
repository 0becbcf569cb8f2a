// The whole story, with three people in three browsers against the real system:
// ask, approve, work, freeze, thaw, extend, end, replay, search, verify, review.
import type { Page } from '@playwright/test';
import { accessible, fits, looks, photograph } from '../look';
import { expect, test, visit, type World } from '../world';
import { ask, screen } from './people';

/** Each look works on a scanner of its own, so that the stories do not meet. */
const scenes = [
  { look: looks[0], asset: 'NGH-PETCT1', engineer: 'Jana Brandt' },
  { look: looks[1], asset: 'NGH-CT2', engineer: 'Luis Ortega' },
  { look: looks[2], asset: 'NGH-PETCT1', engineer: 'Luis Ortega' },
  { look: looks[3], asset: 'NGH-CT2', engineer: 'Jana Brandt' },
];

/** A picture that is also checked. */
async function picture(page: Page, name: string): Promise<void> {
  await fits(page);
  await photograph(page, `story-${name}`, false);
  await accessible(page);
}

for (const [i, { look, asset, engineer }] of scenes.entries()) {
  test(`from request to review, ${look.name}`, async ({ browser, world }) => {
    test.setTimeout(150_000);
    const order = `WO-2026-1187${i}`;
    const vendor = await visit(browser, world, engineer, '/assets', look);
    const hospital = await visit(browser, world, 'Maya Okafor', '/inbox', look);

    // The request appears at the hospital by itself.
    const id = await ask(vendor.page, asset, 'Tube arcs during the night; look at the event log.', order);
    const row = hospital.page.getByRole('link', { name: new RegExp(engineer) }).first();
    await expect(row).toBeVisible();
    await picture(hospital.page, `inbox-${look.name}`);
    await row.click();
    await expect(hospital.page).toHaveURL(new RegExp(id));
    const decide = hospital.page.getByRole('article', { name: 'Decide' });
    await expect(decide).toContainText('Tube arcs during the night');
    await expect(decide).toContainText(`sallyport approve ${id}`);
    await picture(hospital.page, `decide-${look.name}`);

    // The decision reaches the engineer's open page.
    await hospital.page.getByRole('button', { name: /^Approve/ }).click();
    await expect(hospital.page.getByText('Approved, ready to start')).toBeVisible();
    const open = vendor.page.getByRole('link', { name: 'Open the terminal' });
    await expect(open).toBeVisible();
    await picture(vendor.page, `approved-${look.name}`);

    // Work.
    await open.click();
    await expect(screen(vendor.page)).toContainText('Type help for the service commands', { timeout: 15_000 });
    await vendor.page.keyboard.type('swversion\n');
    await expect(screen(vendor.page)).toContainText('RECON 7.4');
    await picture(vendor.page, `terminal-${look.name}`);

    // Freeze: what is typed does not arrive. Thaw: typing goes on.
    await hospital.page.goto('/live');
    await hospital.page.getByRole('button', { name: new RegExp(`Freeze.*${engineer}`) }).click();
    await expect(vendor.page.getByText('The hospital froze this session.', { exact: true })).toBeVisible();
    await picture(vendor.page, `frozen-${look.name}`);
    await vendor.page.locator('.xterm-helper-textarea').focus();
    await vendor.page.keyboard.type('typed-into-the-ice\n');
    const thaw = hospital.page.getByRole('button', { name: new RegExp(`Thaw.*${engineer}`) });
    await picture(hospital.page, `live-${look.name}`);
    await thaw.click();
    await expect(vendor.page.getByText('The hospital lifted the freeze.').first()).toBeVisible();
    await vendor.page.locator('.xterm-helper-textarea').focus();
    await vendor.page.keyboard.type('tubestat\n');
    await expect(screen(vendor.page)).toContainText('within limits');
    await expect(screen(vendor.page)).not.toContainText('typed-into-the-ice');

    // Files, beside the terminal.
    await vendor.page.getByRole('button', { name: 'Files', exact: true }).click();
    const files = vendor.page.getByRole('region', { name: 'Files' }).or(vendor.page.getByRole('complementary', { name: 'Files' }));
    await expect(files.getByRole('button', { name: 'Upload' })).toBeEnabled();
    await files.locator('input[type=file]').setInputFiles({ name: `notes-${i}.txt`, mimeType: 'text/plain', buffer: Buffer.from('chiller flow 9.1 L/min\n') });
    await expect(files.getByRole('region', { name: 'On their way' })).toContainText(/[0-9a-f]{64}/);
    await expect(files.locator('[data-file]', { hasText: `notes-${i}.txt` })).toBeVisible();
    await picture(vendor.page, `files-${look.name}`);
    const [download] = await Promise.all([vendor.page.waitForEvent('download'), files.locator('[data-file]', { hasText: `notes-${i}.txt` }).click()]);
    expect((await (await download.createReadStream()).toArray()).join('')).toBe('chiller flow 9.1 L/min\n');
    await vendor.page.getByRole('button', { name: 'Close files' }).click();

    // More time, without leaving.
    await vendor.page.getByRole('button', { name: 'Extend', exact: true }).click();
    await vendor.page.getByLabel('Reason').fill('Fifteen minutes to watch the flow.');
    await vendor.page.getByRole('button', { name: /Ask to go on until/ }).click();
    await expect(vendor.page.getByText('The hospital was asked for more time', { exact: false }).first()).toBeVisible();
    await hospital.page.goto('/inbox');
    await hospital.page.getByRole('link', { name: new RegExp(engineer) }).first().click();
    const back = hospital.page.waitForURL(/\/done\//, { waitUntil: 'commit' });
    await hospital.page.getByRole('button', { name: /^Approve/ }).click();
    await back; // the engineer may hear of it before this page has come back from the identity provider
    await hospital.page.waitForURL(/\/requests\//, { waitUntil: 'commit' });
    await expect(vendor.page.getByText('This session was extended').first()).toBeVisible();
    await vendor.page.keyboard.type('evlog -n 3\n');
    await expect(screen(vendor.page)).toContainText('evlog -n 3');

    // The hospital ends it; the screen stays to be read.
    await hospital.page.goto('/live');
    await hospital.page.getByRole('button', { name: new RegExp(`End.*${engineer}`) }).click();
    await hospital.page.getByRole('dialog').getByRole('button', { name: /^End/ }).click();
    await expect(vendor.page.getByText(/Nothing goes to the device any more/)).toBeVisible();
    await picture(vendor.page, `ended-${look.name}`);

    await replay(browser, world, look, asset, order);
    await vendor.close();
    await hospital.close();
  });
}

/** The auditor finds, watches, searches, checks and reviews the recording. */
async function replay(browser: Parameters<typeof visit>[0], world: World, look: (typeof looks)[number], asset: string, order: string): Promise<void> {
  const auditor = await visit(browser, world, 'Sam Adeyemi', `/recordings?work_order=${order}`, look);
  const page = auditor.page;
  await expect(page.getByRole('link', { name: asset })).toHaveCount(1);
  await picture(page, `recordings-${look.name}`);
  await page.getByRole('link', { name: asset }).click();
  await page.getByLabel(/^Review: was it done/).check();
  await page.getByRole('button', { name: 'Show the recording' }).click();
  const search = page.getByRole('searchbox').first();
  await expect(search).toBeVisible({ timeout: 15_000 });
  await search.fill('RECON 7.4');
  await search.press('Enter');
  await expect(page.locator('.xterm-rows')).toContainText('RECON 7.4');
  await page.evaluate(() => scrollTo(0, 0));
  await picture(page, `player-${look.name}`);
  await page.getByRole('button', { name: 'Verify' }).click();
  await expect(page.getByText(/The broker checked/).first()).toBeVisible({ timeout: 15_000 });
  await page.getByLabel(/^As agreed/).check();
  await page.getByLabel('Comment').fill('Read along; the work order fits.');
  await page.getByRole('button', { name: 'Save the review' }).click();
  await expect(page.getByText('Read along; the work order fits.').first()).toBeVisible();
  await picture(page, `review-${look.name}`);
  await auditor.close();
}
