import { mock, options, problem } from '../mock';
import { everyLook, expect, test } from '../look';
import type * as T from '../../src/lib/types';

test('the front door of a demonstration', async ({ page }) => {
  await mock(page, null);
  await page.goto('/signin');
  await everyLook(page, 'signin-demo', async (p) => {
    await expect(p.getByRole('button', { name: /Jana Brandt/ })).toBeVisible();
  });
});

test('the front door of a hospital, on the way to a request', async ({ page }) => {
  await mock(page, null, { 'GET /auth/options': { ...options, demo: false, personas: [] }, 'GET /requests/R-x': problem(401, 'x', 'x') });
  await page.goto('/requests/R-x');
  await everyLook(page, 'signin', async (p) => {
    await expect(p.getByText('Sign in to go on to')).toBeVisible();
    await expect(p.getByLabel('Your work address')).toBeVisible();
  });
});

test('a persona is one press, and the way on is kept', async ({ page }) => {
  let asked: any;
  await mock(page, null, { 'POST /auth/login': (_u: URL, _m: string, b: unknown) => ((asked = b), { url: '/nothing?at=idp' }) });
  await page.goto('/signin?return=' + encodeURIComponent('/requests/R-1?x=2'));
  await page.getByRole('button', { name: /Maya Okafor/ }).click();
  await page.waitForURL('**/nothing?at=idp');
  expect(asked).toEqual({ persona: 'approver', return: '/requests/R-1?x=2' });
});

test('a way on that leads elsewhere is dropped', async ({ page }) => {
  let asked: any;
  await mock(page, null, { 'POST /auth/login': (_u: URL, _m: string, b: unknown) => ((asked = b), { url: '/nothing' }) });
  for (const bad of ['//evil.example', '/\\evil.example', 'https://evil.example']) {
    await page.goto('/signin?return=' + encodeURIComponent(bad));
    await page.getByRole('button', { name: /Jana Brandt/ }).click();
    await page.waitForURL('**/nothing');
    expect(asked.return).toBe('/');
  }
});

test('an address that nobody answers for is said at the field', async ({ page }) => {
  await mock(page, null, { 'POST /auth/login': problem(400, 'No identity provider here answers for that address.', 'Check the address; if it is right, ask whoever runs this broker.') });
  await page.goto('/signin');
  await page.getByLabel('Your work address').fill('me@elsewhere.example');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await everyLook(page, 'signin-wrong', async (p) => {
    await expect(p.getByRole('alert')).toContainText('No identity provider here answers');
  });
});

test('a sign-in that failed says why', async ({ page }) => {
  const o: T.Outcome = {
    ok: false, role: 'login', request: '', admitted: false, popup: false, return: '/',
    problem: { status: 403, kind: 'denied', message: 'Northfield knows you, but you are in none of the groups that may use Sallyport.', next: 'Ask your IT to add you to scanner-approvers or auditors.' },
  };
  await mock(page, null, { 'GET /auth/outcomes/f1': o });
  await page.goto('/signin?problem=f1');
  await everyLook(page, 'signin-failed', async (p) => {
    await expect(p.getByRole('alert')).toContainText('none of the groups');
  });
});

test('a proof that failed keeps what was written', async ({ page }) => {
  const o: T.Outcome = {
    ok: false, role: 'request', request: '', admitted: false, popup: false, return: '/',
    problem: { status: 503, kind: 'unreachable', message: 'The agent at NGH is not connected.', next: 'Try again in a minute, or call the hospital.' },
  };
  await mock(page, 'engineer', { 'GET /auth/outcomes/f2': o });
  await page.goto('/done/f2');
  await everyLook(page, 'done-failed', async (p) => {
    await expect(p.getByRole('heading', { name: 'The agent at NGH is not connected.' })).toBeVisible();
    await expect(p.getByText('What you wrote is kept')).toBeVisible();
  });
});

test('a proof that nobody knows any more', async ({ page }) => {
  await mock(page, 'engineer');
  await page.goto('/done/f3');
  await expect(page.getByRole('heading', { name: /Nothing is known/ })).toBeVisible();
});

test('a window of its own tells the page that opened it', async ({ page, context }) => {
  const o: T.Outcome = { ok: true, role: 'request', request: 'R-1', admitted: false, popup: true, return: '/', problem: null };
  await mock(page, 'engineer');
  await page.goto('/account');
  const heard = page.evaluate(() => new Promise((done) => (new BroadcastChannel('sallyport').onmessage = (e) => done(e.data.request))));
  const other = await context.newPage();
  await mock(other, 'engineer', { 'GET /auth/outcomes/f4': o });
  await other.goto('/done/f4').catch(() => {});
  expect(await heard).toBe('R-1');
});
