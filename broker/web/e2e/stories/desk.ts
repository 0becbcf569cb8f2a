// Real consoles, whose picture and keys are read back where they are.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from '@playwright/test';
import { expect, freePort } from '../world';

export const picture = (page: Page) => page.getByRole('img', { name: /^Picture of the console/ });
export const sink = (page: Page) => page.getByRole('textbox', { name: /^Console of/ });
const pixels = (of: Locator) =>
  of.evaluate((e: HTMLCanvasElement) => {
    if (e.width === 0) return { width: 0, height: 0, bytes: '' };
    const d = e.getContext('2d')!.getImageData(0, 0, e.width, e.height).data;
    let s = '';
    for (let i = 0; i < d.length; i += 0x2000) s += String.fromCharCode(...d.subarray(i, i + 0x2000));
    return { width: e.width, height: e.height, bytes: btoa(s) };
  });

/** A device: Xvnc, and xev on it, which says what was pressed. */
export interface Device {
  port: number;
  /** What its keyboard said. */
  said: () => string;
  /** Runs a program there. */
  run: (program: string, ...args: string[]) => Buffer;
  /** Runs one there until the end. */
  keep: (program: string, args: string[], input?: string) => ChildProcess;
  stop: () => void;
}
export async function device(): Promise<Device> {
  const port = await freePort();
  const all: ChildProcess[] = [];
  const xvnc = spawn('Xvnc', [`:${1000 + (port % 20000)}`, '-displayfd', '3', '-geometry', '640x480', '-depth', '24', '-rfbport', String(port), '-localhost', '-SecurityTypes', 'None', '-noreset', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
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
    keep: (program, args, input) => {
      const p = spawn(program, args, { env, stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'ignore'] });
      if (input !== undefined) p.stdin!.end(input);
      all.push(p);
      return p;
    },
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


/** What the device shows, three bytes a pixel. */
export const shows = (d: Device): Buffer => dumped(d.run('xwd', '-root', '-silent'));

/** Whether a page shows what the device does, or where not. */
export const same = async (page: Page, d: Device): Promise<string> => {
  const got = await pixels(picture(page));
  return alike(got, shows(d));
};

/** Whether a canvas shows this, or where not. */
export const holds = async (canvas: Locator, want: Buffer): Promise<string> => alike(await pixels(canvas), want);

function alike(got: { bytes: string }, want: Buffer): string {
  const b = Buffer.from(got.bytes, 'base64');
  if (b.length / 4 !== want.length / 3) return 'another size';
  for (let i = 0; i < want.length / 3; i++) for (let k = 0; k < 3; k++) if (b[4 * i + k] !== want[3 * i + k]) return 'another pixel at ' + i;
  return 'the same';
}

/** The letters and signs that were pressed there, as X calls them. */
export const pressed = (d: Device) =>
  [...d.said().matchAll(/^KeyPress event.*\n.*\n?.*?\(keysym 0x([0-9a-f]+),/gm)].map((m) => parseInt(m[1]!, 16)).filter((s) => (s < 0xff00 && s !== 0xfe03) || s > 0xffff);

/** Puts xrdp before a console, which then speaks RDP; its port. */
export async function xrdp(d: Device): Promise<{ port: number; stop: () => void }> {
  const [port, dir] = [await freePort(), mkdtempSync(join(tmpdir(), 'xrdp-'))];
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=console'], { stdio: 'ignore' });
  const globals = {
    ini_version: 1, fork: true, port: `tcp://127.0.0.1:${port}`, security_layer: 'tls', crypt_level: 'high', certificate: cert, key_file: key, ssl_protocols: 'TLSv1.2, TLSv1.3',
    autorun: 'console', allow_channels: true, max_bpp: 32, new_cursors: true, use_fastpath: 'both', hidelogwindow: true,
  };
  const section = (name: string, of: object) => `[${name}]\n` + Object.entries(of).map(([k, v]) => `${k}=${v}\n`).join('') + '\n';
  const ini = join(dir, 'xrdp.ini');
  writeFileSync(ini, section('Globals', globals) + section('Logging', { LogFile: join(dir, 'xrdp.log'), LogLevel: 'INFO', EnableSyslog: false }) +
    section('Channels', { rdpdr: false, cliprdr: true }) + section('console', { name: 'console', lib: 'libvnc.so', username: 'na', password: 'na', ip: '127.0.0.1', port: d.port }));
  d.keep('/usr/sbin/xrdp', ['--nodaemon', '--config', ini]);
  await expect
    .poll(() => new Promise<boolean>((done) => connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false))), { timeout: 30_000, message: 'xrdp listens' })
    .toBe(true);
  return { port, stop: () => rmSync(dir, { recursive: true, force: true }) };
}
