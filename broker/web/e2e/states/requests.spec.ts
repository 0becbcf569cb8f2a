import { asset, at, context, happen, mock, people, problem, request, session } from '../mock';
import { everyLook, expect, test } from '../look';
import { shown } from '../../src/lib/documents';
import { fixedBy, papers as papersOf, sha256 } from '../papers';
import type { Request, Session } from '../../src/lib/types';

const R = request().id;
const S = session().id;
const sign = (by: typeof people.okafor, cls: 'console' | 'web', minutes: number) => ({ by, class: cls, at: at(minutes) });
const doc = (o: object) => Buffer.from(JSON.stringify(o)).toString('base64');
const papers = { request: R, token: 'a.b.c', salt: '', received: at(-3), request_: '', approvals: [], grant: doc({ v: 1, gid: 'AAECAwQFBgcICQoLDA0ODw', services: ['recon-ssh'], class: 'observe', channels: ['shell'], nbf: 1, exp: 2, maxs: 900 }) };
const documents = { ...papers, request: doc({ rid: 'x', key: 'ecdsa-sha2-nistp256 AAAA' }) };

function about(r: Request, more: Record<string, unknown> = {}) {
  return { ['GET /requests/' + r.id]: r, 'GET /assets': [asset({ needed: r.needed })], ['GET /requests/' + r.id + '/context']: context, ['GET /requests/' + r.id + '/documents']: documents, 'GET /access*': { ready: false, pending: false }, ...more };
}

const many: Request[] = [
  request({ id: 'R-1' }),
  request({ id: 'R-2', status: 'approved', asset: 'NGH-MR2', grant: S, approvals: 1 }),
  request({ id: 'R-3', status: 'approved', asset: 'CHB-PETCT1', not_before: at(600), not_after: at(900), grant: 'S-later' }),
  request({ id: 'R-4', status: 'pending', needed: 2, approvals: 1, kind: 'extension', extends: S }),
  request({ id: 'R-5', status: 'denied', denied_by: 'Maya Okafor', deny_reason: 'Scanner in use until 15:00', created: at(-3000) }),
  ...(['lapsed', 'withdrawn', 'revoked', 'closed'] as const).map((status, i) => request({ id: 'R-1' + i, status, created: at(-5000 * (i + 1)), reason: i ? 'Monthly check' : 'A reason that goes on and on because the engineer had a lot to say about the detector, the gantry, the coolant and averylongwordwithoutanyspacesthatmustnotbreakthelayout' })),
];

test('requests: the list', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /requests': many, 'GET /sessions': [session({ asset: 'NGH-MR2' })] });
  await page.goto('/requests');
  await everyLook(page, 'requests', async (p) => {
    await expect(p.getByText('Scanner in use until 15:00')).toBeVisible();
    await expect(p.getByText('Live', { exact: true })).toBeVisible();
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/requests\/R-1$/);
});

test('requests: who was not written to', async ({ page }) => {
  const r = request({ unwritten: [
    { to: 'm.okafor@northfield.example', who: 'approvers', why: 'the mail server refused the mail for good', at: at(-2) },
    { to: '', who: 'approvers', why: "no address of this site's approvers is configured at the broker", at: at(-2) },
    { to: 'j.brandt@meridian.example', who: 'engineer', why: 'the mail server did not take the mail for a day', at: at(-1) }] });
  await mock(page, 'auditor', about(r));
  await page.goto('/requests/' + R);
  await everyLook(page, 'request-unwritten', async (p) => {
    const list = p.getByRole('list').filter({ hasText: 'got no e-mail' });
    await expect(list.getByRole('listitem')).toHaveCount(3);
    await expect(list).toContainText('An approver of the site m.okafor@northfield.example got no e-mail');
    await expect(list).toContainText('the mail server refused the mail for good');
    await expect(list).toContainText('The engineer j.brandt@meridian.example got no e-mail');
  });
});

