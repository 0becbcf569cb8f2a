// The main pages where windows are unusual: very wide, magnified to 200 %, in the
// colours of the system.
import { accessible, expect, fits, photograph, test } from '../look';
import { asset, at, context, mock, recording, request, session } from '../mock';
import { papers } from '../papers';
import type { Page } from '@playwright/test';

const p = papers(1);
const assets = [asset(), asset({ name: 'NGH-MR2', label: 'Magnus 3T', modality: 'MR', online: false }), asset({ name: 'CHB-CT1', site: 'CHB', label: 'Helion CT', zone: 'Europe/Berlin' })];
const live = session({ request: p.request.id });
const answers = {
  'GET /assets': assets, 'GET /requests': [p.request, request({ id: 'R-2', status: 'closed', created: at(-900) })], 'GET /sessions': [live],
  'GET /recordings': [recording(), recording({ id: 'V-2', state: 'torn', reason: 'recorder' })],
  [`GET /requests/${p.request.id}`]: p.request, [`GET /requests/${p.request.id}/documents`]: p.documents, [`GET /requests/${p.request.id}/context`]: context,
  'GET /sessions/*': live, 'GET /access/*': { ready: false, pending: false },
};
const pages = [
  ['signin', null, '/signin', 'Two doors'],
  ['assets', 'engineer', '/assets', 'Assets'],
  ['ask', 'engineer', '/assets/NGH/NGH-PETCT1', 'Ask for'],
  ['inbox', 'approver', '/inbox', 'Inbox'],
  ['decision', 'approver', `/requests/${p.request.id}`, 'Helion 64'],
  ['live', 'approver', '/live', 'Live'],
  ['recordings', 'auditor', '/recordings', 'Recordings'],
] as const;

async function open(page: Page, role: (typeof pages)[number][1], path: string, title: string) {
  await mock(page, role, answers);
  await page.goto(path);
  await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible();
  await page.evaluate(() => document.fonts.ready.then(() => true));
}
const shot = (page: Page, name: string) => photograph(page, `${name}`, false);

for (const [name, role, path, title] of pages) {
  test(`${name}: wide, magnified, in the system's colours`, async ({ page }) => {
    await page.setViewportSize({ width: 2560, height: 1300 });
    await open(page, role, path, title);
    await fits(page);
    await shot(page, `${name}-wide`);
    await page.setViewportSize({ width: 640, height: 400 });
    await fits(page);
    await shot(page, `${name}-zoom`);
    await accessible(page);
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ forcedColors: 'active', colorScheme: 'dark' });
    await fits(page);
    await shot(page, `${name}-forced`);
    await page.emulateMedia({ forcedColors: 'none', colorScheme: 'light' });
  });
}
