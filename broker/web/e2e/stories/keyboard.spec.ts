// The story without a pointer: every step is reached by Tab, taken by Enter or Space,
// and the focus is always to be seen.
import type { Page } from '@playwright/test';
import { expect, test, visit } from '../world';
import { screen } from './people';

/** Tabs until the focused element has this name; its ring must show. */
async function reach(page: Page, name: RegExp, most = 60): Promise<void> {
  const seen: string[] = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const e = document.activeElement as HTMLElement | null;
      if (!e || e === document.body) return null;
      const labelled = (e as HTMLInputElement).labels?.[0]?.textContent ?? '';
      const style = getComputedStyle(e);
      const box = e.getBoundingClientRect();
      return { words: [e.getAttribute('aria-label') ?? '', labelled, e.textContent ?? ''].join(' ').replace(/\s+/g, ' ').trim(), ring: style.outlineStyle !== 'none' || style.boxShadow !== 'none', size: box.width * box.height, skip: e.classList.contains('skip') };
    });
    if (!at) continue;
    seen.push(at.words.slice(0, 60));
    if (!at.skip && at.size > 1) expect(at.ring, `the focus on “${at.words.slice(0, 60)}” shows`).toBe(true);
    if (name.test(at.words)) return;
  }
  throw new Error(`Tab never reached ${name}; it passed ${seen.join(' | ')}`);
}

test('ask, approve, work and end with the keyboard alone', async ({ browser, world }) => {
  test.setTimeout(90_000);
  const vendor = await visit(browser, world, 'Jana Brandt', '/assets/NGH/NGH-CT2');
  const page = vendor.page;
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Rotor');
  await reach(page, /^\s*Reason/);
  await page.keyboard.type('By keyboard.');
  await reach(page, /^\s*Work order/);
  await page.keyboard.type('WO-5');
  await reach(page, /^Sign and ask/);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/requests\/R-/);

  const hospital = await visit(browser, world, 'Maya Okafor', '/inbox');
  await expect(hospital.page.locator('[data-row]').first()).toBeVisible();
  await hospital.page.keyboard.press('j');
  await hospital.page.keyboard.press('Enter');
  await expect(hospital.page).toHaveURL(/\/requests\/R-/);
  await expect(hospital.page.getByRole('button', { name: /^Approve/ })).toBeEnabled();
  await reach(hospital.page, /^Approve/);
  await hospital.page.keyboard.press('Enter');
  await expect(hospital.page.getByText('Approved, ready to start')).toBeVisible();

  await expect(page.getByRole('link', { name: 'Open the terminal' })).toBeVisible();
  await reach(page, /^Open the terminal/);
  await page.keyboard.press('Enter');
  await expect(screen(page)).toContainText('Type help', { timeout: 15_000 });
  await page.keyboard.type('swversion\n');
  await expect(screen(page)).toContainText('RECON 7.4');
  await page.keyboard.press('Control+Shift+KeyM'); // now Tab leaves the terminal
  await reach(page, /^End/);
  await page.keyboard.press('Enter');
  await reach(page, /^End the session/);
  await page.keyboard.press('Enter');
  await expect(page.getByText(/Nothing goes to the device any more/)).toBeVisible();
  await hospital.close();
  await vendor.close();
});
