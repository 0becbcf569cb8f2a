// How a scanner stands for its patients, on every page that shows one.
import { readFileSync } from 'node:fs';
import { asset, at, context, mock, none, request, session, standing } from '../mock';
import { papers } from '../papers';
import { everyLook, expect, test } from '../look';

const away = standing({ state: 'unknown', last: 'in-service', why: 'its agent is not connected' });
const silent = standing({ interlock: 'unknown', state: 'unknown', why: 'its agent has not said yet', source: '', detail: '', at: null, until: null, since: null });
const scanning = standing({ state: 'scanning', source: 'mpps', detail: 'examination in progress', until: null });

for (const [who, path, name] of [['engineer', '/assets', 'standing-cards'], ['approver', '/live', 'standing-board']] as const) {
  test(`the state of each scanner with source and age: ${path}`, async ({ page }) => {
    const assets = [
      asset(), asset({ name: 'NGH-CT2', standing: scanning }), asset({ name: 'NGH-CT3', standing: none }),
      asset({ name: 'NGH-CT4', online: false, standing: away }), asset({ name: 'NGH-CT5', standing: silent }),
    ];
    await mock(page, who, { 'GET /assets': assets, 'GET /requests': [], 'GET /sessions': [session()] });
    await page.goto(path);
    const states = page.getByRole('group', { name: 'State of the scanner' });
    await everyLook(page, name, async () => {
      await expect(states).toHaveCount(5);
      await expect(states.nth(0)).toHaveText(/^The scanner is idle\. operator: set by T\. Reyes, \d+ min ago, holds until .*\d\d:\d\d\s*$/);
      await expect(states.nth(1)).toHaveText(/^The scanner is scanning\. mpps: examination in progress, \d+ min ago\s*$/);
      await expect(states.nth(2)).toHaveText('Interlock: none. Nothing here knows about patients, and nothing is stopped for them.');
      await expect(states.nth(3)).toHaveText(/^The scanner is in a state that nobody knows, .* does not count: its agent is not connected\. It was in service \(operator: set by T\. Reyes, \d+ min ago\)\.\s*$/);
      await expect(states.nth(4)).toHaveText(/^The scanner is in a state that nobody knows, .* does not count: its agent has not said yet\.\s*$/);
    });
  });
}

test('an approver sees what the class means in each state', async ({ page }) => {
  const p = papers(1);
  const answers = { [`GET /requests/${p.request.id}`]: p.request, [`GET /requests/${p.request.id}/documents`]: p.documents, [`GET /requests/${p.request.id}/context`]: context };
  const means = page.getByRole('region', { name: 'patients first' });
  await mock(page, 'approver', { ...answers, 'GET /assets': [asset({ standing: scanning })] });
  await page.goto(`/requests/${p.request.id}`);
  await everyLook(page, 'standing-decision', async () => {
    await expect(means.getByRole('listitem')).toHaveText([
      'Works while the scanner is in service, down or idle.',
      /^Looks on while it is with a patient on the table, scanning or in a state that nobody knows, .*: nothing of theirs reaches the scanner\.$/,
    ]);
    await expect(means).toContainText('As it stands now, they could not work.');
  });
  // The hospital's command says the same.
  const said = JSON.parse(readFileSync(new URL('../../../../session/wording/testdata/standing.json', import.meta.url), 'utf8'));
  for (const x of said) {
    await mock(page, 'approver', { ...answers, 'GET /assets': [asset({ standing: standing({ works: { observe: x.works, 'non-disruptive': x.works, disruptive: x.works } }) })] });
    await page.reload();
    await expect(means.getByRole('listitem')).toHaveText(x.says);
  }
  // A hospital's own rules are shown, and a key switch that is off.
  const tight = standing({ shut: 'key-switch: off', works: { observe: ['in-service'], 'non-disruptive': [], disruptive: [] } });
  await mock(page, 'approver', { ...answers, 'GET /assets': [asset({ standing: tight })] });
  await page.reload();
  await expect(means.getByRole('listitem').first()).toHaveText('Works in no state of the scanner.');
  await expect(means.getByRole('listitem').last()).toHaveText('Nothing opens now: key-switch: off.');
  await mock(page, 'approver', { ...answers, 'GET /assets': [asset({ standing: none })] });
  await page.reload();
  await expect(means).toContainText('Interlock: none.');
});

const r = request({ status: 'approved', grant: session().id });
for (const [path, name] of [['/assets/NGH/NGH-PETCT1', 'standing-ask'], [`/requests/${r.id}`, 'standing-request'], [`/sessions/${session().id}`, 'standing-session']] as const) {
  test(`who asks, and whoever looks at a request or a session, sees the same: ${name}`, async ({ page }) => {
    await mock(page, 'engineer', { 'GET /assets': [asset({ standing: scanning })], [`GET /requests/${r.id}`]: r, [`GET /sessions/${session().id}`]: session({ state: 'frozen', frozen: ['interlock'], deadline: at(20) }) });
    await page.goto(path);
    const state = page.getByRole('group', { name: 'State of the scanner' });
    await everyLook(page, name, async () => {
      await expect(state).toContainText('The scanner is scanning. mpps: examination in progress');
      await expect(state.getByRole('listitem').first()).toHaveText('Works while the scanner is in service, down or idle.');
    });
  });
}

test('what an agent says stays text', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset({ standing: standing({ detail: '\u202e<b>set</b> by\nnobody ' + 'x'.repeat(400) }) })], 'GET /requests': [], 'GET /sessions': [] });
  await page.goto('/assets');
  const state = page.getByRole('group', { name: 'State of the scanner' });
  await expect(state).toContainText('operator: \ufffd<b>set</b> by nobody');
  await page.setViewportSize({ width: 320, height: 700 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0);
});

test('who asks and who decides read what the operator will be asked', async ({ page }) => {
  const p = papers(1);
  const says = 'The operator at the scanner is asked when the session is to open, and has to accept.';
  await mock(page, 'engineer', { 'GET /assets': [asset({ consent: 'operator' })] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await everyLook(page, 'consent-ask', async () => expect(page.getByText(says)).toBeVisible());
  await mock(page, 'approver', { [`GET /requests/${p.request.id}`]: p.request, [`GET /requests/${p.request.id}/documents`]: p.documents, [`GET /requests/${p.request.id}/context`]: context, 'GET /assets': [asset({ consent: 'operator' })] });
  await page.goto(`/requests/${p.request.id}`);
  await expect(page.getByText(says)).toBeVisible();
  await mock(page, 'engineer', { 'GET /assets': [asset()] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await expect(page.getByLabel('Reason')).toBeVisible();
  await expect(page.getByText('The operator at the scanner is asked')).toHaveCount(0);
});
