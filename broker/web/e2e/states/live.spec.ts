import type * as T from '../../src/lib/types';
import { asset, at, mock, people, problem, request, session, happen, soon } from '../mock';
import { nasty } from '../papers';
import { everyLook, expect, fits, test } from '../look';

const assets = [
  asset(), asset({ name: 'NGH-CT2', label: 'Rotor 128', modality: 'CT' }), asset({ name: 'NGH-MR1', label: 'Fluxa 1.5', modality: 'MR' }),
  asset({ name: 'SVC-NM1', site: 'SVC', label: 'Gemina T', modality: 'NM', online: false }),
];
const second = session({ id: 'S-' + 'b'.repeat(26), request: 'R-' + 'b'.repeat(26), asset: 'NGH-CT2', engineer: 'l.ortega@meridian.example', deadline: at(4), frozen: ['broker', 'local', 'interlock'], state: 'frozen', work_order: 'WO-2026-11901' });
const requests = [request({ status: 'approved' }), request({ id: 'R-' + 'b'.repeat(26), status: 'approved', engineer: people.ortega }), request({ id: 'R-' + 'c'.repeat(26), asset: 'NGH-MR1' })];

test('an empty board is the good picture', async ({ page }) => {
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session({ state: 'ended', ended: at(-1) })], 'GET /requests': [] });
  await page.goto('/live');
  await everyLook(page, 'live-empty', async () => {
    await expect(page.getByText('Nobody is on a scanner.')).toBeVisible();
    await expect(page.getByText('Its agent is not connected.')).toBeVisible();
    await expect(page).toHaveTitle('Live - Sallyport');
  });
});

test('not known yet, and not to be had', async ({ page }) => {
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': 'hang', 'GET /requests': [] });
  await page.goto('/live');
  await everyLook(page, 'live-loading', async () => expect(page.getByRole('status', { name: 'Loading' })).toBeVisible());
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable'), 'GET /requests': [] });
  await page.goto('/live');
  await everyLook(page, 'live-error', async () => expect(page.getByRole('alert')).toContainText('sallyport-agent kill --all'));
});

test('who is on which scanner', async ({ page }) => {
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session(), second], 'GET /requests': requests });
  await page.goto('/live');
  await everyLook(page, 'live', async () => {
    await expect(page.getByText('Jana Brandt')).toBeVisible();
    await expect(page.getByText('Frozen by the hospital, at the scanner and because the scanner is in use.')).toBeVisible();
    await expect(page.getByText(`sallyport-agent thaw ${second.id}`)).toBeVisible();
    await expect(page.getByRole('link', { name: '1 waiting', exact: true })).toHaveAttribute('href', '/inbox?asset=NGH%2FNGH-MR1');
    await expect(page).toHaveTitle('● 2 live - Sallyport');
  });
});

test('who asks for more time is said at their session', async ({ page }) => {
  const more = request({ id: 'R-' + 'd'.repeat(26), kind: 'extension', extends: session().id });
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session(), second], 'GET /requests': [...requests, more] });
  await page.goto('/live');
  await everyLook(page, 'live-longer', async () => {
    await expect(page.getByText('asks for more time.')).toHaveCount(1);
    await expect(page.getByRole('link', { name: 'Decide' })).toHaveAttribute('href', '/requests/' + more.id);
    await expect(page.getByText(/Without an answer it ends at /)).toBeVisible();
  });
});

test('a device that the agent cannot log in to is said in its words', async ({ page }) => {
  const no = { service: 'recon-ssh', at: at(-2), message: 'The device at recon-ssh of NGH-PETCT1 does not accept the login.', next: 'Ask the hospital to look at the password in the agent.' };
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session({ no_device: no })], 'GET /requests': requests });
  await page.goto('/live');
  await everyLook(page, 'live-no-device', async () => {
    const note = page.getByRole('note').filter({ hasText: 'No connection to recon-ssh' });
    await expect(note).toContainText(no.message);
    await expect(note).toContainText(no.next);
  });
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session({ no_device: { ...no, message: nasty, next: '' } })], 'GET /requests': requests });
  await page.goto('/live');
  await fits(page);
});

const asked = (over: Partial<T.Consent> = {}): T.Consent => ({ kind: 'operator', service: 'recon-ssh', since: soon(-1), until: soon(4), wrong: 0, outcome: '', by: '', how: '', at: null, ...over });

test('who waits for the operator at the scanner is on the board, and on no scanner', async ({ page }) => {
  const waits = session({ state: 'awaiting-consent', opened: null, deadline: null, recordings: [], consent: asked({ kind: 'code', wrong: 1 }) });
  let all: T.Session[] = [];
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': () => all, 'GET /requests': requests, [`POST /sessions/${waits.id}/kill`]: () => ((all = []), session({ state: 'ended', ended: at(0), reason: 'revoked', opened: null })) });
  await page.goto('/live');
  await expect(page.getByText('Nobody is on a scanner.')).toBeVisible();
  all = [waits];
  await happen(page, 'session', waits.id);
  await everyLook(page, 'live-consent', async () => {
    await expect(page.getByText('One waits for the operator at the scanner.')).toBeVisible();
    await expect(page.getByText('Nobody is on a scanner.')).toBeVisible();
    const note = page.getByRole('note').filter({ hasText: 'Awaiting consent.' });
    await expect(note).toContainText('types the code that they read out');
    await expect(note).toContainText('One wrong code was typed.');
    await expect(page.getByRole('link', { name: 'Watch' })).toHaveCount(0);
  });
  await page.getByRole('button', { name: 'Take back the approval of Jana Brandt' }).click();
  await page.getByRole('dialog', { name: 'Take the approval back?' }).getByRole('button', { name: 'Take it back' }).click();
  await expect(page.getByText('Awaiting consent.')).toHaveCount(0);
});

