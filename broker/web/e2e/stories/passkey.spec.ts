// A passkey of the agent's own page, with Chromium's virtual authenticator: registered after a
// fresh sign-in, used with the identity providers stopped, and of no use to the broker's page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { accessible, photograph } from '../look';
import { expect, test, visit } from '../world';

/** Gives a page a passkey that recognises its user, or one that does not. */
async function holds(page: Page, recognises: boolean): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: recognises, isUserVerified: recognises, automaticPresenceSimulation: true } });
}

test('a passkey approves with the identity providers stopped', async ({ browser, world }) => {
  test.setTimeout(240_000);
  world.cli('engineer', 'login', '--hint', 'j.brandt@meridian.example');
  const asked = JSON.parse(world.cli('engineer', 'request', 'new', 'NGH-PETCT1/recon-ssh', '--reason', 'Tube arcs', '--work-order', 'WO-9', '--for', '30m', '-o', 'json')) as { id: string };
  const context = await browser.newContext({ baseURL: world.console, viewport: { width: 1024, height: 768 }, ignoreHTTPSErrors: true, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.on('console', (m) => expect(m.text()).not.toMatch(/Content.Security.Policy/i));
  await holds(page, true);

  // Registered by who signs in afresh, and by nobody else.
  await page.goto('/keys');
  await expect(page.getByRole('alert')).toContainText('needs a sign-in at the hospital');
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in by name' }).click();
  await page.getByRole('button', { name: 'Maya Okafor' }).click();
  await page.getByRole('button', { name: 'Passkeys' }).click();
  await expect(page.getByText('You have none yet.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Make the passkey' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Sign in afresh and register a passkey' }).click();
  await page.getByRole('button', { name: 'Make the passkey' }).click();
  await expect(page.getByRole('button', { name: /^Remove K-/ })).toBeVisible();
  const key = (await page.getByRole('button', { name: /^Remove K-/ }).innerText()).replace('Remove ', '');
  expect(world.agent('keys', 'ls', '--config', join(world.state, 'agent.yaml'))).toContain(key);
  await photograph(page, 'passkey-registered');
  await accessible(page);

  // The broker's page asks the browser for it in vain.
  const broker = await visit(browser, world, 'Maya Okafor', '/');
  await holds(broker.page, true);
  for (const rpId of ['localhost', undefined]) {
    const said = await broker.page.evaluate(async (rpId) => navigator.credentials.get({ publicKey: { challenge: new Uint8Array(32), ...(rpId ? { rpId } : {}) } }).then(() => 'signed', (e: Error) => e.name), rpId);
    expect(said).toBe('SecurityError');
  }
  await broker.close();

  // Nobody else is there any more: no identity provider, no broker, no Redis.
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign out' }).click();
  const brokerPid = world.pids.broker!;
  const demo = Number(readFileSync(`/proc/${brokerPid}/stat`, 'utf8').split(') ')[1]!.split(' ')[1]); // in which the providers and the store are
  for (const pid of [demo, brokerPid]) process.kill(pid, 'SIGSTOP');
  try {
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByRole('button', { name: 'Use my passkey' }).click();
    await expect(page.getByText('Maya Okafor', { exact: true })).toBeVisible();
    await page.getByRole('button', { name: 'Read and decide' }).click();
    await expect(page.getByRole('heading', { name: 'What you would sign' })).toBeVisible();
    await photograph(page, 'passkey-decide');
    await accessible(page);
    await page.getByRole('button', { name: 'Approve with my passkey' }).click();
    await expect(page.getByText('Approved and admitted')).toBeVisible();
    await photograph(page, 'passkey-approved');
  } finally {
    for (const pid of [brokerPid, demo]) process.kill(pid, 'SIGCONT');
  }

  // The broker hears by what it was approved.
  await expect(async () => {
    const shown = JSON.parse(world.cli('engineer', 'request', 'show', asked.id, '-o', 'json')) as { status: string; approved: { passkey?: string; signed?: boolean; page?: boolean }[] };
    expect(shown.status).toBe('approved');
    expect(shown.approved[0]!.signed).toBeUndefined();
    expect(shown.approved).toMatchObject([{ passkey: key, page: true }]);
  }).toPass({ timeout: 60_000 });
  expect(world.cli('engineer', 'request', 'show', asked.id)).toContain(`by the passkey ${key}`);

  // What was revoked signs nobody in, and the log tells when it came and when it went.
  world.agent('keys', 'revoke', key, '--config', join(world.state, 'agent.yaml'));
  world.cli('auditor', 'login', '--hint', 's.adeyemi@northfield.example');
  await expect(async () => {
    const log = JSON.parse(world.cli('auditor', 'audit', 'tail', '--last', '100', '-o', 'json')) as { event: string; details?: Record<string, string> }[];
    const of = log.filter((e) => e.details?.passkey === key && e.event.startsWith('passkey-'));
    expect(of.map((e) => e.event)).toEqual(['passkey-registered', 'passkey-revoked']);
  }).toPass({ timeout: 60_000 });
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('button', { name: 'Use my passkey' }).click();
  await expect(page.getByRole('alert').first()).toContainText('not registered here, or it was revoked');
  await context.close();
});
