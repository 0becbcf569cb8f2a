// What several stories begin with.
import type { Page } from '@playwright/test';
import { expect, type Visitor } from '../world';

/** What the terminal shows. */
export const screen = (page: Page) => page.locator('.xterm-rows');

/** Chooses one service of a scanner, and no other. */
export async function choose(page: Page, service: string): Promise<void> {
  await page.getByRole('checkbox', { name: service }).check();
  for (const box of await page.getByRole('checkbox').all()) await box.setChecked(await box.evaluate((e, name) => (e as HTMLInputElement).labels![0]!.textContent!.includes(name), service));
}

/** Asks for a scanner's shell, with files both ways, and returns the request's id. */
export async function ask(page: Page, asset: string, reason: string, order: string): Promise<string> {
  await page.goto(`/assets/NGH/${asset}`);
  await choose(page, 'terminal (ssh)');
  await page.getByLabel('Reason').fill(reason);
  await page.getByLabel('Work order').fill(order);
  await page.getByRole('switch', { name: /files from/ }).click();
  await page.getByRole('switch', { name: /files to/ }).click();
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page).toHaveURL(/\/requests\/R-/);
  await expect(page.getByText('The hospital has not answered yet')).toBeVisible();
  return page.url().split('/').pop()!;
}

/** The hospital says yes, on its own page. */
export async function approve(hospital: Visitor, id: string): Promise<void> {
  await hospital.page.goto(`/requests/${id}`);
  await hospital.page.getByRole('button', { name: /^Approve/ }).click();
  await expect(hospital.page.getByText('Approved, ready to start')).toBeVisible();
}

/** From a request that was approved to a shell that answers. */
export async function work(page: Page, id: string): Promise<void> {
  await page.goto(`/requests/${id}`);
  await page.getByRole('link', { name: 'Open the terminal' }).click();
  await expect(screen(page)).toContainText('Type help for the service commands', { timeout: 15_000 });
}
