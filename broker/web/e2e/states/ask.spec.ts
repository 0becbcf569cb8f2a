import { asset, mock, people, problem, request, at } from '../mock';
import { everyLook, expect, test } from '../look';

const berlin = asset({ zone: 'Europe/Berlin', site: 'CHB', name: 'CHB-PETCT1', needed: 2, quorum: [{ group: 'radiology-leads', count: 1 }], services: [{ name: 'recon-ssh', endpoint: 'recon', protocol: 'ssh', port: 22, class: 'non-disruptive' }, { name: 'gantry-ssh', endpoint: 'gantry', protocol: 'ssh', port: 22, class: 'observe' }] });

test('asking: the form', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset()] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await everyLook(page, 'ask', async (p) => {
    await expect(p.getByRole('button', { name: 'Sign and ask' })).toBeEnabled();
  });
});

test('asking: critical sections, where the scanner has them and the work is disruptive', async ({ page }) => {
  const flashed = asset({ critical_seconds: 900, services: asset().services.map((s) => ({ ...s, class: 'disruptive' as const })) });
  await mock(page, 'engineer', { 'GET /assets': [flashed] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  const sections = page.getByRole('group', { name: 'Critical sections' });
  await page.getByRole('radio', { name: /^Work that may stop/ }).check();
  await expect(sections.getByRole('radio', { name: 'None' })).toBeChecked();
  await expect(sections.getByRole('radio')).toHaveCount(4);
  await sections.getByText('10 minutes').click();
  await everyLook(page, 'ask-critical', async (p) => {
    await expect(p.getByText('This hospital allows at most 15 minutes in all in one session.')).toBeVisible();
    await expect(p.getByRole('complementary').getByText('declare critical sections of at most 10 minutes in all')).toBeVisible();
  });
  await page.getByRole('radio', { name: /^Work without/ }).check();
  await expect(sections).toHaveCount(0);
  await expect(page.getByRole('complementary').getByText('critical')).toHaveCount(0);
});

test('asking: what is missing is said at the field', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset()] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await page.getByLabel('Work order').fill('x'.repeat(65));
  await page.getByLabel('Copy files from').click();
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page.getByLabel('Reason')).toBeFocused();
  await everyLook(page, 'ask-wrong', async (p) => {
    await expect(p.getByText('Say why. The approver decides by it.')).toBeVisible();
    await expect(p.getByText('at most 64 characters')).toBeVisible();
  });
});

test('asking: a window in the zone of the site', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [berlin] });
  await page.goto('/assets/CHB/CHB-PETCT1');
  await page.getByLabel('gantry-ssh').check();
  await expect(page.getByRole('radio', { name: 'Work without' })).toBeDisabled();
  await page.getByText('In a window').click();
  await page.getByLabel('From', { exact: true }).fill('22:00');
  await page.getByLabel('Until', { exact: true }).fill('01:30');
  await everyLook(page, 'ask-window', async (p) => {
    await expect(p.getByText('It ends on the next day.')).toBeVisible();
    await expect(p.getByText(/for you/).first()).toBeVisible();
    await expect(p.getByText(/Two approvers of the hospital/)).toBeVisible();
  });
});

test('asking: by command line only', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset({ accept: { engineer: ['cli'], approver: ['console'] } })] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await page.getByLabel('Reason').fill("Detector block 57 doesn't settle");
  await page.getByLabel('Work order').fill('WO-2026-11873');
  await everyLook(page, 'ask-cli', async (p) => {
    await expect(p.getByRole('button', { name: 'Sign and ask' })).toBeDisabled();
    await expect(p.getByText("sallyport request new NGH/NGH-PETCT1/recon-ssh --reason 'Detector block 57 doesn'\\''t settle' --work-order WO-2026-11873")).toBeVisible();
  });
});

test('asking: the agent is away', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset({ online: false })] });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await everyLook(page, 'ask-offline', async (p) => {
    await expect(p.getByText('is not connected, so the hospital cannot be asked')).toBeVisible();
  });
});

