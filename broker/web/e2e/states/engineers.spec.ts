import type * as T from '../../src/lib/types';
import { at, mock, people, problem } from '../mock';
import { nasty } from '../papers';
import { everyLook, expect, test } from '../look';

const engineer = (over: Partial<T.Engineer> = {}): T.Engineer => ({ ...people.brandt, site: 'NGH', disabled: false, at: null, waiting: [], asked: at(-3), ...over });
const shut = engineer({ ...people.ortega, disabled: true, by: 'Maya Okafor', at: at(-60), reason: 'Has left the firm', waiting: ['ngh-agent'], asked: at(-6000) });

test('nobody, not known yet, not to be had', async ({ page }) => {
  await mock(page, 'approver', { 'GET /engineers': [] });
  await page.goto('/engineers');
  await everyLook(page, 'engineers-empty', async () => expect(page.getByText('No engineer has asked yet.')).toBeVisible());
  await mock(page, 'approver', { 'GET /engineers': 'hang' });
  await page.goto('/engineers');
  await everyLook(page, 'engineers-loading', async () => expect(page.getByRole('status', { name: 'Loading' })).toBeVisible());
  await mock(page, 'approver', { 'GET /engineers': problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable') });
  await page.goto('/engineers');
  await everyLook(page, 'engineers-error', async () => expect(page.getByRole('alert')).toContainText('stays shut out'));
});

test('somebody is shut out, with a reason', async ({ page }) => {
  let all = [engineer(), shut];
  let body: unknown;
  await mock(page, 'approver', {
    'GET /engineers': () => all,
    'POST /engineers/disable': (_u: URL, _m: string, b: unknown) => ((body = b), (all = [engineer({ disabled: true, at: at(0), by: 'Maya Okafor', reason: 'Lost laptop' }), shut]), all[0]),
  });
  await page.goto('/engineers');
  await everyLook(page, 'engineers', async () => {
    await expect(page.getByText('ngh-agent has yet to hear of it')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Let Luis Ortega ask again' })).toBeVisible();
  });
  await page.getByRole('button', { name: 'Shut Jana Brandt out' }).click();
  const sheet = page.getByRole('dialog', { name: 'Shut this engineer out?' });
  await expect(sheet.getByRole('button', { name: 'Shut out' })).toBeDisabled();
  await sheet.getByLabel('Why?').fill('Lost laptop');
  await everyLook(page, 'engineers-shut', async () => expect(sheet).toContainText('open sessions end now'));
  await sheet.getByRole('button', { name: 'Shut out' }).click();
  await expect(sheet).toBeHidden();
  await expect(page.getByText('Lost laptop')).toBeVisible();
  expect(body).toEqual({ site: 'NGH', iss: people.brandt.iss, sub: people.brandt.sub, reason: 'Lost laptop' });
});

test('many, and text of strangers', async ({ page }) => {
  test.slow();
  const all = Array.from({ length: 40 }, (_, i) => engineer({ sub: `u-${i}`, name: `Engineer ${i}`, site: i < 20 ? 'NGH' : 'SVC', disabled: i % 9 === 0, at: i % 9 ? null : at(-9), by: 'Maya Okafor' }));
  all[0] = engineer({ sub: nasty, name: nasty, email: nasty, iss: 'https://' + 'x'.repeat(200), disabled: true, at: at(-1), by: nasty, reason: nasty, waiting: [nasty] });
  await mock(page, 'approver', { 'GET /engineers': all });
  await page.goto('/engineers');
  await everyLook(page, 'engineers-many', async () => {
    await expect(page.locator('[data-row]')).toHaveCount(40);
    expect(await page.locator('main img').count()).toBe(0);
  });
  await page.keyboard.press('/');
  await page.keyboard.type('engineer 3');
  await expect(page.locator('[data-row]')).toHaveCount(11);
});
