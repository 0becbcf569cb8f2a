// Many files at once, and names of every kind, through the page's panel and the real
// system to a device and back; each of them is on record.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { accessible, photograph } from '../look';
import { expect, test, visit, type Visitor, type World } from '../world';
import { approve, ask, work } from './people';

const sum = (b: Buffer) => createHash('sha256').update(b).digest('hex');

/** The device's folder that a person's panel shows first. */
function home(world: World, asset: string): string {
  const all = readdirSync(world.state, { recursive: true, encoding: 'utf8' }).filter((p) => p.endsWith('/home') && p.toLowerCase().includes(asset.toLowerCase()));
  expect(all.length, `a home of ${asset} among ${all}`).toBe(1);
  return join(world.state, all[0]!);
}

async function panelOf(page: Page) {
  await page.getByRole('button', { name: 'Files', exact: true }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByRole('button', { name: 'Upload' })).toBeEnabled();
  return panel;
}

/** Waits for words at one place: looking through all of a long page takes the page's own time. */
async function says(page: Page, where: string, words: string): Promise<void> {
  await page.waitForFunction(([w, t]) => document.querySelector(w!)?.textContent?.trim() === t, [where, words], { polling: 500, timeout: 120_000 });
}

async function working(browser: Parameters<typeof visit>[0], world: World, asset: string, engineer: string, order: string): Promise<{ vendor: Visitor; hospital: Visitor }> {
  const vendor = await visit(browser, world, engineer, '/assets');
  const hospital = await visit(browser, world, 'Maya Okafor', '/inbox');
  const id = await ask(vendor.page, asset, 'Files go both ways.', order);
  await approve(hospital, id);
  await work(vendor.page, id);
  return { vendor, hospital };
}

/** What the auditor reads in the record of the last session with a work order. */
async function record(browser: Parameters<typeof visit>[0], world: World, order: string): Promise<string> {
  world.agent('kill', '--all');
  const auditor = await visit(browser, world, 'Sam Adeyemi', `/recordings?work_order=${order}`);
  await auditor.page.getByRole('link', { name: /NGH/ }).first().click();
  await auditor.page.getByLabel(/^Review: was it done/).check();
  await auditor.page.getByRole('button', { name: 'Show the recording' }).click();
  const id = auditor.page.url().split('/').pop()!.split('?')[0]!;
  await expect
    .poll(async () => ((await (await auditor.page.request.get(`/api/v1/recordings/${id}/replay`)).json()) as { whole: boolean }).whole, { timeout: 30_000 })
    .toBe(true);
  world.cli('auditor', 'login', '--hint', 's.adeyemi@northfield.example');
  const text = world.cli('auditor', 'recordings', 'play', id, '--plain', '--reason', 'Complaint 12');
  await auditor.close();
  return text;
}

test('two hundred small files up and down at once', async ({ browser, world }) => {
  test.setTimeout(240_000);
  const { vendor, hospital } = await working(browser, world, 'NGH-CT2', 'Luis Ortega', 'WO-M1');
  const page = vendor.page;
  const panel = await panelOf(page);
  const files = Array.from({ length: 220 }, (_, i) => ({ name: `many-${String(i).padStart(3, '0')}.bin`, mimeType: 'application/octet-stream', buffer: i % 3 ? randomBytes(1 + ((i * 37) % 9000)) : Buffer.from([i]) }));
  await panel.locator('input[type=file]').first().setInputFiles(files);
  await says(page, '.moves .note', 'And 170 more: 0 wait, 170 done, 0 failed, 0 cancelled.');
  await expect(panel.locator('.moves li .rec')).toHaveCount(50);
  await expect(panel.locator('.moves .wrong')).toHaveCount(0);
  const dir = home(world, 'NGH-CT2');
  for (const f of files) expect(sum(readFileSync(join(dir, f.name))), f.name).toBe(sum(f.buffer));

  // down again, all with one breath
  await expect(panel.locator('[data-file]', { hasText: 'many-219.bin' })).toBeVisible();
  await panel.getByRole('button', { name: 'Clear' }).click();
  const came = new Map<string, Promise<Buffer>>();
  page.on('download', (d) => came.set(d.suggestedFilename(), d.path().then((p) => readFileSync(p))));
  await page.evaluate(() => document.querySelectorAll<HTMLElement>('[data-file]').forEach((b) => b.textContent!.includes('many-') && b.click()));
  await says(page, '.moves .note', 'And 170 more: 0 wait, 170 done, 0 failed, 0 cancelled.');
  await expect.poll(() => came.size, { timeout: 30_000 }).toBe(220);
  for (const f of files) expect(sum(await came.get(f.name)!), f.name).toBe(sum(f.buffer));

  const text = await record(browser, world, 'WO-M1');
  for (const f of files) {
    expect(text.match(new RegExp(`file (to|from) the scanner, \\S*${f.name}, ${f.buffer.length} bytes, .*${sum(f.buffer)}`, 'g')), f.name).toHaveLength(2);
  }
  await hospital.close();
  await vendor.close();
});