test('asking: nothing is there', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [] });
  await page.goto('/assets/NGH/NGH-NONE');
  await expect(page.getByRole('heading', { name: 'There is no scanner NGH/NGH-NONE here.' })).toBeVisible();
});

test('asking: the proof covers exactly what was written', async ({ page }) => {
  let sent: any;
  await mock(page, 'engineer', { 'GET /assets': [asset()], 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b), { url: '/nothing?at=idp' }) });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await page.getByLabel('Reason').fill('Detector <57> & co');
  await page.getByLabel('Work order').fill('WO-1');
  await page.getByText('1 h', { exact: true }).click();
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await page.waitForURL('**/nothing?at=idp');
  const text = Buffer.from(sent.document, 'base64').toString();
  const doc = JSON.parse(text);
  expect(text).toContain('"reason":"Detector <57> & co","ref":"WO-1"}');
  expect(doc).toMatchObject({ v: 1, kind: 'session', asset: 'NGH-PETCT1', services: ['recon-ssh'], channels: ['exec', 'shell'], class: 'non-disruptive', maxs: 3600, eng: { iss: people.brandt.iss, sub: 'u-1' } });
  expect(doc.exp - doc.nbf).toBe(4 * 3600);
  expect(doc.key).toMatch(/^ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY/);
  expect(sent).toMatchObject({ role: 'request', popup: false });
  expect(sent.nonce).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(Buffer.from(sent.salt, 'base64')).toHaveLength(32);
  // Back by the back button: the draft is there, and the key is in this browser.
  await page.goto('/assets/NGH/NGH-PETCT1');
  await expect(page.getByLabel('Reason')).toHaveValue('Detector <57> & co');
  const kept = await page.evaluate(async () => {
    const db = await new Promise<IDBDatabase>((done) => (indexedDB.open('sallyport').onsuccess = (e) => done((e.target as any).result)));
    const all = await new Promise<any[]>((done) => (db.transaction('keys').objectStore('keys').getAll().onsuccess = (e) => done((e.target as any).result)));
    return all.map((k) => [k.line, k.request, k.key.extractable]);
  });
  expect(kept).toEqual([[doc.key, expect.stringMatching(/^R-[a-z2-7]{26}$/), false]]);
});

test('asking: a session longer than the usual window gets a window of its length', async ({ page }) => {
  let sent: any;
  await mock(page, 'engineer', { 'GET /assets': [asset()], 'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => ((sent = b), { url: '/nothing?at=idp' }) });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await page.getByLabel('Reason').fill('x');
  await page.getByLabel('Work order').fill('WO-1');
  await page.getByLabel('Minutes').fill('481');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page.getByText('The hospital allows 8 hours at most here.')).toBeVisible();
  await page.getByLabel('Minutes').fill('300');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await page.waitForURL('**/nothing?at=idp');
  const doc = JSON.parse(Buffer.from(sent.document, 'base64').toString());
  expect([doc.maxs, doc.exp - doc.nbf]).toEqual([18000, 18000]);
});

test('asking: what the broker refuses is said, and the key is gone', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset()], 'POST /auth/proofs': problem(409, 'The window that was asked for is over.', 'Ask again with a new window.', 'expired') });
  await page.goto('/assets/NGH/NGH-PETCT1');
  await page.getByLabel('Reason').fill('x');
  await page.getByLabel('Work order').fill('WO-1');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page.getByRole('alert')).toContainText('The window that was asked for is over.');
  await expect(page.getByLabel('Reason')).toHaveValue('x');
});

test('asking: taking the window that the hospital proposes', async ({ page }) => {
  const r = request({ proposal: { from: at(180), until: at(300), reason: 'Patients until noon', by: 'Maya Okafor', at: at(-1) } });
  await mock(page, 'engineer', { 'GET /assets': [asset()], ['GET /requests/' + r.id]: r });
  await page.goto('/assets/NGH/NGH-PETCT1?again=' + r.id);
  await everyLook(page, 'ask-proposal', async (p) => {
    await expect(p.getByText('Maya Okafor proposes this window instead: Patients until noon')).toBeVisible();
    await expect(p.getByLabel('Reason')).toHaveValue(r.reason);
  });
});
