import { asset, at, mock, people, problem, recording, request, session, soon } from '../mock';
import { everyLook, expect, photograph, test } from '../look';
import { fixedBy, papers } from '../papers';

const s = session();
const r = request({ created: at(-12), status: 'approved', approvals: 1, approved: [{ by: people.okafor, class: 'console', at: at(-10) }], grant: s.id });
const v = recording({ state: 'live', digest: null, ended: null });
const base = { ['GET /sessions/' + s.id]: s, ['GET /requests/' + r.id]: r, ['GET /recordings/' + v.id]: v, 'GET /assets': [asset()] };
const grant = fixedBy(papers(1), { gid: 'AAECAwQFBgcICQoLDA0ODw', class: 'observe', channels: ['shell'], maxs: 900 });
// An id that can stand inside a document.
const real = 'S-aaaqeayeaudaocajbifqydiob4';

test('a session that lives, for its engineer', async ({ page }) => {
  await mock(page, 'engineer', base);
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-live', async (p) => {
    await expect(p.getByRole('link', { name: 'Back to the terminal' })).toBeVisible();
    await expect(p.getByRole('link', { name: 'Watch' })).toHaveCount(0);
  });
});

test('a critical section is declared where the hospital granted one, and ended', async ({ page }) => {
  const firm = request({ ...r, class: 'disruptive' });
  const papersOf = (crit: number) => ({ ['GET /requests/' + r.id]: firm, ['GET /requests/' + r.id + '/documents']: { ...papers(1).documents, grant: fixedBy(papers(1), { class: 'disruptive' }, crit) } });
  await mock(page, 'engineer', { ...base, ...papersOf(600) });
  await page.goto('/sessions/' + s.id);
  const offer = page.getByRole('region', { name: 'Critical section' });
  await everyLook(page, 'session-declare', async (p) => {
    await expect(p.getByText('You may declare critical sections of at most 10 minutes in all')).toBeVisible();
    await expect(p.getByRole('radio', { name: '15 minutes' })).toHaveCount(0);
  });
  await offer.getByRole('button', { name: 'Declare it, for 5 minutes' }).click();
  await expect(offer.getByRole('alert')).toContainText('Say in one line what is being done');
  await offer.getByLabel('What is being done').fill('firmware 4.2');
  await offer.getByRole('button', { name: 'Declare it' }).click();
  await expect(page.getByRole('alert')).toContainText('Use the machine where you connected: sallyport critical ' + s.id);
  // While one is on it counts down, and its alarm is said.
  await mock(page, 'engineer', { ...base, ...papersOf(600), ['GET /sessions/' + s.id]: { ...s, critical: { began: soon(-1), until: soon(4), why: 'firmware 4.2', alarm: true } } });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-critical', async (p) => {
    await expect(p.getByRole('timer')).toContainText(/\d:\d\d left, until/);
    await expect(p.getByRole('button', { name: 'End the critical section' })).toBeVisible();
  });
  // Without a grant of one, nothing of it is there.
  await mock(page, 'engineer', { ...base, ...papersOf(0) });
  await page.goto('/sessions/' + s.id);
  await expect(page.getByRole('button', { name: 'Ask for more time' })).toBeVisible();
  await expect(page.getByText('critical section', { exact: false })).toHaveCount(0);
});

test('a session that waits for the operator says so to its engineer, and what came of it', async ({ page }) => {
  const consent = { kind: 'operator' as const, service: 'recon-ssh', since: soon(-1), until: soon(4), wrong: 0, outcome: '' as const, by: '', how: '' as const, at: null };
  const waits = { ...s, state: 'awaiting-consent' as const, opened: null, deadline: null, recordings: [], consent };
  await mock(page, 'engineer', { ...base, ['GET /sessions/' + s.id]: waits, [`GET /requests/${r.id}/documents`]: problem(404, 'none', 'x', 'invalid') });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-consent', async (p) => {
    await expect(p.getByText('Awaiting consent', { exact: true })).toBeVisible();
    await expect(p.getByRole('note')).toContainText('Call the people at the scanner if nobody answers; it opens by itself.');
  });
  await page.goto('/requests/' + r.id);
  await everyLook(page, 'request-consent', async (p) => {
    await expect(p.getByText('Approved, awaiting consent at the scanner')).toBeVisible();
    await expect(p.getByRole('note').filter({ hasText: 'Awaiting consent.' })).toContainText('left');
  });
  await mock(page, 'approver', { ...base, ['GET /sessions/' + s.id]: { ...waits, state: 'unopened', consent: { ...consent, outcome: 'refused', by: "the operator at the agent's page", how: 'page', at: at(0) } } });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-refused', async (p) => {
    await expect(p.getByRole('note')).toContainText(/The operator at the scanner refused\. By the operator at the agent's page, \d\d:\d\d\./);
  });
  await mock(page, 'approver', { ...base, ['GET /sessions/' + s.id]: { ...s, consent: { ...consent, outcome: 'given', by: 'the operator at the scanner', how: 'code', at: at(-8) } } });
  await page.goto('/sessions/' + s.id);
  await expect(page.getByText('The engineer typed the code that the operator at the scanner read out.').first()).toBeVisible();
});

