import { at, mock, people, problem, request, happen } from '../mock';
import { nasty } from '../papers';
import { everyLook, expect, fits, test } from '../look';

const R = 'R-' + 'b'.repeat(26);
const S = 'S-' + 'c'.repeat(26);
const V = 'V-' + 'd'.repeat(26);
const id = (p: { iss: string; sub: string }) => ({ iss: p.iss, sub: p.sub });
const story: object[] = [
  { event: 'broker-started', details: { node: 'node-1', version: '1.0.0' } },
  { event: 'agent-enrolled', site: 'NGH', details: { agent: 'ngh-agent' } },
  { event: 'login-refused', site: 'NGH', details: { issuer: 'https://idp.meridian.example', why: 'The token is too old.' } },
  { event: 'login', site: 'NGH', who: id(people.okafor), details: { client: 'web' } },
  { event: 'request', site: 'NGH', who: id(people.brandt), of: id(people.brandt), request: R, details: { asset: 'NGH/NGH-PETCT1', services: 'recon-ssh', class: 'non-disruptive' } },
  { event: 'approval', site: 'NGH', who: id(people.okafor), of: id(people.brandt), request: R, session: S, details: { asset: 'NGH/NGH-PETCT1', approvals: '1', needed: '2' } },
  { event: 'grant-admitted', site: 'NGH', of: id(people.brandt), request: R, session: S, details: { asset: 'NGH/NGH-PETCT1' } },
  { event: 'session-opened', site: 'NGH', of: id(people.brandt), request: R, session: S, details: { asset: 'NGH/NGH-PETCT1', service: 'recon-ssh' } },
  { event: 'freeze', site: 'NGH', who: id(people.okafor), of: id(people.brandt), session: S, details: { asset: 'NGH/NGH-PETCT1' } },
  { event: 'kill', site: 'NGH', who: id(people.okafor), of: id(people.brandt), session: S, details: { asset: 'NGH/NGH-PETCT1' } },
  { event: 'session-ended', site: 'NGH', of: id(people.brandt), session: S, details: { asset: 'NGH/NGH-PETCT1', reason: 'killed-remote' } },
  { event: 'recording-sealed', site: 'NGH', of: id(people.brandt), recording: V, details: { asset: 'NGH/NGH-PETCT1', state: 'sealed' } },
  { event: 'recording-viewed', site: 'NGH', who: id(people.adeyemi), of: id(people.brandt), recording: V, details: { asset: 'NGH/NGH-PETCT1', reason: 'monthly review', input: 'true' } },
  { event: 'engineer-disabled', site: 'NGH', who: id(people.okafor), of: id(people.ortega) },
  { event: 'console-certificate', site: 'NGH', of: id(people.brandt), session: S, details: { asset: 'NGH/NGH-PETCT1', service: 'console-rdp', sha256: 'ab'.repeat(32), known: 'first', 'old-tls': 'TLS 1.0, RSA key exchange' } },
  { event: 'passkey-registered', site: 'NGH', who: id(people.okafor), of: id(people.okafor), details: { agent: 'ngh-2', passkey: 'K-3f9a0c7712be' } },
  { event: 'passkey-revoked', site: 'NGH', of: id(people.okafor), details: { agent: 'ngh-2', passkey: 'K-3f9a0c7712be' } },
];
const entry = (index: number, e: object) => ({ index, entry: Buffer.from(JSON.stringify({ v: 1, seq: index, time: at(-300 + (index % 4000) / 20), ...e, salt: 'AAAA' })).toString('base64') });
const log = (n: number) => Array.from({ length: n }, (_, i) => entry(i, story[i % story.length]!));
const checkpoint = { checkpoint: Buffer.from(`broker.example/audit\n4711\n${'A'.repeat(43)}=\n\n— broker.example/audit AAAA\n— ngh-agent BBBB\n`).toString('base64'), key: 'ssh-ed25519 AAAA' };
const logs = (...names: { origin: string; problem?: string }[]) => ({ logs: names.map((n) => ({ key: 'ssh-ed25519 AAAA', size: 0, ...n })) });
const answers = (all: { index: number; entry: string }[]) => ({
  'GET /audit/logs': logs({ origin: 'broker.example/audit' }),
  'GET /requests': [request({ id: R, approved: [{ by: people.okafor, class: 'web' as const, at: at(-100) }] })],
  'GET /audit/checkpoint': checkpoint,
  'GET /audit/events': (u: URL) => {
    const last = Number(u.searchParams.get('last'));
    if (last) return { size: all.length, from: Math.max(0, all.length - last), next: all.length, events: all.slice(-last) };
    const after = Number(u.searchParams.get('after'));
    return { size: all.length, from: after, next: Math.min(all.length, after + 500), events: all.slice(after, after + 500) };
  },
});

