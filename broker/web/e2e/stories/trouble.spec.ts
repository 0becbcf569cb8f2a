// What goes wrong at three in the morning: two tabs, a broker that dies, a login that
// is ended elsewhere, an answer of no, an approver who takes it back.
import { expect, test, visit } from '../world';
import { approve, ask, screen, work } from './people';

test('two tabs share one terminal, one after the other', async ({ browser, world }) => {
  const vendor = await visit(browser, world, 'Jana Brandt');
  const hospital = await visit(browser, world, 'Maya Okafor');
  const id = await ask(vendor.page, 'NGH-PETCT1', 'Two tabs.', 'WO-1');
  await approve(hospital, id);
  await work(vendor.page, id);
  await vendor.page.keyboard.type('swversion\n');
  await expect(screen(vendor.page)).toContainText('RECON 7.4');

  const second = await vendor.context.newPage();
  await second.goto(vendor.page.url());
  await expect(screen(second)).toContainText('RECON 7.4'); // the screen as it is, not a new shell
  await expect(vendor.page.getByRole('button', { name: 'Bring it here' })).toBeVisible();
  await second.keyboard.type('modstate\n');
  await expect(screen(second)).toContainText('modstate');

  await vendor.page.getByRole('button', { name: 'Bring it here' }).click();
  await expect(screen(vendor.page)).toContainText('modstate');
  await expect(second.getByRole('button', { name: 'Bring it here' })).toBeVisible();
  await vendor.close();
  await hospital.close();
});

test('a broker that dies takes nothing with it', async ({ browser, world }) => {
  test.setTimeout(120_000);
  const vendor = await visit(browser, world, 'Luis Ortega');
  const hospital = await visit(browser, world, 'Maya Okafor');
  const id = await ask(vendor.page, 'NGH-CT2', 'The broker is killed.', 'WO-2');
  await approve(hospital, id);
  await work(vendor.page, id);
  await vendor.page.keyboard.type('swversion\n');
  await expect(screen(vendor.page)).toContainText('RECON 7.4');

  const before = world.pids.broker!;
  process.kill(before, 'SIGKILL');
  await expect(vendor.page.getByText(/connection dropped/i).first()).toBeVisible({ timeout: 30_000 });
  await expect.poll(() => world.pids.broker, { timeout: 30_000 }).not.toBe(before);
  await expect(vendor.page.getByText(/connection dropped/i)).toHaveCount(0, { timeout: 60_000 });
  await expect(screen(vendor.page)).toContainText('RECON 7.4'); // the same screen
  await vendor.page.locator('.xterm-helper-textarea').focus();
  await vendor.page.keyboard.type('modstate\n'); // and the same shell
  await expect(screen(vendor.page)).toContainText('modstate');
  await hospital.page.goto('/live');
  await expect(hospital.page.getByText('Luis Ortega').first()).toBeVisible({ timeout: 30_000 });
  await vendor.close();
  await hospital.close();
});

test('no means no, in the words of who said it', async ({ browser, world }) => {
  const vendor = await visit(browser, world, 'Jana Brandt');
  const hospital = await visit(browser, world, 'Maya Okafor');
  const id = await ask(vendor.page, 'NGH-MR1', 'A question.', 'WO-3');
  await hospital.page.goto(`/requests/${id}`);
  await hospital.page.getByRole('button', { name: 'Decline' }).click();
  await hospital.page.getByRole('dialog').getByRole('textbox').fill('Scanner in use until 15:00.');
  await hospital.page.getByRole('dialog').getByRole('button', { name: /^Decline/ }).click();
  await expect(vendor.page.getByText(/Declined by/).first()).toBeVisible();
  await expect(vendor.page.getByText('Scanner in use until 15:00.').first()).toBeVisible();
  await vendor.close();
  await hospital.close();
});

test('two approvers, the second of whom approves what the first one did', async ({ browser, world }) => {
  const vendor = await visit(browser, world, 'Luis Ortega');
  const first = await visit(browser, world, 'Maya Okafor');
  const second = await visit(browser, world, 'Elena Rossi');
  const id = await ask(vendor.page, 'NGH-MR1', 'Cold head hours.', 'WO-4');
  await first.page.goto(`/requests/${id}`);
  await first.page.getByRole('button', { name: /^Approve/ }).click();
  await expect(vendor.page.getByText('1 of 2 approvals given').first()).toBeVisible();
  await second.page.goto(`/requests/${id}`);
  await expect(second.page.getByRole('article', { name: 'Decide' })).toContainText('Maya Okafor');
  await second.page.getByRole('button', { name: /^Approve/ }).click();
  await expect(vendor.page.getByText('Approved, ready to start').first()).toBeVisible();
  await vendor.close();
  await first.close();
  await second.close();
});

test('signed out everywhere is signed out here', async ({ browser, world }) => {
  const here = await visit(browser, world, 'Sam Adeyemi', '/account');
  const there = await visit(browser, world, 'Sam Adeyemi', '/recordings');
  await here.page.getByRole('button', { name: /everywhere/i }).click();
  await here.page.getByRole('dialog').getByRole('button', { name: /everywhere/i }).click();
  await expect(here.page).toHaveURL(/\/signin/);
  await there.page.reload();
  await expect(there.page).toHaveURL(/\/signin\?return=%2Frecordings/);
  await here.close();
  await there.close();
});
