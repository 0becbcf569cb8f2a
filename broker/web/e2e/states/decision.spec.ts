import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import type * as T from '../../src/lib/types';
import { asset, at, context, mock, people, problem, session } from '../mock';
import { fixedBy, nasty, papers, sha256, token, type Papers } from '../papers';
import { everyLook, expect, test } from '../look';

async function show(page: Page, p: Papers, answers: Record<string, unknown> = {}, a: Partial<T.Asset> = {}, c: Partial<T.Context> = {}) {
  await mock(page, 'approver', {
    [`GET /requests/${p.request.id}`]: p.request,
    [`GET /requests/${p.request.id}/documents`]: p.documents,
    [`GET /requests/${p.request.id}/context`]: { ...context, ...c },
    'GET /assets': [asset(a)],
    ...answers,
  });
  await page.goto(`/requests/${p.request.id}`);
  return page.getByRole('article', { name: 'Decide' });
}

test('one request on one screen', async ({ page }) => {
  const p = papers(1);
  const panel = await show(page, p);
  await everyLook(page, 'decision', async () => {
    await expect(panel.getByRole('heading', { name: 'Jana Brandt' })).toBeVisible();
    await expect(panel).toContainText('meridian.example');
    await expect(panel).toContainText('use a command shell on NGH/NGH-PETCT1/recon-ssh, work without disturbing patients');
    await expect(panel).toContainText('for up to 30 minutes, starting when they connect');
    await expect(panel).toContainText('copy files from the scanner');
    await expect(panel).toContainText('4 sessions on this scanner since');
    await expect(panel).toContainText('can carry files in and out whatever the line about files says');
    await expect(panel).toContainText('Approving here trusts this web page to show you the truth');
    await expect(panel.getByRole('button', { name: 'Approve' })).toBeEnabled();
  });
});

// The vectors are written by session/wording, which the command line's page has its words of.
test('it says what the command line says', async ({ page }) => {
  const all = JSON.parse(readFileSync(new URL('../../../../session/wording/testdata/deciding.json', import.meta.url), 'utf8'));
  expect(all.length).toBeGreaterThan(3);
  for (const [i, v] of all.entries()) {
    const services = v.on.map((s: string) => s.split('/')[2]);
    const panel = await show(page, papers(50 + i, { services, class: v.class, channels: v.channels, engineer_class: v.engineer }));
    await expect(panel.getByRole('region', { name: 'wants to' }).getByRole('listitem')).toHaveText([v.work, /^for up to /, v.carries]);
    for (const caution of v.cautions) await expect(panel).toContainText(caution);
  }
});

test('critical sections can be left out alone', async ({ page }) => {
  const p = papers(90, { channels: ['files-out', 'shell'], class: 'disruptive' }, 900);
  let sent: T.ProofStart | undefined;
  const panel = await show(page, p, { 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b as T.ProofStart), { url: '/done/F-1' }) });
  const wants = panel.getByRole('region', { name: 'wants to' }).getByRole('listitem');
  await expect(wants.filter({ hasText: 'critical sections of at most 15 minutes in all' })).toBeVisible();
  await panel.getByText('Allow less').click();
  const sections = panel.getByRole('switch', { name: /^may declare critical sections/ });
  await sections.press('Space');
  await expect(panel).toContainText("You allow less: no critical sections: a patient's arrival always freezes the session.");
  await expect(wants.filter({ hasText: 'critical' })).toHaveCount(0);
  await everyLook(page, 'decision-no-critical', async () => expect(sections).not.toBeChecked());
  await panel.getByRole('button', { name: 'Approve less' }).click();
  await page.waitForURL('**/done/F-1');
  const g = JSON.parse(Buffer.from(sent!.document!, 'base64').toString());
  expect(g).toMatchObject({ class: 'disruptive', channels: ['files-out', 'shell'] });
  expect(g.crit).toBeUndefined();
});

