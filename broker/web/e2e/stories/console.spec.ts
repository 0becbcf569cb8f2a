// A console through broker, agent and device: a real Xvnc whose picture and keys are read
// back where they are.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import type { Page } from '@playwright/test';
import { expect, freePort, start, test, visit, type Visitor } from '../world';
import { approve, choose } from './people';

const picture = (page: Page) => page.getByRole('img', { name: /^Picture of the console/ });
const sink = (page: Page) => page.getByRole('textbox', { name: /^Console of/ });

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
const pixels = (page: Page) =>
  picture(page).evaluate((e: HTMLCanvasElement) => {
    if (e.width === 0) return { width: 0, height: 0, bytes: '' };
    const d = e.getContext('2d')!.getImageData(0, 0, e.width, e.height).data;
    let s = '';
    for (let i = 0; i < d.length; i += 0x2000) s += String.fromCharCode(...d.subarray(i, i + 0x2000));
    return { width: e.width, height: e.height, bytes: btoa(s) };
  });

/** A device: Xvnc, and xev on it, which says what was pressed. */
async function device(): Promise<{ port: number; said: () => string; run: (program: string, ...args: string[]) => Buffer; stop: () => void }> {
  const port = await freePort();
  const all: ChildProcess[] = [];
  const xvnc = spawn('Xvnc', [`:${1000 + (port % 20000)}`, '-displayfd', '3', '-geometry', '640x480', '-depth', '24', '-rfbport', String(port), '-localhost', '-SecurityTypes', 'None', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  all.push(xvnc);
  const display = await new Promise<string>((done, fail) => {
    xvnc.stdio[3]!.once('data', (d: Buffer) => done(':' + d.toString().trim()));
    xvnc.once('exit', () => fail(new Error('Xvnc did not start')));
  });
  const env = { ...process.env, DISPLAY: display };
  let said = '';
  const xev = spawn('stdbuf', ['-oL', 'xev', '-geometry', '640x480+0+0', '-event', 'keyboard'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  xev.stdout!.on('data', (d: Buffer) => (said += d));
  all.push(xev);
  return {
    port, said: () => said,
    run: (program, ...args) => execFileSync(program, args, { env, maxBuffer: 64 << 20 }),
    stop: () => all.reverse().forEach((p) => p.kill('SIGKILL')),
  };
}
/** A picture of X's as red, green, blue: 32 bits a pixel, little endian, after a header that says how long it is. */
function dumped(xwd: Buffer): Buffer {
  const [head, width, height, order, depth, line, colours] = [0, 4, 5, 7, 11, 12, 19].map((i) => xwd.readUInt32BE(4 * i)) as [number, number, number, number, number, number, number];
  expect([order, depth]).toEqual([0, 32]);
  const rows = xwd.subarray(head + 12 * colours);
  const out = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * line + 4 * x;
      out.set([rows[at + 2]!, rows[at + 1]!, rows[at]!], 3 * (y * width + x));
    }
  return out;
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
    await expect
      .poll(async () => {
        const got = await pixels(page);
        const want = dumped(d.run('xwd', '-root', '-silent'));
        const b = Buffer.from(got.bytes, 'base64');
        if (b.length / 4 !== want.length / 3) return 'another size';
        for (let i = 0; i < want.length / 3; i++) for (let k = 0; k < 3; k++) if (b[4 * i + k] !== want[3 * i + k]) return 'another pixel at ' + i;
        return 'the same';
      }, { timeout: 60_000 })
      .toBe('the same');

    await picture(page).click({ position: { x: 200, y: 200 } });
    await expect(sink(page)).toBeFocused();
    const cdp = await page.context().newCDPSession(page);
    const strike = async (key: string, code: string) => {
      for (const type of ['rawKeyDown', 'keyUp'] as const) await cdp.send('Input.dispatchKeyEvent', { type, key, code, windowsVirtualKeyCode: 0 });
    };
    const seen = () => [...d.said().matchAll(/^KeyPress event.*\n.*\n?.*?\(keysym 0x([0-9a-f]+),/gm)].map((m) => parseInt(m[1]!, 16)).filter((s) => s < 0xff00 && s !== 0xfe03 || s > 0xffff);
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
