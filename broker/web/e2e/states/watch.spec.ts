import { accessible, expect, fits, test } from '../look';
import { mock, session } from '../mock';
import { agent, sid, sizes } from '../agent';
import type { Page } from '@playwright/test';
import type * as T from '../../src/lib/types';

const answer = '/auth/callback/0a1b2c3d?code=c&state=s';
const outcome = (over = {}): T.Outcome => ({ ok: true, role: 'watch', request: sid, admitted: false, popup: true, return: `/sessions/${sid}`, problem: null, until: new Date(Date.now() + 15 * 60e3).toISOString(), ...over });

/** The broker and an identity provider; known: it knows the person without asking. */
async function hospital(page: Page, known: boolean, sent: T.ProofStart[] = []) {
  await mock(page, 'approver', {
    'GET /sessions/*': session({ id: sid }),
    'POST /attach': () => ({ ticket: 'T', expires: new Date(Date.now() + 30e3).toISOString(), url: '/api/v1/attach/ws' }),
    'POST /auth/proofs': (_u: URL, _m: string, b: unknown) => (sent.push(b as T.ProofStart), { url: answer }),
    'GET /auth/outcomes/*': known ? outcome() : outcome({ ok: false, until: undefined, problem: { status: 403, kind: 'denied', message: 'Your identity provider wants to ask you.', next: 'Sign in.' } }),
  });
  await page.route('**/auth/callback/**', (r) =>
    r.request().frame() === page.mainFrame() ? r.fulfill({ status: 303, headers: { location: '/done/TRIP' } }) : r.fulfill({ contentType: 'text/html', body: '' }),
  );
}

test('who watches sees the shell in the engineer\'s size, and can do nothing', async ({ page }) => {
  const sent: T.ProofStart[] = [];
  await hospital(page, true, sent);
  const a = await agent(page, { on: (type, _p, a) => {
    if (type !== 'J') return;
    a.say('N', { type: 'shells', shells: [1, 2], shown: 1 });
    a.say('S', Buffer.concat([sizes(120, 40), Buffer.from('gain drift 4.2 %')]));
  } });
  await page.goto(`/watch/${sid}`);
  await expect(page.locator('.xterm-rows')).toContainText('gain drift');
  await expect(page.getByText('watching')).toBeVisible();
  const proof = JSON.parse(a.heard.find((f) => f.type === 'J')!.payload.toString());
  expect(proof.role).toBe('watch');
  expect(sent[0]).toMatchObject({ role: 'watch', id: sid, silent: true, key: proof.key });
  await page.keyboard.type('rm');
  await page.getByRole('combobox').selectOption('2');
  await expect.poll(() => a.heard.some((f) => f.type === 'L' && f.payload.readUInt32BE(0) === 2)).toBe(true);
  expect(a.typed()).toBe('');
  await expect(page.getByRole('button', { name: 'End' })).toHaveCount(0);
  await fits(page);
});

test('where nobody is signed in silently the page says so and asks', async ({ page }) => {
  await hospital(page, false);
  await page.goto(`/watch/${sid}`);
  await expect(page.getByRole('heading', { name: 'Watch this session' })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Sign in and watch' })).toBeEnabled();
  await accessible(page);
});
