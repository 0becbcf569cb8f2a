import type * as T from '../../src/lib/types';
import { asset, at, mock, people, problem, request, session, happen } from '../mock';
import { nasty, papers } from '../papers';
import { holds } from '../figure';
import { everyLook, expect, fits, test } from '../look';

const none = { 'GET /requests': [], 'GET /assets': [asset()], 'GET /sessions': [] };
const assets = [asset(), asset({ name: 'NGH-CT2', label: 'Rotor 128', modality: 'CT' }), asset({ name: 'NGH-MR1', label: 'Fluxa 1.5', modality: 'MR' })];
const many = (n: number) =>
  Array.from({ length: n }, (_, i) =>
    papers(i, {
      created: at(-2 - i * 3), asset: assets[i % 3]!.name, engineer: i % 2 ? people.ortega : people.brandt, work_order: `WO-2026-${11873 + i}`,
      max_seconds: [1800, 3600, 900][i % 3]!, class: i % 5 === 0 ? 'disruptive' : 'non-disruptive', needed: i % 7 === 0 ? 2 : 1,
    }).request,
  );
const lately = [
  request({ id: 'R-' + 'b'.repeat(26), status: 'denied', denied_by: 'Maya Okafor', deny_reason: 'Scanner in use until 15:00', created: at(-70) }),
  request({ id: 'R-' + 'c'.repeat(26), status: 'closed', engineer: people.ortega, created: at(-200), asset: 'NGH-CT2' }),
  request({ id: 'R-' + 'd'.repeat(26), status: 'approved', created: at(-20), asset: 'NGH-MR1' }),
];

test('nobody waits', async ({ page }) => {
  await mock(page, 'approver', none);
  await page.goto('/inbox');
  await everyLook(page, 'inbox-empty', async () => {
    await expect(page.getByRole('heading', { name: 'Nobody is waiting for you.' })).toBeVisible();
    await expect(page).toHaveTitle('Inbox - Sallyport');
  });
});

test('not known yet, and not to be had', async ({ page }) => {
  await mock(page, 'approver', { ...none, 'GET /requests': 'hang' });
  await page.goto('/inbox');
  await everyLook(page, 'inbox-loading', async () => expect(page.getByRole('status', { name: 'Loading' })).toBeVisible());
  await mock(page, 'approver', { ...none, 'GET /requests': problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable') });
  await page.goto('/inbox');
  await everyLook(page, 'inbox-error', async () => expect(page.getByRole('alert')).toContainText('wait at the broker'));
});

test('a session that asks to go on stands on top', async ({ page }) => {
  const ext = papers(900, { kind: 'extension', extends: session().id, created: at(-1), max_seconds: 3600 }).request;
  const mine = papers(901, { needed: 2, approvals: 1, missing: ['modality-managers'], approved: [{ by: people.okafor, class: 'web', at: at(-3) }] }).request;
  await mock(page, 'approver', { 'GET /requests': [...many(3), ext, mine, ...lately], 'GET /assets': assets, 'GET /sessions': [session({ deadline: at(4) })] });
  await page.goto('/inbox');
  await everyLook(page, 'inbox', async () => {
    await expect(page.getByRole('main').getByRole('listitem').first()).toContainText('Live now');
    await expect(page.getByText('You approved, others have to')).toBeVisible();
    await expect(page.getByText('Scanner in use until 15:00')).toBeVisible();
    await expect(page).toHaveTitle('(4) Inbox - Sallyport');
  });
});

test('it fills by itself, and says so', async ({ page }) => {
  let all: T.Request[] = [];
  await mock(page, 'approver', { ...none, 'GET /requests': () => all });
  await page.goto('/inbox');
  await expect(page.getByRole('heading', { name: 'Nobody is waiting for you.' })).toBeVisible();
  all = [papers(1).request];
  await happen(page, 'request', all[0]!.id);
  await expect(page.getByRole('link', { name: /Jana Brandt/ })).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'New request: Jana Brandt, meridian.example, for NGH/NGH-PETCT1.' })).toHaveCount(1);
  await expect(page).toHaveTitle('(1) Inbox - Sallyport');
});

test('two hundred are painted at once and walked by keys', async ({ page }) => {
  await mock(page, 'approver', { 'GET /requests': many(200), 'GET /assets': assets, 'GET /sessions': [] });
  await page.goto('/inbox');
  await expect(page.locator('[data-row]')).toHaveCount(200);
  await fits(page);
  // From the answer to the painted rows, on a page that is loaded already.
  await holds('200 requests painted', 300, 1000, async () => {
    await page.getByRole('link', { name: 'Audit' }).click();
    await expect(page.getByRole('heading', { name: 'Audit' })).toBeVisible();
    return page.evaluate(async () => {
      const begin = performance.now();
      document.querySelector<HTMLAnchorElement>('a[href="/inbox"]')!.click();
      while (document.querySelectorAll('[data-row]').length < 200) await new Promise((r) => requestAnimationFrame(r));
      await new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
      return performance.now() - begin;
    });
  });
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await page.keyboard.press('j');
  await expect(page.locator('[data-row]').nth(1)).toBeFocused();
  await page.keyboard.press('/');
  await page.keyboard.type('WO-2026-11880');
  await expect(page.locator('[data-row]')).toHaveCount(1);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/requests\/R-/);
});