test('how the consoles of a session proved who they are', async ({ page }) => {
  const shown = { ...s, protocol: 'rdp' as const, service: 'console-rdp', certificates: [
    { service: 'console-rdp', sha256: '3f'.repeat(32), known: 'first' as const, old_tls: 'TLS 1.0, RSA key exchange' }, { service: 'console-2', sha256: 'c0'.repeat(32), known: 'refused' as const },
  ] };
  await mock(page, 'approver', { ...base, ['GET /sessions/' + s.id]: shown });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-certificates', async (p) => {
    await expect(p.getByText('console-rdp showed its certificate for the first time, which the agent holds from now on: sha256:3f3f')).toBeVisible();
    await expect(p.getByText('TLS of the past (TLS 1.0, RSA key exchange)')).toBeVisible();
    await expect(p.getByText('console-2 showed another certificate than the known one, and was refused')).toBeVisible();
  });
});

test('a session that lives, for who may watch it', async ({ page }) => {
  await mock(page, 'auditor', base);
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-auditor', async (p) => {
    await expect(p.getByRole('link', { name: 'Watch' })).toHaveAttribute('href', '/watch/' + s.id);
    await expect(p.getByRole('button', { name: 'End the session' })).toHaveCount(0);
  });
});

test('a frozen session is ended after a question', async ({ page }) => {
  let ended = false;
  const now = () => (ended ? { ...s, state: 'ended', reason: 'killed-remote', ended: at(0) } : { ...s, state: 'frozen', frozen: ['local', 'interlock'] });
  await mock(page, 'approver', { ...base, ['GET /sessions/' + s.id]: now, ['POST /sessions/' + s.id + '/kill']: () => ((ended = true), now()) });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-frozen', async (p) => {
    await expect(p.getByText('Frozen at the scanner and because the scanner is in use').first()).toBeVisible();
  });
  await page.getByRole('button', { name: 'End the session' }).click();
  await everyLook(page, 'session-end', async (p) => {
    await expect(p.getByRole('dialog', { name: 'End the session?' })).toBeVisible();
  });
  await page.getByRole('button', { name: 'End it now' }).click();
  await expect(page.getByText('Ended by the hospital').first()).toBeVisible();
});

test('the report of a session that is over', async ({ page }) => {
  const over = { ...s, state: 'ended', reason: 'completed', ended: at(-1), recordings: ['V-1', 'V-2'] };
  const verdict = { at: at(0), verdict: 'intact' as const, signer: 'known' as const, segments: 41, countersigned: true, logged: true, message: 'Intact: 41 segments, signed by the agent at NGH and countersigned.' };
  await mock(page, 'auditor', {
    ...base, ['GET /sessions/' + s.id]: over, ['GET /requests/' + r.id]: { ...r, status: 'closed' },
    'GET /recordings/V-1': recording({ id: 'V-1', verdict, digest: { seconds: 1320, lines: 214, files_in: 0, files_out: 1, refused: 0, warnings: 1, freezes: 1, stood: [{ state: 'in-service', seconds: 1280 }, { state: 'patient-on-table', seconds: 40 }] }, reviews: [{ by: 's.adeyemi@northfield.example', at: at(0), attestation: 'as-agreed', comment: 'Only the event log was read.' }] }),
    'GET /recordings/V-2': recording({ id: 'V-2', state: 'torn', verdict: { ...verdict, verdict: 'tampered', message: 'Tampered: segment 7 is not what the agent signed.' },
      stuck: { part: 'seg-000007', parts: 3, since: at(-60), message: 'The segment 000007 of this recording cannot be stored at the broker: the disk spoiled it.', next: 'Have the disk of the agent checked.' } }),
  });
  await page.goto('/sessions/' + s.id);
  await everyLook(page, 'session-over', async (p) => {
    await expect(p.getByText('Only the event log was read.')).toBeVisible();
    await expect(p.getByText('Torn: the agent')).toBeVisible();
    await expect(p.getByText('The scanner was in service for 21 minutes and with a patient on the table for 40 seconds.')).toBeVisible();
    await expect(p.getByText('the disk spoiled it. The same holds for 2 other parts of it.')).toBeVisible();
    await expect(p.getByText('Have the disk of the agent checked.')).toBeVisible();
  });
  await page.emulateMedia({ media: 'print' });
  await photograph(page, 'session-over-print');
  await expect(page.getByRole('navigation')).toBeHidden();
});

