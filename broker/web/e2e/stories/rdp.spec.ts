// A console that speaks RDP, through broker, agent and device: a real xrdp, whose picture,
// keys and clipboard are read back where they are.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible, fits, photograph } from '../look';
import { test } from '@playwright/test';
import { expect as expects, start, visit, type Visitor } from '../world';
import { device, holds, picture, pressed, same, shows, sink, xrdp } from './desk';
import { approve, choose } from './people';

const expect = expects.configure({ timeout: 30_000 });
const takes = 'A Windows 7 has one session: connecting by RDP takes the console from whoever works at the scanner.';
const together = 'To look together with whoever is there, use the console that speaks VNC:';

async function shot({ page }: Visitor, name: string): Promise<void> {
  await fits(page);
  await photograph(page, `story-rdp-${name}`, false);
}

test('a real xrdp: asked for, worked at, watched, frozen, ended and replayed', async ({ browser }) => {
  test.setTimeout(240_000);
  const d = await device();
  const front = await xrdp(d);
  const secrets = mkdtempSync(join(tmpdir(), 'secret-'));
  writeFileSync(join(secrets, 'password'), 'Tungsten-Orchard-4711\n', { mode: 0o600 });
  const { world, stop } = await start(`assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control, clipboard-in, clipboard-out]}
  masks: [{screen: 640x480, boxes: []}]
  endpoints:
  - name: console
    address: 127.0.0.1
    services:
    - {name: console-rdp, protocol: rdp, port: ${front.port}, login: {user: svc, domain: "", password: "file:${join(secrets, 'password')}"}, keyboard: us}
    - {name: console-vnc, protocol: vnc, port: ${d.port}, class: non-disruptive}
`);
  try {
    const [vendor, hospital] = [await visit(browser, world, 'Jana Brandt'), await visit(browser, world, 'Maya Okafor')];
    const { page } = vendor;

    // Who asks and who says yes read what that takes, and what takes nothing.
    await page.goto('/assets/NGH/NGH-PETCT1');
    await choose(page, 'console-rdp');
    await expect(page.getByText(takes).first()).toBeVisible();
    await page.getByLabel('Reason').fill('The reconstruction does not start; look at the console.');
    await page.getByLabel('Work order').fill('WO-2026-12044');
    for (const box of await page.getByRole('switch').all()) if (!(await box.isChecked())) await box.click();
    await shot(vendor, 'ask');
    await page.getByRole('button', { name: 'Sign and ask' }).click();
    await expect(page).toHaveURL(/\/requests\/R-/);
    const id = page.url().split('/').pop()!;
    await hospital.page.goto(`/requests/${id}`);
    for (const words of [takes, together, 'This work can stop an examination.']) await expect(hospital.page.getByText(words).first()).toBeVisible();
    await expect(hospital.page.getByText(/speaks VNC: .*console-vnc/).first()).toBeVisible();
    await shot(hospital, 'decide');
    await approve(hospital, id);

    // Work: the picture to the pixel, keys, and text both ways.
    await page.getByRole('link', { name: 'Open the console' }).click();
    await expect(picture(page)).toBeVisible();
    await expect.poll(() => same(page, d), { timeout: 60_000 }).toBe('the same');
    await expect(page.getByText('The console showed its certificate for the first time').first()).toBeAttached();
    await picture(page).click({ position: { x: 200, y: 200 } });
    await page.keyboard.type('ab');
    await expect.poll(() => pressed(d)).toEqual([0x61, 0x62]);
    d.keep('xclip', ['-selection', 'clipboard', '-quiet'], 'from the console');
    const clipboard = page.getByRole('button', { name: /^Clipboard/ });
    await clipboard.click();
    await expect(page.getByLabel('What was copied at the console')).toHaveText('from the console');
    await page.getByLabel("This text goes into the console's clipboard").fill('from the engineer');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await expect.poll(() => d.run('xclip', '-selection', 'clipboard', '-o').toString()).toBe('from the engineer');
    await accessible(page);
    await shot(vendor, 'work');

    // The hospital watches, freezes and thaws.
    const session = new URL(page.url()).searchParams.get('session')!;
    const auditor = await visit(browser, world, 'Sam Adeyemi', `/watch/${session}`);
    await expect(picture(auditor.page)).toBeVisible();
    await expect.poll(() => same(auditor.page, d), { timeout: 60_000 }).toBe('the same');
    await shot(auditor, 'watch');
    await hospital.page.goto('/live');
    await hospital.page.getByRole('button', { name: /Freeze.*Jana Brandt/ }).click();
    await expect(page.getByText('The hospital froze this session.', { exact: true })).toBeVisible();
    await sink(page).focus();
    await page.keyboard.type('ice');
    await hospital.page.getByRole('button', { name: /Thaw.*Jana Brandt/ }).click();
    await expect(page.getByText('What you type and click goes to the device again.').first()).toBeVisible();
    await sink(page).focus();
    await page.keyboard.type('z');
    const before = shows(d);
    await expect.poll(() => pressed(d)).toEqual([0x61, 0x62, 0x7a]);
    d.keep('xlogo', ['-geometry', '200x200+40+40']);
    await expect.poll(() => shows(d).equals(before)).toBe(false);
    await expect.poll(() => same(page, d)).toBe('the same');
    const last = shows(d);

    // The end, and what is left: the session's page names the certificate, and it is replayed.
    await hospital.page.getByRole('button', { name: /End.*Jana Brandt/ }).click();
    await hospital.page.getByRole('dialog').getByRole('button', { name: /^End/ }).click();
    await expect(page.getByText(/Nothing goes to the device any more/)).toBeVisible();
    await auditor.page.goto(`/sessions/${session}`);
    await expect(auditor.page.getByText('console-rdp showed its certificate for the first time')).toBeVisible();
    await auditor.page.locator('a[href^="/recordings/V-"]').first().click();
    await auditor.page.getByLabel(/^Review: was it done/).check();
    await auditor.page.getByRole('button', { name: 'Show the recording' }).click();
    const replayed = auditor.page.getByRole('group', { name: /^The recorded console/ }).locator('canvas');
    await expect(replayed).toBeVisible();
    const moment = auditor.page.getByRole('slider', { name: 'Moment' });
    await expect.poll(async () => Number(await moment.getAttribute('max'))).toBeGreaterThan(1000);
    const box = (await moment.boundingBox())!;
    await auditor.page.mouse.click(box.x + box.width * 0.995, box.y + box.height / 2);
    await expect.poll(() => holds(replayed, last)).toBe('the same');
    await auditor.page.mouse.click(box.x + 1, box.y + box.height / 2);
    await expect.poll(() => holds(replayed, last)).not.toBe('the same');
    await auditor.page.mouse.click(box.x + box.width * 0.995, box.y + box.height / 2);
    await shot(auditor, 'replay');
    for (const v of [vendor, hospital, auditor]) await v.close();
  } finally {
    await stop();
    d.stop();
    front.stop();
    rmSync(secrets, { recursive: true, force: true });
  }
});