test('less can be allowed, and what is approved is exactly that', async ({ page }) => {
  const p = papers(2, { channels: ['files-in', 'files-out', 'shell'], class: 'disruptive', max_seconds: 3600 });
  let sent: T.ProofStart | undefined;
  const panel = await show(page, p, { 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b as T.ProofStart), { url: '/done/F-1' }) });
  await panel.getByText('Allow less').click();
  await panel.getByRole('slider', { name: 'At most' }).fill('2');
  await panel.getByRole('switch', { name: 'copy files to the scanner' }).press('Space');
  await panel.getByLabel('How far they may go').selectOption('observe');
  await panel.getByLabel('Not after').selectOption({ index: 1 });
  await expect(panel).toContainText('You allow less: 15 minutes instead of 1 hour');
  await everyLook(page, 'decision-less', async () => {
    await expect(panel.getByRole('listitem').filter({ hasText: 'for up to 15 minutes' })).toBeVisible();
    await expect(panel.getByRole('button', { name: 'Approve less' })).toBeEnabled();
  });
  await panel.getByText('The exact bytes').click();
  const seen = await panel.locator('pre').nth(1).textContent();
  await panel.getByRole('button', { name: 'Approve less' }).click();
  await page.waitForURL('**/done/F-1');
  const bytes = Buffer.from(sent!.document!, 'base64');
  expect(bytes.toString()).toBe(seen);
  const g = JSON.parse(bytes.toString());
  const r = JSON.parse(p.bytes);
  expect(g).toMatchObject({ maxs: 900, class: 'observe', channels: ['files-out', 'shell'], nbf: r.nbf, services: r.services, obl: ['record'], agent: asset().agent });
  expect(g.exp).toBeLessThan(r.exp);
  expect(g.req).toBe(sha256('sallyport/request/v1\0', p.bytes).toString('hex'));
  const salt = Buffer.from(sent!.salt, 'base64');
  expect(salt.length).toBe(32);
  expect(sent).toMatchObject({ role: 'approve', id: p.request.id });
  expect(sent!.nonce).toBe(sha256('sallyport/v1/approve\0', sha256('sallyport/grant/v1\0', bytes), sha256(token), salt).toString('base64url'));
});

test('the second approver approves the same bytes', async ({ page }) => {
  const p = papers(3, { needed: 2, approvals: 1, missing: ['modality-managers'], approved: [{ by: people.rossi, class: 'console', at: at(-2) }], class: 'disruptive' });
  p.documents.grant = fixedBy(p, { maxs: 900 });
  let sent: T.ProofStart | undefined;
  const panel = await show(page, p, { 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b as T.ProofStart), { url: '/done/F-2' }) }, { needed: 2 });
  await everyLook(page, 'decision-second', async () => {
    await expect(panel).toContainText('one of two approvals given');
    await expect(panel).toContainText('Dr Elena Rossi approved');
    await expect(panel).toContainText('for up to 15 minutes');
    await expect(panel.getByText('Allow less', { exact: true })).toHaveCount(0);
    await expect(panel.getByRole('button', { name: 'Approve the same' })).toBeEnabled();
  });
  await panel.getByRole('button', { name: 'Approve the same' }).click();
  await page.waitForURL('**/done/F-2');
  expect(sent!.document).toBe(p.documents.grant);
});

test('a grant of somebody else that does not answer this request is never approved', async ({ page }) => {
  const p = papers(4, { needed: 2, approvals: 1, approved: [{ by: people.rossi, class: 'web', at: at(-2) }] });
  p.documents.grant = fixedBy(p, { maxs: 7200 });
  const panel = await show(page, p);
  await everyLook(page, 'decision-wrong-grant', async () => {
    await expect(panel.getByRole('alert')).toContainText('Tell your security contact');
    await expect(panel.getByRole('button', { name: /^Approve/ })).toBeDisabled();
  });
});

test('documents of another request are refused', async ({ page }) => {
  const p = papers(5);
  p.documents = papers(6).documents;
  const panel = await show(page, p);
  await expect(panel.getByRole('alert')).toContainText('another request');
  await expect(panel.getByRole('button', { name: 'Approve' })).toBeDisabled();
});

