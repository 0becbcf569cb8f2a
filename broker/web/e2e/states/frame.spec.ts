import { mock } from '../mock';
import { everyLook, expect, test } from '../look';

test('a page that is not there says so', async ({ page }) => {
  await mock(page, 'approver');
  await page.goto('/nothing/here/at/all');
  await everyLook(page, 'unknown', async (p) => {
    await expect(p.getByRole('heading', { name: 'There is nothing here.' })).toBeVisible();
  });
});

test('a broker that does not answer is said, and asked again', async ({ page }) => {
  await mock(page, 'approver', { 'GET /me': { status: 503, body: { kind: 'unreachable', message: "The broker's store did not answer.", next: 'Try again in a moment.', status: 503 } } });
  await page.goto('/inbox');
  await everyLook(page, 'unreachable', async (p) => {
    await expect(p.getByRole('alert')).toContainText('did not answer');
  });
});
