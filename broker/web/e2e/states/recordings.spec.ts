import { everyLook, expect, test } from '../look';
import { at, mock, problem, recording } from '../mock';

const id = (n: number) => 'V-' + String(n).padStart(26, 'A');
const kinds = [
  recording({ id: id(1), state: 'live', ended: null, reason: '', digest: null, started: at(-12) }),
  recording({ id: id(2), verdict: { at: at(-5), verdict: 'tampered', signer: 'known', segments: 41, countersigned: true, logged: true, message: 'Segment 12 is not what the agent signed.' } }),
  recording({ id: id(3), state: 'torn', reason: 'agent-lost', digest: { seconds: 95, lines: 10, files_in: 0, files_out: 0, refused: 2, warnings: 0, freezes: 0 } }),
  recording({ id: id(4), reason: 'killed-remote', stuck: { part: 'seal', parts: 1, since: at(-50), message: 'The seal of this recording cannot be stored.', next: 'Ask.' }, engineer: 'a.very.long.name.of.an.engineer.that.does.not.break@subsidiary.meridian-imaging-service.example', work_order: 'WO-' + '9'.repeat(60) }),
  recording({ id: id(5), readable: false, digest: null, reviews: [{ by: 's.adeyemi@northfield.example', at: at(-1), attestation: 'concern', comment: 'x' }] }),
];

test('recordings of every kind', async ({ page }) => {
  await mock(page, 'auditor', { 'GET /recordings': kinds });
  await page.goto('/recordings');
  await everyLook(page, 'recordings', async (p) => {
    await expect(p.getByText('Still growing')).toBeVisible();
    await expect(p.getByRole('img', { name: 'tampered' })).toBeVisible();
    await expect(p.getByText(/2 refused/)).toBeVisible();
    await expect(p.getByText(/^not stored in full/)).toBeVisible();
    await expect(p.getByText('One recording is not stored in full')).toBeVisible();
  });
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await expect(page.locator(':focus')).toHaveAttribute('href', '/recordings/' + id(2));
  await page.keyboard.press('/');
  await expect(page.getByLabel('Asset')).toBeFocused();
});

test('filters are the address, and back is back', async ({ page }) => {
  const asked: string[] = [];
  await mock(page, 'auditor', { 'GET /recordings': (u: URL) => (asked.push(u.search), kinds.slice(0, 2)) });
  await page.goto('/recordings');
  await page.getByLabel('Work order').fill('WO-1');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/work_order=WO-1$/);
  await page.getByLabel('Torn').check();
  await expect(page).toHaveURL(/work_order=WO-1&with=torn$/);
  await page.getByLabel('From').fill('2026-11-01');
  await expect(page).toHaveURL(/from=2026-11-01/);
  await expect.poll(() => asked.at(-1)).toMatch(/work_order=WO-1&from=2026-1.*with=torn&limit=50/);
  await page.goBack();
  await page.goBack();
  await expect(page).toHaveURL(/work_order=WO-1$/);
  await expect(page.getByLabel('Torn')).not.toBeChecked();
  await expect(page.getByLabel('Work order')).toHaveValue('WO-1');
  await page.goBack();
  await expect(page.getByLabel('Work order')).toHaveValue('');
});

test('200 recordings come in pages', async ({ page }) => {
  await mock(page, 'approver', {});
  await page.route(/\/api\/v1\/recordings\?/, async (r) => {
    const before = Number(new URL(r.request().url()).searchParams.get('after') ?? 0);
    const body = Array.from({ length: 50 }, (_, i) => recording({ id: id(before + i), started: at(-60 * (before + i + 1)) }));
    await r.fulfill({ json: body, headers: before < 150 ? { 'X-Next': String(before + 50) } : {} });
  });
  await page.goto('/recordings');
  for (const n of [50, 100, 150]) {
    await expect(page.locator('[data-row]')).toHaveCount(n);
    await page.getByRole('button', { name: 'Show more' }).click();
  }
  await expect(page.locator('[data-row]')).toHaveCount(200);
  await expect(page.getByRole('button', { name: 'Show more' })).toHaveCount(0);
});

test('none, none that fit, and no answer', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /recordings': [] });
  await page.goto('/recordings');
  await everyLook(page, 'recordings-empty', (p) => expect(p.getByText('Nothing was recorded yet.')).toBeVisible());
  await page.goto('/recordings?with=torn');
  await expect(page.getByText('No recording fits this.')).toBeVisible();
  await mock(page, 'auditor', { 'GET /recordings': problem(503, "The broker's vault did not answer.", 'Try again in a moment.', 'unreachable') });
  await page.goto('/recordings');
  await expect(page.getByRole('alert')).toContainText('did not answer');
  await mock(page, 'auditor', { 'GET /recordings': 'hang' });
  await page.goto('/recordings');
  await expect(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});
