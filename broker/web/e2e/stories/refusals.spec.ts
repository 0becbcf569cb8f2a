// What a console refuses, and how it ends: read by the engineer in the browser, and by the
// hospital on the session's page, with what to do next. And in all that the browsers heard and
// kept, the console's password is not.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type Page } from '@playwright/test';
import { accessible, fits, photograph } from '../look';
import { expect as expects, start, visit, type Visitor } from '../world';
import { device, picture, same, xrdp } from './desk';
import { Front, type Says } from './front';
import { approve, choose } from './people';

const expect = expects.configure({ timeout: 60_000 });
const password = 'Tungsten-Orchard-4711';

/** Keeps all that a page says and hears. */
function listen(page: Page, heard: Buffer[]): void {
  page.on('request', (r) => heard.push(Buffer.from(r.url() + ' ' + JSON.stringify(r.headers())), r.postDataBuffer() ?? Buffer.of()));
  page.on('response', (r) => void r.body().then((b) => heard.push(b), () => {}));
  page.on('console', (m) => heard.push(Buffer.from(m.text())));
  page.on('websocket', (w) => {
    for (const way of ['framesent', 'framereceived'] as const) w.on(way, ({ payload }) => heard.push(Buffer.from(payload)));
  });
}

/** What a browser keeps for itself, and what it shows. */
const kept = (v: Visitor) =>
  v.page.evaluate(async () => {
    const all: unknown[] = [document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, document.cookie, await caches.keys()];
    for (const { name } of await indexedDB.databases()) {
      const db = await new Promise<IDBDatabase>((done, fail) => Object.assign(indexedDB.open(name!), { onsuccess(this: IDBOpenDBRequest) { done(this.result); }, onerror: fail }));
      for (const store of db.objectStoreNames)
        all.push(name, store, await new Promise((done, fail) => Object.assign(db.transaction(store).objectStore(store).getAll(), { onsuccess(this: IDBRequest) { done(this.result); }, onerror: fail })));
      db.close();
    }
    return JSON.stringify(all);
  });

const holds = (all: Buffer[], text: string) => all.some((b) => b.includes(text) || b.includes(Buffer.from(text, 'utf16le')));

test('whatever a console refuses is a sentence, for the engineer and for the hospital', async ({ browser }) => {
  test.setTimeout(300_000);
  const d = await device();
  const real = await xrdp(d);
  const front = await new Front(real.port).listen();
  const secrets = mkdtempSync(join(tmpdir(), 'secret-'));
  writeFileSync(join(secrets, 'password'), password + '\n', { mode: 0o600 });
  const { world, stop } = await start(`assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control]}
  masks: [{screen: 640x480, boxes: []}]
  endpoints:
  - name: console
    address: 127.0.0.1
    services:
    - {name: console-rdp, protocol: rdp, port: ${front.port}, login: {user: svc, domain: "", password: "file:${join(secrets, 'password')}"}, keyboard: us}
`);
  try {
    const [vendor, hospital] = [await visit(browser, world, 'Jana Brandt'), await visit(browser, world, 'Maya Okafor')];
    const { page } = vendor;
    const heard: Buffer[] = [];
    for (const v of [vendor, hospital]) listen(v.page, heard);
    await page.goto('/assets/NGH/NGH-PETCT1');
    await choose(page, 'console-rdp');
    await page.getByLabel('Reason').fill('The console refuses.');
    await page.getByLabel('Work order').fill('WO-2026-12077');
    await page.getByRole('button', { name: 'Sign and ask' }).click();
    await expect(page).toHaveURL(/\/requests\/R-/);
    await approve(hospital, page.url().split('/').pop()!);

    const door = page.getByRole('link', { name: 'Open the console' });
    await expect(door).toBeVisible();
    const at = (await door.getAttribute('href'))!;

    /** What both read, each in its place. */
    const told = async (name: string, message: string, next: string) => {
      await expect(page.getByText(message).first()).toBeVisible();
      await expect(page.getByText(next).first()).toBeVisible();
      await fits(page);
      await photograph(page, `story-rdp-${name}`, false);
      const session = new URL(page.url()).searchParams.get('session')!;
      await hospital.page.goto(`/sessions/${session}`);
      const note = hospital.page.locator('.no-device');
      await expect(async () => {
        await hospital.page.reload();
        await expect(note).toContainText(message, { timeout: 5_000 });
      }).toPass({ timeout: 60_000 });
      await expect(note).toContainText(next);
      await fits(hospital.page);
      await photograph(hospital.page, `story-rdp-${name}-told`, false);
    };

    const refusals: [string, Says, string, string][] = [
      ['wrong-password', front.refuses(0xc000006d), 'The console refused the login: user or password is wrong.', 'Check them in the agent’s secrets.'],
      ['expired', front.refuses(0xc0000071), 'The password of the login has expired at the console.', 'Change it at the console'],
      ['refused', front.refusesConnection, 'The console refused the connection.', 'Ask who serves it whether remote connections are on'],
      ['licence', front.refusesLicence, 'The console lets nobody in without a licence of its own (2).', 'Ask who serves it for its remote desktop licences.'],
    ];
    for (const [name, says, message, next] of refusals) {
      front.says(says);
      await page.goto(at);
      await told(name, message, next.replace('’', "'"));
    }
    await accessible(hospital.page);

    // It is shown, and ended by somebody there.
    front.says(null);
    for (const [name, code, message, next] of [
      ['administrator', 1, "The console's administrator ended the session.", 'Ask who serves the console before you try again.'],
      ['taken', 5, 'Somebody else connected to the console, and it has one session.', 'Ask who works there before you take it back.'],
      ['signed-out', 0xc, 'Somebody at the console signed out, and its programs were closed.', 'Ask who works there before you begin again.'],
    ] as const) {
      await page.goto(at);
      await expect(picture(page)).toBeVisible();
      await expect.poll(() => same(page, d), { timeout: 60_000 }).toBe('the same');
      front.ends(code);
      await told(name, message, next);
    }

    // Another certificate than before hears nothing.
    front.shows();
    await page.goto(at);
    await told('certificate', 'another certificate than before', 'Nothing was sent to it');

    for (const v of [vendor, hospital]) heard.push(Buffer.from(await kept(v)), Buffer.from(JSON.stringify(await v.context.storageState())));
    for (const known of ['WO-2026-12077', 'user or password is wrong', 'signed out, and its programs were closed']) expect(holds(heard, known), known).toBe(true);
    expect(holds(heard, password)).toBe(false);
    for (const v of [vendor, hospital]) await v.close();
  } finally {
    await stop();
    front.stop();
    d.stop();
    real.stop();
    rmSync(secrets, { recursive: true, force: true });
  }
});
