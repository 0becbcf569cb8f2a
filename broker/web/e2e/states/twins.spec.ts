// Two hospitals call a scanner and its service alike. One of them is hostile: its title is
// the other's, or tries to be. Every page says whose a scanner is, and takes nothing from
// the one for the other.
import type { Page } from '@playwright/test';
import type * as T from '../../src/lib/types';
import { asset, at, context, me, mock, recording, request, session } from '../mock';
import { papers } from '../papers';
import { expect, fits, test } from '../look';

/** What a hostile hospital may try to be taken for, as if a broker had let it through. */
const titles = ['Helion 64', 'Helion 64 ', 'HELION 64', 'Неlion 64', 'NGH/NGH-PETCT1', 'Helion 64 at NGH', '\u202e46 noileH', 'Helion\u200b 64\u2066'];
const hidden = /[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
const ours = 'NGH/NGH-PETCT1';
const theirs = 'XYZ/NGH-PETCT1';
const foreign = { site: 'XYZ', asset: 'NGH-PETCT1' } as const;
const sites = { ...me('approver'), roles: ['engineer', 'approver', 'auditor'] as T.Role[], sites: ['NGH', 'XYZ'] };

/** A broker on which both stand; a scanner is asked for by its site, or all of them are. */
async function twins(page: Page, title: string, answers: Record<string, unknown> = {}) {
  const all = [asset({ label: 'Helion 64' }), asset({ site: 'XYZ', label: title, zone: 'Asia/Tokyo', agent: 'SHA256:' + 'B'.repeat(43) })];
  await mock(page, 'approver', {
    'GET /me': sites,
    'GET /assets': (u: URL) => all.filter((a) => ['', a.site].includes(u.searchParams.get('site') ?? '')),
    'GET /requests': (u: URL) => (u.searchParams.get('status') === 'approved' ? [] : [request(), request({ ...foreign, id: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFS' })]),
    'GET /sessions': [session(), session({ ...foreign, id: 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFS', request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFS' })],
    'GET /recordings': [recording(), recording({ ...foreign, id: 'V-7H2K9M4QXW3EVN5TBJ6CPA8DFS' })],
    'GET /engineers': [],
    ...answers,
  });
}

/** Each of the two stands on the page by its full name, and nothing on it turns text around. */
async function bothNamed(page: Page, where: string, a = ours, b = theirs) {
  await page.goto(where);
  for (const name of [a, b]) await expect(page.locator('main').getByText(name).first(), `${name} on ${where}`).toBeVisible();
  expect(hidden.test((await page.locator('body').textContent()) ?? ''), `text that is turned around on ${where}`).toBe(false);
  await fits(page);
}

for (const [i, title] of titles.entries()) {
  test(`lists say whose it is: title ${i + 1}`, async ({ page }) => {
    await twins(page, title);
    await bothNamed(page, '/assets');
    await bothNamed(page, '/live');
    await bothNamed(page, '/inbox', `${ours}/recon-ssh`, `${theirs}/recon-ssh`);
    await bothNamed(page, '/requests', `${ours}/recon-ssh`, `${theirs}/recon-ssh`);
    await bothNamed(page, '/sessions', `${ours}/recon-ssh`, `${theirs}/recon-ssh`);
    await bothNamed(page, '/recordings', `${ours}/recon-ssh`, `${theirs}/recon-ssh`);
  });

  test(`a page of one says whose it is: title ${i + 1}`, async ({ page }) => {
    const mine = papers(70);
    const other = papers(71, foreign);
    const answers: Record<string, unknown> = {};
    for (const p of [mine, other]) {
      answers[`GET /requests/${p.request.id}`] = p.request;
      answers[`GET /requests/${p.request.id}/documents`] = p.documents;
      answers[`GET /requests/${p.request.id}/context`] = context;
    }
    const live = session({ ...foreign, request: other.request.id, recordings: [] });
    answers[`GET /sessions/${live.id}`] = live;
    await twins(page, title, answers);
    for (const [p, full] of [[mine, ours], [other, theirs]] as const) {
      await page.goto(`/requests/${p.request.id}`);
      const panel = page.getByRole('article', { name: 'Decide' });
      await expect(panel.getByRole('listitem').filter({ hasText: `use a command shell on ${full}/recon-ssh` })).toBeVisible();
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(new RegExp(` at ${full.slice(0, 3)}$`));
      await expect(page).toHaveTitle(new RegExp(`${full}/recon-ssh`));
      expect(hidden.test((await page.locator('body').textContent()) ?? '')).toBe(false);
    }
    await page.goto(`/sessions/${live.id}`);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(/ at XYZ$/);
    await expect(page.locator('main')).toContainText(`${theirs}/recon-ssh`);
    await page.goto('/assets/NGH/NGH-PETCT1');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Ask for Helion 64 at NGH');
    await page.goto('/assets/XYZ/NGH-PETCT1');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(/ at XYZ$/);
    await expect(page.locator('main')).toContainText(theirs);
  });
}

test('a name without its site opens nothing where two have it', async ({ page }) => {
  await twins(page, 'Helion 64');
  for (const [short, under, service] of [
    ['/assets/NGH-PETCT1', '/assets', ''],
    ['/assets/ngh-petct1?again=R-x', '/assets', ''],
    ['/terminal/NGH-PETCT1/recon-ssh', '/terminal', '/recon-ssh'],
  ]) {
    await page.goto(short);
    await expect(page.getByRole('heading', { level: 1 })).toContainText('is at 2 hospitals.');
    for (const site of ['NGH', 'XYZ']) {
      await expect(page.getByRole('link', { name: `${site}/NGH-PETCT1${service}`, exact: true })).toHaveAttribute('href', new RegExp(`^${under}/${site}/NGH-PETCT1${service}`));
    }
    expect(new URL(page.url()).pathname).toBe(short.split('?')[0]);
  }
});

test('a name without its site leads on where one has it', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /assets': [asset()] });
  await page.goto('/assets/ngh-petct1?again=R-x');
  await page.waitForURL(/\/assets\/NGH\/NGH-PETCT1\?again=R-x$/);
  await page.goto('/assets/NGH-PETCT');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('There is no scanner NGH-PETCT here.');
});

// Only one of the two is granted: the other one's scanner stays closed.
test('what is granted at one is not open at the other', async ({ page }) => {
  const granted = request({ ...foreign, status: 'approved', grant: 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR', engineer: sites.person });
  await twins(page, 'Helion 64', {
    'GET /requests': (u: URL) => (u.searchParams.get('status') === 'pending' ? [] : [granted]),
    'GET /sessions': [session({ ...foreign, opened: at(-2) })],
    'GET /access/XYZ/NGH-PETCT1/recon-ssh': { site: 'XYZ', asset: 'NGH-PETCT1', service: 'recon-ssh', ready: true, pending: false },
  });
  await page.goto('/assets');
  const card = (site: string) => page.locator('section.site').filter({ has: page.getByRole('heading', { name: new RegExp('^' + site) }) });
  await expect(card('XYZ').locator('li.open')).toHaveCount(1);
  await expect(card('NGH').locator('li.open')).toHaveCount(0);
  await expect(card('NGH')).toContainText('No access of yours is open');
});