test('requests: none yet', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /requests': [], 'GET /sessions': [] });
  await page.goto('/requests');
  await everyLook(page, 'requests-empty', async (p) => {
    await expect(p.getByText('You have not asked for anything yet.')).toBeVisible();
  });
});

test('requests: loading', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /requests': 'hang', 'GET /sessions': 'hang' });
  await page.goto('/requests');
  await everyLook(page, 'requests-loading', async (p) => {
    await expect(p.getByLabel('Loading')).toBeVisible();
  });
});

test('a request that waits', async ({ page }) => {
  const r = request({ needed: 2, approvals: 1, approved: [sign(people.okafor, 'console', -1)], missing: ['radiology-leads'] });
  await mock(page, 'engineer', about(r));
  await page.goto('/requests/' + R);
  await everyLook(page, 'request-pending', async (p) => {
    await expect(p.getByText('1 of 2 approvals given')).toBeVisible();
    await expect(p.getByRole('button', { name: 'Take the request back' })).toBeVisible();
  });
  await expect(page).toHaveTitle(/^○ 1 of 2 approvals given, NGH\/NGH-PETCT1\/recon-ssh/);
});

test('a station opens to its proof', async ({ page }) => {
  const r = request({ status: 'approved', approvals: 1, approved: [sign(people.okafor, 'web', -1)], grant: S });
  await mock(page, 'engineer', about(r));
  await page.goto('/requests/' + R);
  await page.getByRole('button', { name: /Northfield approved/ }).click();
  await everyLook(page, 'request-proof', async (p) => {
    await expect(p.getByText(/the broker was trusted to show the truth/)).toBeVisible();
  });
});

test('a request is taken back after a question', async ({ page }) => {
  let r = request();
  await mock(page, 'engineer', about(r, { ['GET /requests/' + R]: () => r, ['POST /requests/' + R + '/withdraw']: () => (r = request({ status: 'withdrawn' })) }));
  await page.goto('/requests/' + R);
  await page.getByRole('button', { name: 'Take the request back' }).click();
  await everyLook(page, 'request-withdraw', async (p) => {
    await expect(p.getByRole('dialog')).toBeVisible();
  });
  await page.getByRole('button', { name: 'Take it back' }).click();
  await expect(page.getByText('Taken back by the engineer')).toBeVisible();
});

test('a proposal is taken', async ({ page }) => {
  await mock(page, 'engineer', about(request({ proposal: { from: at(180), until: at(300), reason: 'Patients until noon', by: 'Maya Okafor', at: at(-1) } })));
  await page.goto('/requests/' + R);
  await everyLook(page, 'request-proposal', async (p) => {
    await expect(p.getByRole('link', { name: 'Take the proposed window' })).toHaveAttribute('href', '/assets/NGH/NGH-PETCT1?again=' + R);
  });
});

/** An approved request whose key is not in this browser, with its exact papers; the broker may lie about some. */
function activation(lie: { request?: Partial<Request>; grant?: object } = {}) {
  const gid = shown('S', Buffer.alloc(16, 9).toString('base64url'));
  const p = papersOf(41, { status: 'approved', approvals: 1, approved: [sign(people.okafor, 'console', -1)], grant: gid });
  const r = { ...p.request, ...lie.request };
  const answers = {
    ...about(r), ['GET /requests/' + p.request.id]: r, ['GET /requests/' + p.request.id + '/documents']: { ...p.documents, grant: fixedBy(p, lie.grant) },
    'GET /access*': { ready: true, pending: false, request: p.request.id, session: gid },
  };
  return { id: p.request.id, gid, p, answers };
}