test('what came of asking the operator is said in text that steers nothing', async ({ page }) => {
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': [session({ state: 'awaiting-consent', opened: null, deadline: null, consent: asked({ by: nasty }) })], 'GET /requests': requests });
  await page.goto('/live');
  await expect(page.getByText('Awaiting consent.')).toBeVisible();
  await fits(page);
});

test('freezing holds when the agent says so, and thaws', async ({ page }) => {
  let s: T.Session = session();
  let answer: (v: unknown) => void = () => {};
  await mock(page, 'approver', {
    'GET /assets': assets, 'GET /sessions': () => [s], 'GET /requests': requests,
    [`POST /sessions/${s.id}/freeze`]: () => new Promise((done) => (answer = done)),
    [`POST /sessions/${s.id}/thaw`]: () => (s = session()),
  });
  await page.goto('/live');
  await page.getByRole('button', { name: 'Freeze what Jana Brandt types' }).click();
  await expect(page.getByRole('button', { name: 'Freeze what Jana Brandt types' })).toHaveText('Freezing…');
  await everyLook(page, 'live-freezing', async () => expect(page.getByText('Freezing…')).toBeVisible());
  s = session({ state: 'frozen', frozen: ['broker'] });
  answer(s);
  await expect(page.getByText('Frozen by the hospital.')).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'nothing that Jana Brandt types reaches the scanner' })).toHaveCount(1);
  await page.getByRole('button', { name: 'Let Jana Brandt type again' }).click();
  await expect(page.getByText('Frozen by the hospital.')).toHaveCount(0);
});

test('ending asks once', async ({ page }) => {
  let all = [session()];
  await mock(page, 'approver', {
    'GET /assets': assets, 'GET /sessions': () => all, 'GET /requests': requests,
    [`POST /sessions/${session().id}/kill`]: () => ((all = []), session({ state: 'ended', ended: at(0), reason: 'killed-remote' })),
  });
  await page.goto('/live');
  await page.getByRole('button', { name: 'End the session of Jana Brandt' }).click();
  const sheet = page.getByRole('dialog', { name: 'End this session?' });
  await everyLook(page, 'live-end', async () => expect(sheet).toContainText('closes within a second'));
  await sheet.getByRole('button', { name: 'End the session' }).click();
  await expect(page.getByText('Nobody is on a scanner.')).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'j.brandt@meridian.example on NGH/NGH-PETCT1/recon-ssh has ended.' })).toHaveCount(1);
});

test('an end that does not arrive names the way at the hospital', async ({ page }) => {
  await mock(page, 'approver', {
    'GET /assets': [asset({ online: false })], 'GET /sessions': [session()], 'GET /requests': requests,
    [`POST /sessions/${session().id}/kill`]: problem(503, 'The agent at NGH is not connected; it is told when it is back.', 'The hospital can do it on the agent itself.', 'unreachable'),
  });
  await page.goto('/live');
  await page.getByRole('button', { name: 'End the session of Jana Brandt' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End the session' }).click();
  await everyLook(page, 'live-end-failed', async () => {
    await expect(page.getByRole('alert')).toContainText('The session may still be open.');
    await expect(page.getByText(`sallyport-agent kill ${session().id}`)).toBeVisible();
  });
});

test('somebody connects while the board is open', async ({ page }) => {
  let all: T.Session[] = [];
  await mock(page, 'approver', { 'GET /assets': assets, 'GET /sessions': () => all, 'GET /requests': requests });
  await page.goto('/live');
  await expect(page.getByText('Nobody is on a scanner.')).toBeVisible();
  all = [session()];
  await happen(page, 'session', session().id);
  await expect(page.getByText('Jana Brandt')).toBeVisible();
});

test('many scanners, and text of strangers', async ({ page }) => {
  test.slow();
  const list = Array.from({ length: 40 }, (_, i) => asset({ name: `NGH-A${i}`, label: i === 3 ? nasty : `Helion ${i}`, modality: i === 3 ? nasty : 'CT', site: i < 30 ? 'NGH' : 'SVC' }));
  const bad = session({ asset: 'NGH-A3', engineer: nasty, service: nasty, work_order: nasty, request: 'R-' + 'z'.repeat(26), frozen: [nasty], state: 'frozen' });
  await mock(page, 'approver', { 'GET /assets': list, 'GET /sessions': [bad, session({ asset: 'NGH-GONE' })], 'GET /requests': [] });
  await page.goto('/live');
  await everyLook(page, 'live-many', async () => {
    await expect(page.getByText('NGH-GONE').first()).toBeVisible();
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.locator('main').textContent()).not.toContain('\u202e');
  });
});

test('two hundred scanners', async ({ page }) => {
  const list = Array.from({ length: 200 }, (_, i) => asset({ name: `NGH-A${i}`, label: `Helion ${i}` }));
  await mock(page, 'approver', { 'GET /assets': list, 'GET /sessions': list.slice(0, 20).map((a, i) => session({ id: 'S-' + String(i).padStart(26, 'a'), asset: a.name })), 'GET /requests': [] });
  await page.goto('/live');
  await expect(page.getByText('20 sessions are open.')).toBeVisible();
  await fits(page);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await expect(page.locator('[data-row]').nth(1)).toBeFocused();
  // Those who are on a scanner are found from the top of the board, and more are said to be below.
  const far = page.getByRole('list', { name: 'Where they are' });
  await expect(far.getByRole('button')).toHaveCount(12);
  await expect(far).toContainText('and 8 more below');
  await far.getByRole('button', { name: 'NGH/NGH-A11' }).click();
  await expect(page.locator('[data-row]').nth(11)).toBeFocused();
  await expect(page.locator('[data-row]').nth(11)).toBeInViewport();
});