test('many, as they look', async ({ page }) => {
  test.slow();
  await mock(page, 'approver', { 'GET /requests': [...many(60), ...lately], 'GET /assets': assets, 'GET /sessions': [] });
  await page.goto('/inbox?asset=NGH%2FNGH-CT2');
  await everyLook(page, 'inbox-many', async () => {
    await expect(page.getByText('Only NGH/NGH-CT2.')).toBeVisible();
    await expect(page.locator('[data-row]')).toHaveCount(20 + 1);
  });
});

test('all of one engineer or vendor is declined in one step, by keys', async ({ page }) => {
  let all = [...many(5), papers(50, { engineer: people.okafor }).request, papers(51, { approved: [{ by: people.okafor, class: 'web', at: at(-3) }], needed: 2, approvals: 1 }).request, ...lately];
  const sent: unknown[] = [];
  let answer: unknown = problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable');
  await mock(page, 'approver', { 'GET /requests': () => all, 'GET /assets': assets, 'GET /sessions': [], 'POST /requests/deny': (_: URL, __: string, body: unknown) => (sent.push(body), answer) });
  await page.goto('/inbox?asset=NGH%2FNGH-CT2'); // the filter narrows what is seen, not what is denied
  const several = page.getByRole('button', { name: 'Decline several' });
  await several.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Decline all of one engineer or vendor' });
  const whose = dialog.getByRole('combobox', { name: 'Whose?' });
  await expect(whose.getByRole('option')).toHaveText([
    'Choose',
    '6 requests of all engineers of idp.meridian.example, at NGH',
    '4 requests of Jana Brandt, meridian.example, at NGH',
    '2 requests of Luis Ortega, meridian.example, at NGH',
  ]);
  await expect(dialog.getByRole('button', { name: 'Decline', exact: true })).toBeDisabled();
  await whose.focus();
  await page.keyboard.press('ArrowDown');
  await everyLook(page, 'inbox-decline-several', async () => {
    await expect(dialog).toContainText('6 requests are declined: 4 of Jana Brandt and 2 of Luis Ortega, for scanners of NGH.');
    await expect(dialog.getByRole('button', { name: 'Decline 6 requests' })).toBeDisabled(); // no reason yet
  });
  await whose.focus();
  await page.keyboard.press('ArrowDown');
  await expect(dialog).toContainText('4 requests are declined: 4 of Jana Brandt, for scanners of NGH.');
  await page.keyboard.press('Tab');
  await page.keyboard.type('One request is enough.');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await expect(dialog.getByRole('button', { name: 'Decline 4 requests' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(dialog.getByRole('alert')).toContainText('Your words are still here.');
  answer = { requests: all.slice(0, 3).map((r) => r.id), left: 1 };
  all = all.filter((r) => r.engineer !== people.brandt);
  await dialog.getByRole('button', { name: 'Decline 4 requests' }).click();
  await expect(page.getByRole('status').filter({ hasText: '3 requests of Jana Brandt, meridian.example are declined at NGH; 1 could not be just now and still waits: decline again in a moment.' })).toBeVisible();
  await expect(dialog).toBeHidden();
  await expect(several).toBeFocused();
  const { iss, sub } = people.brandt;
  expect(sent).toEqual([{ site: 'NGH', iss, sub, reason: 'One request is enough.' }, { site: 'NGH', iss, sub, reason: 'One request is enough.' }]);
  // One engineer is left with several: no choice is to be made. What they take back while it is read is not denied.
  await several.click();
  await expect(whose).toHaveValue(JSON.stringify(['NGH', people.ortega.iss, people.ortega.sub]));
  await dialog.getByRole('textbox', { name: 'Why?' }).fill('Not today.');
  all = all.filter((r) => r.engineer !== people.ortega);
  await happen(page, 'request');
  await expect(dialog).toContainText('Nothing of theirs waits any more.');
  await expect(dialog.getByRole('button', { name: 'Decline', exact: true })).toBeDisabled();
  await page.keyboard.press('Escape');
  await expect(several).toHaveCount(0);
  expect(sent).toHaveLength(2);
});

test('text of strangers stays text', async ({ page }) => {
  const engineer = { iss: 'https://evil.example', sub: nasty, email: nasty, name: nasty };
  await mock(page, 'approver', {
    'GET /requests': [papers(1, { engineer, work_order: nasty, services: [nasty] }).request, papers(2, { engineer }).request, request({ id: 'R-' + 'e'.repeat(26), status: 'denied', engineer, denied_by: nasty, deny_reason: nasty, work_order: nasty })],
    'GET /assets': [asset({ label: nasty, modality: nasty })], 'GET /sessions': [],
  });
  await page.goto('/inbox');
  await everyLook(page, 'inbox-hostile', async () => {
    await expect(page.locator('[data-row]')).toHaveCount(3);
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.locator('main').textContent()).not.toContain('\u202e');
  });
  await page.getByRole('button', { name: 'Decline several' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('2 requests are declined');
  await everyLook(page, 'inbox-decline-hostile', async () => {
    expect(await dialog.locator('img').count()).toBe(0);
    expect(await dialog.textContent()).not.toContain('\u202e');
  });
});
