// Looking at pages: every look is a size and a light; every page is checked by axe
// and leaves a picture. A violation of the page's security policy fails the test.
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';

export const looks = [
  { name: 'desktop-light', width: 1280, height: 800, scheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 800, scheme: 'dark' },
  { name: 'phone-light', width: 390, height: 844, scheme: 'light' },
  { name: 'phone-dark', width: 390, height: 844, scheme: 'dark' },
] as const;

export const test = base.extend({
  page: async ({ page }, use) => {
    const broken: string[] = [];
    page.on('pageerror', (e) => broken.push('the page threw: ' + e.message));
    page.on('console', (m) => {
      if (/Content.Security.Policy|Trusted ?Type/i.test(m.text())) broken.push('the page broke its policy: ' + m.text());
    });
    await use(page);
    expect(broken).toEqual([]);
  },
});
export { expect };

/** axe finds nothing, once what moves has come to rest: half way there is no colour that anybody chose. */
export async function accessible(page: Page): Promise<void> {
  await page.waitForFunction(() => document.getAnimations().every((a) => a.playState !== 'running' || a.effect?.getComputedTiming().endTime === Infinity));
  const found = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
  expect(found.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`)).toEqual([]);
}

/** Nothing is wider than the window. */
export async function fits(page: Page): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over, 'pixels that stand out of the window').toBeLessThanOrEqual(0);
}

/**
 * Leaves a picture for people to look at. A headless Chromium that was just resized now and then draws no frame for one:
 * it is made a pixel wider and asked again, in the end for what the window shows alone. A picture is no check, so one that
 * is never drawn is noted with the test and not held against the page, which is read by the checks beside it.
 */
export async function photograph(page: Page, name: string, whole = true): Promise<void> {
  const path = `../../build/screens/${name}.png`;
  for (const [fullPage, timeout] of [[whole, 8000], [whole, 12_000], [false, 12_000]] as const) {
    const drawn = await page.screenshot({ path, fullPage, timeout }).then(() => true, () => false);
    if (drawn) return;
    test.setTimeout(test.info().timeout + 2 * timeout);
    await redraw(page);
  }
  test.info().annotations.push({ type: 'no picture', description: `${name} was not drawn by Chromium` });
}

async function redraw(page: Page): Promise<void> {
  const size = page.viewportSize();
  if (!size) return;
  await page.bringToFront();
  await page.setViewportSize({ width: size.width + 1, height: size.height });
  await page.setViewportSize(size);
}

/** Shows the page in every look, checks each, and leaves pictures build/screens/NAME-LOOK.png. */
export async function everyLook(page: Page, name: string, arrived: (page: Page) => Promise<void>): Promise<void> {
  for (const l of looks) {
    await page.setViewportSize({ width: l.width, height: l.height });
    await page.emulateMedia({ colorScheme: l.scheme, reducedMotion: 'reduce' });
    await arrived(page);
    await fits(page);
    await page.evaluate(() => scrollTo(0, 0));
    // Both lights and both sizes are checked once; the other two differ in nothing that axe reads, and
    // leave their pictures where somebody looks at them.
    const checked = l.name === 'desktop-light' || l.name === 'phone-dark';
    if (checked || !process.env.CI) await photograph(page, `${name}-${l.name}`);
    if (checked) await accessible(page);
  }
  await page.setViewportSize({ width: 320, height: 700 });
  await fits(page);
}