test('names of every kind are listed, entered, read, written over, renamed and removed', async ({ browser, world }) => {
  test.setTimeout(240_000);
  const { vendor, hospital } = await working(browser, world, 'NGH-PETCT1', 'Jana Brandt', 'WO-M2');
  const page = vendor.page;
  const dir = home(world, 'NGH-PETCT1');
  const latin = Buffer.concat([Buffer.from(dir + '/kalibrier_'), Buffer.from([0xfc]), Buffer.from('.csv')]);
  const odd = join(dir, 'two\nlines \u202egpj.txt');
  writeFileSync(latin, 'latin');
  writeFileSync(odd, 'odd');
  mkdirSync(join(dir, 'many'));
  mkdirSync(join(dir, 'in\tside'));
  writeFileSync(join(dir, 'in\tside', 'x.txt'), 'inside');
  for (let i = 0; i < 10_000; i++) writeFileSync(join(dir, 'many', `IM${String(i).padStart(6, '0')}.dcm`), '');
  const panel = await panelOf(page);
  const row = (name: string) => panel.locator('tr', { hasText: name });

  // read
  const [first] = await Promise.all([page.waitForEvent('download'), row('kalibrier_\\xfc.csv').locator('[data-file]').click()]);
  expect(readFileSync(await first.path(), 'utf8')).toBe('latin');
  const [second] = await Promise.all([page.waitForEvent('download'), row('two\\x0alines \\xe2\\x80\\xaegpj.txt').locator('[data-file]').click()]);
  expect(readFileSync(await second.path(), 'utf8')).toBe('odd');
  expect(second.suggestedFilename()).not.toMatch(/[\n\u202e]/);

  // written over
  await row('kalibrier_\\xfc.csv').getByRole('button', { name: 'Actions' }).click();
  const sheet = page.getByRole('dialog');
  await accessible(page);
  await photograph(page, 'story-files-name', false);
  await sheet.locator('input[type=file]').setInputFiles({ name: 'mine.csv', mimeType: 'text/csv', buffer: Buffer.from('latin, over') });
  await expect.poll(() => readFileSync(latin, 'utf8')).toBe('latin, over');

  // renamed, and removed
  await row('two\\x0alines').getByRole('button', { name: 'Actions' }).click();
  await sheet.getByLabel('Name').fill('plain.txt');
  await sheet.getByRole('button', { name: 'Rename' }).click();
  await expect(row('plain.txt')).toBeVisible();
  expect(existsSync(odd)).toBe(false);
  expect(readFileSync(join(dir, 'plain.txt'), 'utf8')).toBe('odd');
  await row('kalibrier_').getByRole('button', { name: 'Actions' }).click();
  await sheet.getByLabel('Name').fill('back\\xe4.csv');
  await sheet.getByRole('button', { name: 'Rename' }).click();
  await expect(row('back\\xe4.csv')).toBeVisible();
  expect(readFileSync(Buffer.concat([Buffer.from(dir + '/back'), Buffer.from([0xe4]), Buffer.from('.csv')]), 'utf8')).toBe('latin, over');
  await row('back\\xe4.csv').getByRole('button', { name: 'Actions' }).click();
  await sheet.getByRole('button', { name: 'Remove from the device' }).click();
  await expect(row('back\\xe4.csv')).toHaveCount(0);
  await panel.getByRole('button', { name: 'New folder' }).click();
  await sheet.getByLabel('Name').fill('made here');
  await sheet.getByRole('button', { name: 'Make it' }).click();
  await expect(row('made here')).toBeVisible();
  expect(existsSync(join(dir, 'made here'))).toBe(true);

  // entered
  await row('in\\x09side').locator('[data-file]').click();
  await expect(row('x.txt')).toBeVisible();
  await panel.getByRole('navigation', { name: 'Folder' }).getByRole('button').nth(-2).click();
  await row('many').locator('[data-file]').click();
  await says(page, '.sum-up', '10,000 names');
  expect(await page.evaluate(() => document.querySelectorAll('aside tbody tr').length)).toBe(10_000);
  await panel.locator('.find input').fill('IM00999');
  await says(page, '.sum-up', '10 of 10,000 names');
  await photograph(page, 'story-files-many', false);

  const text = await record(browser, world, 'WO-M2');
  expect(text).toContain('kalibrier_\\xfc.csv');
  await hospital.close();
  await vendor.close();
});