test('an approved request whose key is elsewhere asks for a proof here', async ({ page }) => {
  test.slow(); // two pages, in every look
  let sent: any;
  const { id, gid, p: papers, answers } = activation();
  await mock(page, 'engineer', { ...answers, 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b), { url: '/nothing?at=idp' }) });
  await page.goto('/requests/' + id);
  await everyLook(page, 'request-prove', async (p) => {
    await expect(p.getByText('The key of this request is in another browser')).toBeVisible();
    await expect(p.getByText('use a command shell on NGH/NGH-PETCT1/recon-ssh, work without disturbing patients')).toBeVisible();
    await expect(p.getByText('for up to 30 minutes, starting when they connect')).toBeVisible();
    await expect(p.getByText('signed in another place')).toBeVisible();
  });
  await page.getByRole('button', { name: 'Sign in and open here' }).click();
  await page.waitForURL('**/nothing?at=idp');
  expect(sent).toMatchObject({ role: 'activate', id, popup: false });
  expect(sent.key).toMatch(/^ecdsa-sha2-nistp256 /);
  const subject = sha256('sallyport/grant/v1\0', Buffer.from(fixedBy(papers), 'base64'));
  expect(sent.nonce).toBe(sha256('sallyport/v1/activate\0', subject, sha256(sent.key), Buffer.from(sent.salt, 'base64')).toString('base64url'));
  // Back with the proof: the key belongs to the request, and the terminal opens.
  await mock(page, 'engineer', { ...answers, 'GET /auth/outcomes/f9': { ok: true, role: 'activate', request: id, admitted: false, popup: false, return: '', problem: null } });
  await page.goto('/done/f9');
  await everyLook(page, 'request-ready', async (p) => {
    await expect(p.getByRole('link', { name: 'Open the terminal' })).toHaveAttribute('href', `/terminal/NGH/NGH-PETCT1/recon-ssh?session=${gid}`);
  });
});

test('an activation is refused when the broker hands out another grant', async ({ page }) => {
  let asked = false;
  const { id, answers } = activation({ grant: { maxs: 3600 }, request: { max_seconds: 3600 } });
  await mock(page, 'engineer', { ...answers, 'POST /auth/proofs': () => ((asked = true), { url: '/nothing?at=idp' }) });
  await page.goto('/requests/' + id);
  await expect(page.getByRole('alert')).toContainText("The grant's session length goes beyond what you asked for. Nothing was signed.");
  await expect(page.getByRole('button', { name: 'Sign in and open here' })).toBeDisabled();
  expect(asked).toBe(false);
});

test('a live request carries its time in the title; more time is asked for beside it', async ({ page }) => {
  const r = request({ created: at(-12), status: 'approved', approvals: 1, approved: [sign(people.okafor, 'console', -9)], grant: S, engineer_class: 'cli' });
  await mock(page, 'engineer', about(r, { ['GET /sessions/' + S]: session(), 'GET /access*': { ready: true, pending: false, request: R, session: S } }));
  await page.goto('/requests/' + R);
  await everyLook(page, 'request-live', async (p) => {
    await expect(p.getByText('The session is live')).toBeVisible();
  });
  await expect(page).toHaveTitle(/^● \d{1,2}:\d\d NGH\/NGH-PETCT1\/recon-ssh/);
});

test('a proof that only the command line may give shows the command', async ({ page }) => {
  const r = request({ status: 'approved', approvals: 1, approved: [sign(people.okafor, 'console', -1)], grant: S, engineer_class: 'cli' });
  await mock(page, 'engineer', about(r, { 'GET /assets': [asset({ accept: { engineer: ['cli'], approver: ['console'] } })], 'GET /access*': { ready: true, pending: false, request: R, session: S } }));
  await page.goto('/requests/' + R);
  await expect(page.getByText('sallyport ssh NGH/NGH-PETCT1/recon-ssh')).toBeVisible();
});

test('a console is reached by the command for consoles', async ({ page }) => {
  const r = request({ status: 'approved', approvals: 1, approved: [sign(people.okafor, 'console', -1)], grant: S, engineer_class: 'cli', services: ['console-vnc'], channels: ['control'] });
  const services = [{ name: 'console-vnc', endpoint: 'console', protocol: 'vnc', port: 5901, class: 'non-disruptive' }] as const;
  await mock(page, 'engineer', about(r, { 'GET /assets': [asset({ services: [...services], accept: { engineer: ['cli'], approver: ['console'] } })], 'GET /access*': { ready: true, pending: false, request: R, session: S } }));
  await page.goto('/requests/' + R);
  await expect(page.getByText('sallyport connect NGH/NGH-PETCT1/console-vnc')).toBeVisible();
});

