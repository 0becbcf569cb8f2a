import { asset, at, mock, problem, request, session } from '../mock';
import { everyLook, expect, photograph, test } from '../look';

const lab = [
  asset({ live: ['S-7H2K9M4QXW3EVN5TBJ6CPA8DFR'], accept: { engineer: ['cli', 'web'], approver: ['console', 'web'] } }),
  asset({ name: 'NGH-MR2', label: 'Magnus 3T', modality: 'MR', needed: 2, quorum: [{ group: 'radiology-leads', count: 1 }], services: [{ name: 'console-ssh', endpoint: 'console', protocol: 'ssh', port: 22, class: 'observe' }, { name: 'gradient-controller-ssh', endpoint: 'gradient', protocol: 'ssh', port: 22, class: 'disruptive' }] }),
  asset({ name: 'NGH-CT3', label: 'Helion CT', modality: 'CT', online: false, accept: { engineer: ['cli'], approver: ['console'] } }),
  asset({ name: 'CHB-PETCT1', site: 'CHB', zone: 'Europe/Berlin', label: 'Helion 128', live: ['S-x'], typical_seconds: 0, decided: 0 }),
];
const some = { 'GET /assets': lab, 'GET /requests': [request({ status: 'approved', grant: session().id }), request({ id: 'R-B', asset: 'NGH-MR2' })], 'GET /sessions': [session({ deadline: at(12.77) })], 'GET /access*': { ready: true, pending: false } };

test('assets as cards by site', async ({ page }) => {
  await mock(page, 'engineer', some);
  await page.goto('/assets');
  await everyLook(page, 'assets', async (p) => {
    await expect(p.getByText('You are connected')).toBeVisible();
    await expect(p.getByText('The hospital has not answered yet')).toBeVisible();
    await expect(p.getByText('The agent at NGH is not connected')).toBeVisible();
    await expect(p.getByRole('link', { name: 'Open terminal' })).toHaveAttribute('href', /terminal\/NGH\/NGH-PETCT1\/recon-ssh\?session=S-/);
  });
});

test('two hundred assets are a list with a search', async ({ page }) => {
  const many = Array.from({ length: 200 }, (_, i) => asset({ name: `NGH-ROOM${i}`, label: i === 3 ? 'A scanner with a label that somebody typed very long indeed without thinking' : `Helion ${i}`, site: i % 3 ? 'NGH' : 'CHB' }));
  await mock(page, 'engineer', { ...some, 'GET /assets': many });
  await page.goto('/assets');
  await expect(page.getByRole('link', { name: 'Helion 199' })).toBeVisible();
  await page.keyboard.press('/');
  await page.keyboard.type('room199');
  await expect(page.getByRole('link', { name: 'Helion 199' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Helion 198' })).toBeHidden();
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await expect(page.locator(':focus')).toHaveAttribute('data-row', '');
  await page.setViewportSize({ width: 1280, height: 800 });
  await photograph(page, 'assets-many-top', false);
  await page.keyboard.press('/');
  await page.keyboard.type('room19');
  await everyLook(page, 'assets-many', async (p) => {
    await expect(p.getByRole('link', { name: 'Helion 199' })).toBeVisible();
  });
});

for (const [name, answer, says] of [
  ['empty', [], 'There are no scanners here yet.'],
  ['error', problem(503, "The broker's store did not answer.", 'Try again in a moment.', 'unreachable'), 'did not answer'],
] as const) {
  test(`assets: ${name}`, async ({ page }) => {
    await mock(page, 'engineer', { ...some, 'GET /assets': answer });
    await page.goto('/assets');
    await everyLook(page, 'assets-' + name, async (p) => {
      await expect(p.getByText(says)).toBeVisible();
    });
  });
}

test('assets: loading does not jump', async ({ page }) => {
  await mock(page, 'engineer', { ...some, 'GET /assets': 'hang' });
  await page.goto('/assets');
  await expect(page.getByRole('heading', { name: 'Assets' })).toBeVisible();
  await everyLook(page, 'assets-loading', async (p) => {
    await expect(p.getByLabel('Loading')).toBeVisible();
  });
});

test('? tells the keys', async ({ page }) => {
  await mock(page, 'engineer', some);
  await page.goto('/assets');
  await expect(page.getByText('You are connected')).toBeVisible();
  await page.keyboard.press('?');
  await everyLook(page, 'keys', async (p) => {
    await expect(p.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  });
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
});