test('nothing, not known yet, not to be had', async ({ page }) => {
  await mock(page, 'auditor', answers([]));
  await page.goto('/audit');
  await everyLook(page, 'audit-empty', async () => expect(page.getByText('Nothing that you may read was written yet.')).toBeVisible());
  await mock(page, 'auditor', { ...answers([]), 'GET /audit/logs': 'hang', 'GET /audit/checkpoint': 'hang' });
  await page.goto('/audit');
  await everyLook(page, 'audit-loading', async () => expect(page.getByRole('status', { name: 'Loading' })).toBeVisible());
  const away = problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable');
  await mock(page, 'auditor', { ...answers([]), 'GET /audit/events': away, 'GET /audit/checkpoint': away });
  await page.goto('/audit');
  await everyLook(page, 'audit-error', async () => expect(page.getByRole('alert')).toContainText('The log itself is untouched.'));
});

test('what happened, in sentences that can be proved', async ({ page }) => {
  await mock(page, 'auditor', answers(log(story.length)));
  await page.goto('/audit');
  await page.getByRole('button', { name: /^Entry 5,/ }).click();
  await everyLook(page, 'audit', async () => {
    await expect(page.getByText(`Maya Okafor approved ${R} for NGH/NGH-PETCT1, 1 of 2`)).toBeVisible();
    await expect(page.getByText('Ended by the hospital')).toBeVisible();
    await expect(page.getByText('The console console-rdp on NGH/NGH-PETCT1 showed its certificate for the first time')).toBeVisible();
    await expect(page.getByText('looked at what was typed in')).toBeVisible();
    await expect(page.getByText('Maya Okafor registered the passkey K-3f9a0c7712be on the page of the agent ngh-2 at NGH')).toBeVisible();
    await expect(page.getByText('The passkey K-3f9a0c7712be of Maya Okafor was revoked at the agent ngh-2')).toBeVisible();
    await expect(page.getByText('sallyport audit prove 5 -o event-5.proof')).toBeVisible();
    await expect(page.getByText('4,711 entries')).toBeVisible();
    await expect(page.getByText('The log begins here.')).toBeVisible();
  });
});

test('filters, and further back', async ({ page }) => {
  test.slow();
  await mock(page, 'auditor', answers(log(450)));
  await page.goto('/audit');
  await expect(page.locator('[data-row]')).toHaveCount(100);
  await page.getByLabel('Kind of events').selectOption('People');
  await expect(page.getByText('approved')).toHaveCount(0);
  await page.getByLabel('Kind of events').selectOption('');
  await page.getByLabel('Search events').fill('okafor');
  await expect(page.getByText('Maya Okafor').first()).toBeVisible();
  await expect(page.getByText('The broker started')).toHaveCount(0);
  await page.getByLabel('Search events').fill('');
  await page.getByRole('button', { name: 'Look further back' }).click();
  await expect(page.locator('[data-row]')).toHaveCount(300);
  await page.getByRole('button', { name: 'Look further back' }).click();
  await expect(page.locator('[data-row]')).toHaveCount(450);
  await expect(page.getByText('The log begins here.')).toBeVisible();
  await fits(page);
  await page.getByLabel('Search events').fill('ngh-agent');
  await everyLook(page, 'audit-many', async () => expect(page.locator('[data-row]')).toHaveCount(Math.ceil((450 - 1) / story.length)));
});

