// An approver decides on the agent's own page, on a tablet at the scanner: signed in by name,
// with what is signed read from its bytes.
import { accessible, fits, photograph } from '../look';
import { expect, test, visit } from '../world';
import { ask } from './people';

const tablet = { width: 1024, height: 768 };

test('an approver signs in by name at the scanner, allows less, and signs', async ({ browser, world }) => {
  test.setTimeout(180_000);
  const vendor = await visit(browser, world, 'Jana Brandt', '/assets/NGH/NGH-PETCT1');
  const id = await ask(vendor.page, 'NGH-PETCT1', 'Tube <arcs>', 'WO-2026-11873');
  const context = await browser.newContext({ baseURL: world.console, viewport: tablet, ignoreHTTPSErrors: true, hasTouch: true, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.on('console', (m) => expect(m.text()).not.toMatch(/Content.Security.Policy/i));
  const shown = async (name: string) => {
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      await photograph(page, `scanner-${name}-${scheme}`);
      await accessible(page);
    }
    const small = await page.locator('button, select, .button, fieldset label').evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().height < 48).map((e) => e.textContent));
    expect(small).toEqual([]);
    await fits(page);
    await page.setViewportSize({ width: 320, height: 600 });
    await fits(page);
    await page.setViewportSize(tablet);
  };

  // The PIN names nobody.
  await page.goto('/');
  await page.getByLabel('PIN').fill('271828');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('article')).toContainText('the PIN names nobody');
  await expect(page.getByRole('button', { name: 'Read and decide' })).toHaveCount(0);

  await page.getByRole('button', { name: 'Sign in by name' }).click();
  await page.getByRole('button', { name: /Maya Okafor/ }).click();
  await expect(page.getByRole('banner')).toContainText('Maya Okafor');
  await shown('named');
  await page.getByRole('button', { name: 'Read and decide' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Jana Brandt (meridian.example) asks to work at NGH-PETCT1');
  const signs = page.getByRole('region', { name: 'What you would sign' });
  await expect(signs).toContainText('copy files to the scanner');
  await expect(page.getByText('Tube <arcs>')).toBeVisible();
  await shown('decide');

  await page.getByLabel('At the longest').selectOption('10 min');
  await page.getByLabel('copy files to the scanner').uncheck();
  await page.getByLabel('copy files from the scanner').uncheck();
  await page.getByRole('button', { name: 'Show that instead' }).click();
  await expect(signs).toContainText('for up to 10 min');
  await expect(signs).not.toContainText('copy files to the scanner');
  await page.getByRole('region', { name: 'Refuse' }).getByRole('button').click(); // without a reason
  await expect(page.getByLabel('Why, for the engineer')).toBeFocused();

  await page.getByRole('button', { name: 'Approve' }).click(); // the demo's provider signs in afresh whom it is asked about
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Approved and admitted');
  await shown('approved');
  await page.getByRole('link', { name: 'Back to the page' }).click();
  await expect(page.getByRole('region', { name: 'NGH-PETCT1' })).toContainText('1 approved and not begun.');
  await expect(page.getByRole('banner')).toContainText('Maya Okafor');

  // The engineer's page has followed, and says who and where.
  await vendor.page.goto(`/requests/${id}`);
  await expect(vendor.page.getByText('Approved, ready to start')).toBeVisible();
  await expect(vendor.page.getByText('hospital’s page').first()).toBeVisible();
  await context.close();
  await vendor.close();
});