test('an approval that is in already', async ({ page }) => {
  const p = papers(7, { needed: 2, approvals: 1, missing: ['modality-managers'], approved: [{ by: people.okafor, class: 'web', at: at(-1) }] });
  p.documents.grant = fixedBy(p);
  const panel = await show(page, p);
  await everyLook(page, 'decision-mine', async () => {
    await expect(panel).toContainText('Your approval is in');
    await expect(panel).toContainText('Still needed: modality-managers');
    await expect(panel.getByRole('button', { name: /^Approve/ })).toHaveCount(0);
  });
});

const both = { console_keys: 'both', needed: 1 } as const;

test('where a passkey is asked for beside the sign-in, what is missing is named', async ({ page }) => {
  const p = papers(14, { missing: [], approved: [{ by: people.okafor, class: 'console', at: at(-1) }], halves: [{ by: people.okafor, lacks: 'passkey' }] });
  p.documents.grant = fixedBy(p);
  const panel = await show(page, p, {}, both);
  await everyLook(page, 'decision-half', async () => {
    await expect(panel).toContainText('Each approver signs in, and also uses their passkey');
    await expect(panel).toContainText('Half of your approval is in');
    await expect(page.getByText('Half an approval, Maya Okafor')).toBeVisible();
    await expect(panel).toContainText(/Still needed: of .*Okafor their passkey, on the agent's own page/);
    await expect(panel.getByRole('button', { name: /^Approve/ })).toHaveCount(0);
  });
});

test('whoever used the passkey first signs in here', async ({ page }) => {
  const p = papers(15, { missing: [], approved: [{ by: people.okafor, class: 'console', at: at(-1), page: true, passkey: 'K-0123456789ab' }], halves: [{ by: people.okafor, lacks: 'sign-in' }] });
  p.documents.grant = fixedBy(p);
  const panel = await show(page, p, {}, both);
  await expect(panel.getByRole('button', { name: /^Approve/ })).toBeEnabled();
});

test('where only the hospital console counts, its command stands instead of the button', async ({ page }) => {
  const p = papers(8);
  const panel = await show(page, p, {}, { accept: { engineer: ['cli'], approver: ['console'] } });
  await everyLook(page, 'decision-console', async () => {
    await expect(panel).toContainText('only from the hospital console');
    await expect(panel.getByText(`sallyport approve ${p.request.id}`)).toBeVisible();
    await expect(panel.getByRole('button', { name: 'Approve', exact: true })).toHaveCount(0);
    await expect(panel.getByRole('button', { name: 'Decline' })).toBeEnabled();
  });
});

test('an agent that is away can check nothing', async ({ page }) => {
  const panel = await show(page, papers(9), {}, { online: false });
  await everyLook(page, 'decision-offline', async () => {
    await expect(panel).toContainText('The agent at NGH is not connected');
    await expect(panel.getByRole('button', { name: /^Approve/ })).toHaveCount(0);
    await expect(panel.getByRole('button', { name: 'Decline' })).toBeEnabled();
  });
});

test('a session that asks to go on', async ({ page }) => {
  const p = papers(10, { kind: 'extension', extends: session().id, max_seconds: 3600, reason: 'The calibration takes longer than planned.' });
  const panel = await show(page, p, { [`GET /sessions/${session().id}`]: session() });
  await everyLook(page, 'decision-extension', async () => {
    await expect(panel).toContainText('Live now');
    await expect(panel).toContainText('go on with a session that is open, until');
    await expect(panel).toContainText('instead of');
    await expect(panel.getByText('Allow less', { exact: true })).toHaveCount(0);
    await expect(panel.getByRole('button', { name: 'Approve' })).toBeEnabled();
  });
});

test('declining says why', async ({ page }) => {
  const p = papers(11);
  let body: unknown;
  const panel = await show(page, p, { [`POST /requests/${p.request.id}/deny`]: (_u: URL, _m: string, b: unknown) => ((body = b), { ...p.request, status: 'denied' }) });
  await panel.getByRole('button', { name: 'Decline' }).click();
  const sheet = page.getByRole('dialog', { name: 'Decline this request' });
  await expect(sheet.getByRole('button', { name: 'Decline' })).toBeDisabled();
  await sheet.getByLabel('Why?').fill('Scanner in use\nuntil 15:00');
  await everyLook(page, 'decision-decline', async () => expect(sheet).toBeVisible());
  await sheet.getByRole('button', { name: 'Decline' }).click();
  await expect(sheet).toBeHidden();
  expect(body).toEqual({ reason: 'Scanner in use until 15:00' });
});

test('another window is proposed in the hours of the site', async ({ page }) => {
  const p = papers(12);
  let body: { from: string; until: string; reason: string } | undefined;
  const panel = await show(page, p, { [`POST /requests/${p.request.id}/propose`]: (_u: URL, _m: string, b: unknown) => ((body = b as typeof body), p.request) }, { zone: 'America/New_York' }, { zone: 'America/New_York' });
  await panel.getByRole('button', { name: 'Other time' }).click();
  const sheet = page.getByRole('dialog', { name: 'Propose another window' });
  const day = at(60 * 24 * 3).slice(0, 10);
  await sheet.getByLabel('From').fill(`${day}T18:00`);
  await sheet.getByLabel('Until').fill(`${day}T17:00`);
  await expect(sheet).toContainText('ends before it begins');
  await sheet.getByLabel('Until').fill(`${day}T20:00`);
  await expect(sheet).toContainText('Hours of New York');
  await everyLook(page, 'decision-propose', async () => expect(sheet).toBeVisible());
  await sheet.getByRole('button', { name: 'Propose' }).click();
  await expect(sheet).toBeHidden();
  const inYork = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', hour: '2-digit', minute: '2-digit' });
  expect(inYork.format(new Date(body!.from))).toBe('18:00');
  expect(inYork.format(new Date(body!.until))).toBe('20:00');
});

test('text of strangers stays text', async ({ page }) => {
  const engineer = { iss: 'https://' + 'x'.repeat(200) + '.example', sub: nasty, email: nasty + '@' + nasty, name: nasty };
  const p = papers(13, { engineer, reason: '<script>alert(1)</script> ' + 'Röhre '.repeat(120), work_order: 'WO-' + '9'.repeat(60), needed: 2, approvals: 1, missing: ['g'.repeat(200)], approved: [{ by: { ...people.rossi, name: nasty }, class: 'web', at: at(-2) }] });
  const panel = await show(page, p, {}, { label: nasty, modality: nasty }, { recent: [{ ...context.recent[0]!, work_order: nasty }], denied: 3, unreviewed: 2 });
  await everyLook(page, 'decision-hostile', async () => {
    await expect(panel).toContainText('<script>alert(1)</script>');
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await panel.textContent()).not.toContain('\u202e');
  });
});

test('what cannot be read is said, and asked again', async ({ page }) => {
  const p = papers(14);
  const panel = await show(page, p, {
    [`GET /requests/${p.request.id}/documents`]: problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable'),
    [`GET /requests/${p.request.id}/context`]: 'hang',
  });
  await everyLook(page, 'decision-error', async () => {
    await expect(panel.getByRole('alert')).toContainText('did not answer');
    await expect(panel.getByRole('button', { name: 'Approve' })).toBeDisabled();
  });
});

test('a sign-in that cannot start loses nothing', async ({ page }) => {
  const p = papers(15);
  const panel = await show(page, p, { 'POST /auth/proofs': problem(503, 'Your identity provider did not answer.', 'Try again in a moment.', 'unreachable') });
  await panel.getByRole('button', { name: 'Approve' }).click();
  await expect(panel.getByRole('alert')).toContainText('Nothing was approved.');
  await expect(panel.getByRole('button', { name: 'Approve' })).toBeEnabled();
});