test('a session that is not there', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [] });
  await page.goto('/sessions/S-none');
  await expect(page.getByRole('heading', { name: 'There is no such session.' })).toBeVisible();
});

test('more time is asked for in a window of its own', async ({ page, context }) => {
  let sent: any;
  const mine = { ...s, id: real };
  await mock(page, 'engineer', {
    ...base, ['GET /sessions/' + real]: mine, ['GET /requests/' + r.id]: { ...r, grant: real },
    ['GET /requests/' + r.id + '/documents']: { request: '', token: '', salt: '', received: at(0), grant, approvals: [] },
    'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b), { url: '/nothing?at=idp' }),
  });
  await page.goto('/sessions/' + real);
  await page.getByRole('button', { name: 'Ask for more time' }).click();
  await page.getByLabel('Reason').fill('Calibration takes longer');
  await everyLook(page, 'extend', async (p) => {
    await expect(p.getByRole('dialog', { name: 'Ask for more time' })).toBeVisible();
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  const opens = context.waitForEvent('page');
  await page.getByRole('button', { name: /Ask to go on until/ }).click();
  const popup = await opens;
  await popup.waitForURL('**/nothing?at=idp');
  const doc = JSON.parse(Buffer.from(sent.document, 'base64').toString());
  expect(doc).toMatchObject({ kind: 'extension', parent: 'AAECAwQFBgcICQoLDA0ODw', key: '', class: 'observe', channels: ['shell'] });
  expect(Math.abs(doc.maxs - 45 * 60)).toBeLessThan(2);
  expect(sent).toMatchObject({ role: 'request', popup: true });
  await everyLook(page, 'extend-waiting', async (p) => {
    await expect(p.getByText('Sign in once more in the window that opened.')).toBeVisible();
  });
  await page.evaluate(() => new BroadcastChannel('sallyport').postMessage({ ok: true, role: 'request', request: '', popup: true, problem: null }));
  await expect(page.getByText(/Asked. The session goes on/)).toBeVisible();
});

test('a browser that opens no window says so', async ({ page }) => {
  const mine = { ...s, id: real };
  await mock(page, 'engineer', {
    ...base, ['GET /sessions/' + real]: mine, ['GET /requests/' + r.id]: { ...r, grant: real },
    ['GET /requests/' + r.id + '/documents']: { request: '', token: '', salt: '', received: at(0), grant, approvals: [] },
    'POST /auth/proofs': { url: '/nothing?at=idp' },
  });
  await page.addInitScript(() => (window.open = () => null));
  await page.goto('/sessions/' + real);
  await page.getByRole('button', { name: 'Ask for more time' }).click();
  await page.getByLabel('Reason').fill('Calibration takes longer');
  await page.getByRole('button', { name: /Ask to go on until/ }).click();
  await expect(page.getByText('Your browser did not open the sign-in window.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Open the sign-in' })).toBeVisible();
});

const logins = [
  { id: 'l1', client: 'web', agent: 'Firefox on Linux', created: at(-30), seen: at(0), current: true },
  { id: 'l2', client: 'web', agent: 'Safari on iPhone', created: at(-300), seen: at(-12), current: false },
  { id: 'l3', client: 'cli', agent: '', created: at(-4000), seen: at(-200), current: false },
];

test('the account', async ({ page }) => {
  let left: unknown;
  await mock(page, 'engineer', { 'GET /logins': logins, 'POST /logins/end': (_u: URL, _m: string, b: unknown) => ((left = b), null) });
  await page.goto('/account');
  await everyLook(page, 'account', async (p) => {
    await expect(p.getByText('Safari on iPhone')).toBeVisible();
  });
  await page.getByRole('button', { name: 'End: Safari on iPhone' }).click();
  await expect.poll(() => left).toEqual({ id: 'l2' });
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
  await expect(page).toHaveURL(/signin/);
  expect(left).toEqual({ everywhere: true });
});

test('the account, when the list does not come', async ({ page }) => {
  await mock(page, 'approver', { 'GET /logins': problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable') });
  await page.goto('/account');
  await expect(page.getByRole('alert')).toContainText('did not answer');
});
