// A console through broker, agent and device: a real Xvnc whose picture and keys are read
// back where they are.
import { test } from '@playwright/test';
import { expect, start, visit, type Visitor } from '../world';
import { device, picture, pressed, same, sink } from './desk';
import { approve, choose } from './people';

/** Asks for the console, is told yes, and opens it. */
async function open(vendor: Visitor, hospital: Visitor): Promise<void> {
  const { page } = vendor;
  await page.goto('/assets/NGH/NGH-PETCT1');
  await choose(page, 'console-vnc');
  await page.getByLabel('Reason').fill('See what the console shows.');
  await page.getByLabel('Work order').fill('WO-11');
  await page.getByRole('button', { name: 'Sign and ask' }).click();
  await expect(page).toHaveURL(/\/requests\/R-/);
  const id = page.url().split('/').pop()!;
  await hospital.page.goto(`/requests/${id}`);
  await expect(hospital.page.getByText('work on the console with mouse and keyboard on NGH/NGH-PETCT1/console-vnc').first()).toBeVisible();
  await approve(hospital, id);
  await page.getByRole('link', { name: 'Open the console' }).click();
  await expect(picture(page)).toBeVisible({ timeout: 30_000 });
}
test('a real Xvnc: its picture, and letters of three layouts on its American keyboard', async ({ browser }) => {
  test.setTimeout(150_000);
  const d = await device();
  const { world, stop } = await start(`assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control]}
  endpoints:
  - name: console
    address: 127.0.0.1
    services:
    - {name: console-vnc, protocol: vnc, port: ${d.port}, class: non-disruptive}
`);
  try {
    const vendor = await visit(browser, world, 'Jana Brandt');
    const hospital = await visit(browser, world, 'Maya Okafor');
    const { page } = vendor;
    await open(vendor, hospital);
    await expect.poll(() => same(page, d), { timeout: 60_000 }).toBe('the same');

    await picture(page).click({ position: { x: 200, y: 200 } });
    await expect(sink(page)).toBeFocused();
    const cdp = await page.context().newCDPSession(page);
    const strike = async (key: string, code: string) => {
      for (const type of ['rawKeyDown', 'keyUp'] as const) await cdp.send('Input.dispatchKeyEvent', { type, key, code, windowsVirtualKeyCode: 0 });
    };
    const seen = () => pressed(d);
    await strike('z', 'KeyY'); // German
    await strike('ü', 'BracketLeft');
    await strike('AltGraph', 'AltRight');
    await strike('@', 'KeyQ');
    await strike('€', 'KeyE');
    await strike('a', 'KeyQ'); // French
    await strike('&', 'Digit1');
    await strike('é', 'Digit2');
    await cdp.send('Input.imeSetComposition', { text: '^', selectionStart: 1, selectionEnd: 1 }); // a dead key, and its letter
    await cdp.send('Input.insertText', { text: 'ê' });
    await page.keyboard.type('yQ/'); // American
    await expect.poll(seen, { timeout: 30_000 }).toEqual([0x7a, 0xfc, 0x40, 0x20ac, 0x61, 0x26, 0xe9, 0xea, 0x79, 0x51, 0x2f]);
    await vendor.close();
    await hospital.close();
  } finally {
    await stop();
    d.stop();
  }
});
