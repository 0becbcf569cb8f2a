// The whole system on loopback, as "make demo" starts it: a broker, an agent, two
// identity providers and simulated scanners, one world per worker.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext, Page } from '@playwright/test';
import { expect, test as base } from './look';

const bin = resolve(import.meta.dirname, '../../../bin');

export interface World {
  web: string;
  /** The agent's own page. */
  console: string;
  state: string;
  agentSocket: string;
  pids: Record<string, number>;
  /** Runs sallyport as a persona; its output, or an error with what it said. */
  cli(persona: string, ...args: string[]): string;
  /** Starts sallyport as a persona: the first line of its output, and the way to its end. */
  starts(persona: string, ...args: string[]): Promise<{ line: string; stop: () => Promise<number | null> }>;
  /** Runs sallyport-agent at the hospital. */
  agent(...args: string[]): string;
}

/** A port where nobody listens, of those that no system gives to outgoing connections: one of the others could be taken before it is listened on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const free = await new Promise<boolean>((done) => {
      const s = createServer();
      s.on('error', () => done(false));
      s.listen(port, '127.0.0.1', () => s.close(() => done(true)));
    });
    if (free) return port;
  }
}

function run(program: string, args: string[], env: Record<string, string>): string {
  const r = spawnSync(join(bin, program), args, { encoding: 'utf8', timeout: 30_000, maxBuffer: 64 << 20, env: { ...process.env, ...env } });
  if (r.status !== 0) throw new Error(`${program} ${args.join(' ')}: status ${r.status}\n${r.stdout}\n${r.stderr}`);
  return r.stdout;
}

async function line(program: string, args: string[], env: Record<string, string>) {
  const child = spawn(join(bin, program), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const gone = new Promise<number | null>((done) => child.once('exit', done));
  let [out, said] = ['', ''];
  child.stderr!.on('data', (d: Buffer) => (said = (said + d).slice(-4000)));
  await new Promise<void>((done, fail) => {
    child.stdout!.on('data', (d: Buffer) => (out += d).includes('\n') && done());
    void gone.then((code) => fail(new Error(`${program} ${args.join(' ')}: status ${code}\n${said}`)));
  });
  return { line: out.split('\n')[0]!, stop: () => (child.kill('SIGINT'), gone) };
}

/** Starts a world; with assets, these devices stand in for the simulated ones. */
export async function start(assets?: string): Promise<{ world: World; stop: () => Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), 'sallyport-web-'));
  const devices = join(state, 'assets.yaml');
  if (assets) writeFileSync(devices, assets);
  const ready = join(state, 'ready.json');
  const [web, ssh] = [await freePort(), await freePort()];
  const child: ChildProcess = spawn(join(bin, 'sallyport'), ['demo', '--state', join(state, 'state'), '--ready', ready, '--web', `127.0.0.1:${web}`, '--ssh', `127.0.0.1:${ssh}`, ...(assets ? ['--agent-config', devices] : [])], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (d: Buffer) => (said = (said + d).slice(-4000)));
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  const patience = Date.now() + 60_000;
  while (!existsSync(ready)) {
    if (child.exitCode !== null || Date.now() > patience) throw new Error('the demonstration did not start: ' + said);
    await new Promise((r) => setTimeout(r, 50));
  }
  const facts = () => JSON.parse(readFileSync(ready, 'utf8')) as { web: string; console: string; agent_socket: string; pids: Record<string, number>; personas: Record<string, { home: string }> };
  const f = facts();
  return {
    world: {
      web: f.web,
      console: f.console,
      state: join(state, 'state'),
      agentSocket: f.agent_socket,
      get pids() {
        return facts().pids;
      },
      cli: (persona, ...args) => run('sallyport', args, { SALLYPORT_HOME: f.personas[persona]!.home, BROWSER: 'curl -sSLo /dev/null' }),
      starts: (persona, ...args) => line('sallyport', args, { SALLYPORT_HOME: f.personas[persona]!.home }),
      agent: (...args) => run('sallyport-agent', [...args, '--socket', f.agent_socket], {}),
    },
    stop: async () => {
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await gone;
      clearTimeout(late);
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/** A person with a browser profile of their own. */
export interface Visitor {
  page: Page;
  context: BrowserContext;
  close(): Promise<void>;
}

export interface Look {
  width: number;
  height: number;
  scheme: 'light' | 'dark';
}

/** Opens a browser profile and signs a persona in, with one click, at a path. */
export async function visit(browser: Browser, world: World, name: string, path = '/', look: Look = { width: 1280, height: 800, scheme: 'light' }): Promise<Visitor> {
  const context = await browser.newContext({ baseURL: world.web, viewport: { width: look.width, height: look.height }, colorScheme: look.scheme, reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write'] });
  await context.addInitScript(() => delete (window as Partial<Window> & { showSaveFilePicker?: unknown }).showSaveFilePicker); // no window of the system's own
  const page = await context.newPage();
  const broken = attend(page);
  context.on('page', (p) => broken.push(...attend(p)));
  await signIn(page, path, name);
  return {
    page,
    context,
    close: async () => {
      await context.close();
      expect(broken).toEqual([]);
    },
  };
}

/** Signs in by name. One person signs in so many times a minute: a story that is told to wait does. */
async function signIn(page: Page, path: string, name: string) {
  const told = page.getByText(/^Wait .* and try again/);
  for (;;) {
    await page.goto(path);
    await page.getByRole('button', { name }).click();
    await expect(async () => expect(!/\/signin/.test(page.url()) || (await told.isVisible())).toBe(true)).toPass({ timeout: 10_000 });
    if (!/\/signin/.test(page.url())) return;
    const [, minutes = '0', seconds = '0'] = /(?:(\d+)m)?(\d+)s/.exec(await told.innerText()) ?? [];
    const wait = (60 * Number(minutes) + Number(seconds) + 1) * 1000;
    test.setTimeout(test.info().timeout + wait);
    await page.waitForTimeout(wait);
  }
}

/** Collects what a page must never do: throw, or break its policy. */
function attend(page: Page): string[] {
  const broken: string[] = [];
  page.on('pageerror', (e) => broken.push('the page threw: ' + e.message));
  page.on('console', (m) => {
    if (/Content.Security.Policy|Trusted ?Type/i.test(m.text())) broken.push('the page broke its policy: ' + m.text());
  });
  return broken;
}

export const test = base.extend<{ ended: void }, { world: World }>({
  world: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const { world, stop } = await start();
      await use(world);
      await stop();
    },
    { scope: 'worker', timeout: 90_000 },
  ],
  // What a story left open ends with it: nobody may have many sessions at once, and the next one
  // looks at the same board. A hook would be that of the first file alone that loads this one.
  ended: [
    async ({ world }, use) => {
      await use();
      try {
        world.agent('kill', '--all');
      } catch {
        // nothing was open
      }
    },
    { auto: true },
  ],
});
export { expect };