test('what is written now appears', async ({ page }) => {
  const all = log(5);
  await mock(page, 'auditor', answers(all));
  await page.goto('/audit');
  await expect(page.locator('[data-row]')).toHaveCount(5);
  all.push(entry(5, story[13]!));
  await happen(page, 'engineer');
  await expect(page.getByText('shut')).toBeVisible();
  await expect(page.locator('[data-row]')).toHaveCount(6);
});

test('the logs of all nodes, and which of them is missing', async ({ page }) => {
  test.slow();
  const a = log(130);
  const b = Array.from({ length: 20 }, (_, i) => entry(i, { ...story[i % story.length]!, time: at(-299.97 + i / 10000) }));
  const of = { a: answers(a)['GET /audit/events'], b: answers(b)['GET /audit/events'] };
  const down = problem(503, 'The vault did not answer.', 'Try again in a moment.', 'unreachable');
  let bAnswers: unknown;
  const all = {
    ...answers(a),
    'GET /audit/logs': logs({ origin: 'broker.example/a' }, { origin: 'broker.example/b' }, { origin: 'broker.example/c', problem: 'there is no copy of it yet' }),
    'GET /audit/events': (u: URL) => (u.searchParams.get('log') === 'broker.example/a' ? of.a(u) : (bAnswers ?? of.b(u))),
  };
  await mock(page, 'auditor', all);
  await page.goto('/audit');
  await expect(page.locator('.missing')).toContainText('there is no copy of it yet');
  await expect(page.locator('[data-row]')).toHaveCount(100); // nothing of b before a was read so far
  await page.getByRole('button', { name: 'Look further back' }).click();
  await expect(page.locator('[data-row]')).toHaveCount(150);
  await expect(page.getByText('The logs begin here.')).toBeVisible();
  await expect(page.getByText('150 of 150 entries are shown')).toBeVisible();
  const times = await page.locator('[data-row]').allTextContents();
  const first = times.findIndex((t) => t.startsWith('b/'));
  expect(first).toBeGreaterThan(-1);
  expect(times.slice(first, first + 20).every((t) => t.startsWith('b/')), 'by time').toBe(true);
  await page.getByRole('button', { name: 'Entry b/0, proof' }).first().click();
  await expect(page.getByText('sallyport audit prove b/0 -o event-0.proof')).toBeVisible();
  await everyLook(page, 'audit-nodes', async () => expect(page.getByText('The log of c is missing here')).toBeVisible());
  bAnswers = down;
  await page.reload();
  await expect(page.locator('.missing').filter({ hasText: 'The log of b' })).toContainText('The vault did not answer');
  await expect(page.locator('[data-row]')).toHaveCount(100);
});

test('text of strangers stays text, and what is no entry is said', async ({ page }) => {
  const all = [
    entry(0, { event: nasty, who: { iss: nasty, sub: nasty }, request: nasty }), entry(1, { event: 'recording-viewed', who: { iss: 'https://x.example', sub: nasty }, recording: nasty, details: { reason: nasty, asset: nasty } }),
    { index: 2, entry: 'AAAA' }, { index: 3, entry: entry(7, story[0]!).entry }, entry(4, { event: 'login-refused', details: { why: nasty, issuer: nasty } }),
  ];
  await mock(page, 'auditor', answers(all));
  await page.goto('/audit');
  await page.getByRole('button', { name: /^Entry 0,/ }).click();
  await everyLook(page, 'audit-hostile', async () => {
    await expect(page.getByText('not what the log')).toHaveCount(2);
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.locator('main').textContent()).not.toContain('\u202e');
  });
});