test('an approver sees what was decided, and a pending one is theirs to answer', async ({ page }) => {
  await mock(page, 'approver', about(request()));
  await page.goto('/requests/' + R);
  await expect(page.getByRole('region', { name: 'Your decision' })).toBeVisible();
  await mock(page, 'auditor', about(request({ status: 'closed', grant: S, approvals: 1, approved: [sign(people.okafor, 'web', -1)] }), { ['GET /sessions/' + S]: session({ state: 'ended', reason: 'expired', ended: at(0) }) }));
  await page.reload();
  await everyLook(page, 'request-closed', async (p) => {
    await expect(p.getByText('Its session is over').first()).toBeVisible();
  });
});

for (const [name, over] of [
  ['denied', { status: 'denied', denied_by: 'Maya Okafor', deny_reason: 'Scanner in use until 15:00. Ask again then.' }],
  ['lapsed', { status: 'lapsed' }],
  ['revoked', { status: 'revoked', revoked_by: 'Maya Okafor', revoke_reason: 'The patient list changed', grant: S, approved: [sign(people.okafor, 'web', -2)] }],
  ['ahead', { status: 'approved', not_before: at(600), not_after: at(840), grant: S, approved: [sign(people.okafor, 'console', -2), sign(people.rossi, 'console', -1)], needed: 2, approvals: 2 }],
] as [string, Partial<Request>][]) {
  test(`a request: ${name}`, async ({ page }) => {
    await mock(page, 'engineer', about(request(over)));
    await page.goto('/requests/' + R);
    await everyLook(page, 'request-' + name, async (p) => {
      await expect(p.getByRole('heading', { name: 'What happened so far' })).toBeVisible();
    });
  });
}

test('a request that is not there', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [] });
  await page.goto('/requests/R-none');
  await expect(page.getByRole('heading', { name: 'There is no such request.' })).toBeVisible();
});

test('an answer arrives by itself', async ({ page }) => {
  let r = request();
  await mock(page, 'engineer', about(r, { ['GET /requests/' + R]: () => r }));
  await page.goto('/requests/' + R);
  await expect(page.getByText('The hospital has not answered yet')).toBeVisible();
  r = request({ status: 'denied', denied_by: 'Maya Okafor', deny_reason: 'Not today' });
  await happen(page, 'request', R);
  await expect(page.getByText('Declined by Maya Okafor')).toBeVisible();
});

const live = (over: Partial<Session> = {}) => session(over);

test('sessions: the list', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /sessions': [live(), live({ id: 'S-2', state: 'frozen', frozen: ['interlock'], asset: 'NGH-MR2' }), live({ id: 'S-3', state: 'ended', reason: 'expired', ended: at(-300) }), live({ id: 'S-4', state: 'ended', reason: 'killed-local', ended: at(-9000) })] });
  await page.goto('/sessions');
  await everyLook(page, 'sessions', async (p) => {
    await expect(p.getByText('Ended at its limit')).toBeVisible();
  });
  await expect(page).toHaveTitle(/^● \d{1,2}:\d\d NGH\/NGH-PETCT1\/recon-ssh/);
});

test('sessions: none, and none reached', async ({ page }) => {
  await mock(page, 'auditor', { 'GET /sessions': [] });
  await page.goto('/sessions');
  await everyLook(page, 'sessions-empty', async (p) => {
    await expect(p.getByText('There were no sessions yet.')).toBeVisible();
  });
  await mock(page, 'auditor', { 'GET /sessions': problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable') });
  await page.reload();
  await expect(page.getByRole('alert')).toContainText('did not answer');
});
