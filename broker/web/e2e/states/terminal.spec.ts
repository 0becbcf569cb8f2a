import { createHash } from 'node:crypto';
import { accessible, everyLook, expect, fits, photograph, test } from '../look';
import { mock, problem, session } from '../mock';
import { fixedBy, papers } from '../papers';
import { agent, frame, holdKey, sid, type Agent } from '../agent';
import type { Page } from '@playwright/test';

const where = `/terminal/NGH/NGH-PETCT1/recon-ssh?session=${sid}`;
let tickets = 0;
const broker = (over = {}) => ({
  'GET /sessions/*': session({ id: sid }),
  'POST /attach': () => ({ ticket: `T${++tickets}`, expires: new Date(Date.now() + 30e3).toISOString(), url: '/api/v1/attach/ws' }),
  ...over,
});
const colours =
  '\x1b[1;32mjbrandt@recon\x1b[0m:\x1b[34m~\x1b[0m$ \x1b[?2004htail -3 /var/log/petct/events.log\r\n' +
  '2026-11-23 11:41:07 \x1b[33mWARN\x1b[0m  block 57: temperature 31.4 °C, limit 30.0 °C\r\n' +
  '2026-11-23 11:44:52 \x1b[31mERROR\x1b[0m block 57: gain drift 4.2 % since calibration\r\n' +
  '2026-11-23 11:45:00 \x1b[38;2;10;140;160mINFO\x1b[0m  calibration scheduled: größe ✓ ┌──┐│ok│└──┘\r\n' +
  '\x1b[90mcomment in grey\x1b[0m \x1b[97;44m white on blue \x1b[0m \x1b[7minverse\x1b[0m\r\n' +
  '\x1b[1;32mjbrandt@recon\x1b[0m:\x1b[34m~\x1b[0m$ ';

async function opens(page: Page, over: Partial<Agent> = {}, answers = {}): Promise<Agent> {
  await mock(page, 'engineer', broker(answers));
  const a = await agent(page, { screen: colours, ...over });
  await holdKey(page, session().request);
  await page.goto(where);
  return a;
}
const rows = (page: Page) => page.locator('.xterm-rows');
const typing = (page: Page) => page.locator('.xterm-helper-textarea');

test('a live terminal in every look', async ({ page }) => {
  const a = await opens(page);
  await everyLook(page, 'terminal', async (p) => {
    await expect(rows(p)).toContainText('gain drift');
    await expect(p.getByText('recorded')).toBeAttached();
    await expect(p).toHaveTitle(/^● 2\d:\d\d NGH\/NGH-PETCT1/);
  });
  // styles came through the policy: rows have a height and colours, truecolour too
  await page.setViewportSize({ width: 1280, height: 800 });
  await expect(rows(page).locator('span', { hasText: 'calibration scheduled' })).toBeVisible();
  const look = await page.evaluate(() => {
    const s = [...document.querySelectorAll<HTMLElement>('.xterm-rows span')];
    const rgb = s.find((x) => x.textContent?.includes('INFO'))!;
    return { color: getComputedStyle(rgb).color, other: getComputedStyle(s.find((x) => x.textContent?.includes('calibration scheduled'))!).color, display: getComputedStyle(rgb).display, font: getComputedStyle(document.querySelector('.xterm-rows')!).fontFamily };
  });
  expect(look.color).not.toBe(look.other);
  expect(look.display).toBe('inline-block');
  expect(look.font).toContain('JetBrains Mono');
  await typing(page).focus();
  await page.keyboard.type('ls');
  await page.keyboard.press('Enter');
  await expect.poll(() => a.typed()).toBe('ls\r');
  await expect.poll(() => a.heard.some((f) => f.type === 'Z')).toBe(true);
  expect(a.tickets.length).toBe(1);
});

test('a critical section stays in view, with its end', async ({ page }) => {
  const critical = { began: new Date().toISOString(), until: new Date(Date.now() + 600e3).toISOString(), why: 'Firmware of the gantry is being written', alarm: false };
  const documents = { ...papers(1).documents, grant: fixedBy(papers(1), { class: 'disruptive' }, 600) };
  await opens(page, {}, { 'GET /sessions/*': () => session({ id: sid, critical }), [`GET /requests/${session().request}/documents`]: documents });
  await everyLook(page, 'terminal-critical', async (p) => {
    const note = p.getByRole('note').filter({ hasText: 'Critical section.' });
    await expect(note).toContainText('Firmware of the gantry is being written');
    await expect(note).toContainText(/\b9:[0-5]\d left/);
    await expect(rows(p)).toContainText('gain drift');
  });
});

test('the code that the operator reads out is typed where one waits', async ({ page }) => {
  const a = await opens(page, { code: '271828' });
  const field = page.getByLabel('Code', { exact: true });
  await everyLook(page, 'terminal-code', async (p) => {
    await expect(p.getByText('six digits that the operator at NGH-PETCT1 reads out').last()).toBeVisible();
    await expect(field).toBeFocused();
    await expect(p).toHaveTitle(/^Awaiting consent NGH\/NGH-PETCT1/);
  });
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  expect(a.heard.some((f) => f.type === 'A')).toBe(false); // nothing was typed
  for (const wrong of ['000000', '111111']) {
    await field.fill(wrong);
    await page.keyboard.press('Enter');
    await expect(page.getByText('That is not the code.').last()).toBeVisible();
    await expect(page.getByRole('button', { name: 'Open', exact: true })).toBeEnabled();
    await expect(field).toHaveValue('');
  }
  await field.fill(' 271828 ');
  await page.keyboard.press('Enter');
  await expect(rows(page)).toContainText('gain drift');
  await expect(field).toHaveCount(0);
  expect(a.heard.filter((f) => f.type === 'A').map((f) => f.payload.toString())).toEqual(['000000', '111111', '271828']);
});

test('an operator is waited for, over a line that drops, for as long as they are asked', async ({ page }) => {
  const a = await opens(page, { code: 'accepts' });
  const waits = page.getByRole('heading', { name: 'Waiting for the operator at the scanner' });
  await expect(waits).toBeVisible();
  await expect(page.getByLabel('Code', { exact: true })).toHaveCount(0);
  a.drop();
  await expect(page.getByText('Your connection dropped. This page tries again by itself.')).toBeVisible();
  await expect(waits).toHaveCount(0);
  await expect(waits).toBeVisible({ timeout: 15_000 });
  await expect(page.getByText('This session opens when the operator at NGH-PETCT1 accepts.').last()).toBeVisible();
  a.say('W', a.welcome);
  await expect(waits).toHaveCount(0);
  await expect(page).toHaveTitle(/^● 2\d:\d\d NGH\/NGH-PETCT1/);
});

test('frozen: calm, and nothing goes through', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  a.say('N', { type: 'frozen', causes: ['broker'], text: 'The hospital froze this session.' });
  await everyLook(page, 'terminal-frozen', async (p) => {
    await expect(p.getByText('The hospital froze this session. You can read; nothing you type goes through.').first()).toBeVisible();
    await expect(p).toHaveTitle(/^Frozen/);
  });
  await typing(page).focus();
  await page.keyboard.type('rm'); // would come before what is typed later
  a.say('N', { type: 'thawed', causes: [] });
  await expect(page.getByText('The hospital lifted the freeze. What you type goes through again.').first()).toBeVisible();
  await page.keyboard.type('ls');
  await expect.poll(() => a.typed()).toBe('ls');
});

test('a dropped line comes back with the screen as it stands', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  a.screen = '\x1b[H\x1b[2Jthe screen after';
  a.welcome = { ...a.welcome, resumed: true };
  await page.route('**/api/v1/attach', (r) => r.abort());
  a.drop();
  await expect(page.getByText('coming back by itself')).toBeVisible();
  await expect(page).toHaveTitle(/^Coming back/);
  await accessible(page);
  await photograph(page, 'terminal-away-desktop', false);
  await page.unroute('**/api/v1/attach');
  await expect(rows(page)).toContainText('the screen after', { timeout: 15_000 });
  await expect(rows(page)).not.toContainText('gain drift');
  expect(a.connections).toBe(2);
  expect(new Set(a.tickets).size).toBe(2);
});

test('taken elsewhere, brought back here', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  a.say('N', { type: 'taken', text: 'Attached elsewhere.' });
  await expect(page.getByText('This terminal was opened in another window.').last()).toBeVisible();
  await accessible(page);
  await photograph(page, 'terminal-taken-desktop', false);
  await page.getByRole('button', { name: 'Bring it here' }).click();
  await expect.poll(() => a.connections).toBe(2);
});

test('ended: the screen stays readable', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  a.say('N', { type: 'ended', reason: 'killed-remote', text: 'Ended by the hospital' });
  a.drop();
  await everyLook(page, 'terminal-ended', async (p) => {
    await expect(p.getByText('Ended by the hospital.').last()).toBeVisible();
    await expect(rows(p)).toContainText('gain drift');
    await expect(p.getByRole('link', { name: 'Open the session' })).toHaveAttribute('href', `/sessions/${sid}`);
  });
  expect(a.connections).toBe(1);
});

test('refused in words, with the way to the request', async ({ page }) => {
  await opens(page, { refuse: { kind: 'refused', message: 'The scanner is in use: this service is closed while a patient is on the table.', next: 'Try again when the examination is over. ' + 'Averylongwordthatnobodybreaks'.repeat(6) } });
  await everyLook(page, 'terminal-refused', async (p) => {
    await expect(p.getByRole('heading', { name: /patient is on the table/ })).toBeVisible();
    await expect(p.getByRole('link', { name: 'Open the request' })).toHaveAttribute('href', '/requests/R-7H2K9M4QXW3EVN5TBJ6CPA8DFR');
  });
});

test('no access is said before anything is dialled', async ({ page }) => {
  await mock(page, 'engineer', { 'GET /access/*': { ready: false, pending: true, kind: 'refused', message: 'The hospital has not answered yet.', next: 'This page does not have to stay open.', request: 'R-1' } });
  const a = await agent(page);
  await page.goto('/terminal/NGH/NGH-PETCT1/recon-ssh');
  await expect(page.getByRole('heading', { name: 'The hospital has not answered yet.' })).toBeVisible();
  expect(a.connections).toBe(0);
});

test('the shell ends, another is started, the session is ended', async ({ page }) => {
  let killed = 0;
  const a = await opens(page, {}, { 'POST /sessions/*': () => (killed++, session({ id: sid, state: 'ended', reason: 'completed' })) });
  await expect(rows(page)).toContainText('gain drift');
  a.say('N', { type: 'exit', status: 0 });
  await expect(page.getByText('The shell ended (status 0).').last()).toBeVisible();
  await photograph(page, 'terminal-exit-desktop', false);
  await page.getByRole('button', { name: 'Start another' }).click();
  await expect.poll(() => a.heard.some((f) => f.type === 'T' && f.payload.length === 4)).toBe(true);
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await accessible(page);
  await photograph(page, 'terminal-end-desktop', false);
  await page.getByRole('button', { name: 'End the session' }).click();
  await expect(page.getByText('Ended by its people.').last()).toBeVisible();
  expect(killed).toBe(1);
});

test('a paste is shown before it is typed', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  await typing(page).focus();
  const put = (text: string) => page.evaluate((t) => {
    const d = new DataTransfer();
    d.setData('text/plain', t);
    document.querySelector('.xterm-helper-textarea')!.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true }));
  }, text);
  await put('uptime');
  await expect.poll(() => a.typed()).toBe('\x1b[200~uptime\x1b[201~');
  await put('cd /tmp\r\n\techo "x"\x1b[201~\nrm -rf \u202eatad/\x07\n');
  await expect(page.getByRole('dialog')).toContainText('Type these 3 lines?');
  await expect(page.getByRole('dialog')).toContainText('3 characters that no screen shows'.replace('3', '8'));
  await page.setViewportSize({ width: 390, height: 844 });
  await accessible(page);
  await photograph(page, 'terminal-paste-phone', false);
  await page.setViewportSize({ width: 1280, height: 800 });
  await photograph(page, 'terminal-paste-desktop', false);
  await page.getByRole('button', { name: 'Type it' }).click();
  await expect.poll(() => a.typed()).toBe('\x1b[200~uptime\x1b[201~\x1b[200~cd /tmp\r\techo "x"\rrm -rf atad/\r\x1b[201~');
});

test('Tab leaves the terminal when it is told to', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  await typing(page).focus();
  await page.keyboard.press('Tab');
  await expect.poll(() => a.typed()).toBe('\t');
  await page.keyboard.press('Control+Shift+KeyM');
  await expect(page.getByText('Tab leaves the terminal.')).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(typing(page)).not.toBeFocused();
  expect(a.typed()).toBe('\t');
});

test('what a device prints opens, names and copies nothing, and is not answered', async ({ page }) => {
  const a = await opens(page, { screen: '\x1b]0;EVIL\x07\x1b]2;EVIL\x07\x1b]8;;https://evil.example/\x07click me\x1b]8;;\x07 https://evil.example/ \x1b]52;c;ZXZpbA==\x07\x1b]52;c;?\x07\x1b]10;?\x07\x1b[18t\x1b[21t\x1b[1;1;1;1;10;10*y<img src=x onerror=alert(1)>' });
  await expect(rows(page)).toContainText('onerror');
  await expect(page).toHaveTitle(/NGH-PETCT1/);
  await rows(page).getByText('click me').click({ force: true });
  expect(page.context().pages().length).toBe(1);
  await typing(page).focus();
  await page.keyboard.type('x'); // an answer would come before it
  await expect.poll(() => a.typed()).toBe('x');
  expect(await page.locator('.room img').count()).toBe(0);
});

test('notices are said politely', async ({ page }) => {
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain drift');
  a.say('N', { type: 'warning', left_seconds: 300, text: 'This session ends in 5 minutes.' });
  await expect(page.getByRole('status').filter({ hasText: 'ends in 5 minutes' })).toBeAttached();
  await photograph(page, 'terminal-warning-desktop', false);
  a.say('N', { type: 'deadline', deadline: new Date(Date.now() + 55 * 60e3).toISOString(), text: 'The hospital gave 30 minutes more.' });
  await expect(page).toHaveTitle(/^● 5\d:/);
});

test('a phone has the keys its keyboard lacks', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const a = await opens(page);
  await expect(rows(page)).toContainText('gain');
  await page.getByRole('button', { name: 'Escape' }).click();
  await page.getByRole('button', { name: 'Up' }).click();
  await page.getByRole('button', { name: 'Ctrl' }).click();
  await typing(page).focus();
  await page.keyboard.type('c');
  await expect.poll(() => a.typed()).toBe('\x1b\x1b[A\x03');
  await expect(page.getByRole('button', { name: 'Ctrl' })).toHaveAttribute('aria-pressed', 'false');
});

const listing = {
  path: '/home/service/logs', more: false,
  entries: [
    { name: 'calibration', dir: true, size: 4096, modified: '2026-11-20T10:00:00Z', mode: 'rwxr-x---' },
    { name: 'events.log', dir: false, size: 700_000, modified: '2026-11-23T10:00:00Z', mode: 'rw-r-----' },
    { name: 'A very long name of a report that somebody exported twice (copy 2) final FINAL.csv', dir: false, size: 12, modified: '2025-01-02T10:00:00Z', mode: 'rw-r-----' },
    { name: 'evil\u202egpj.exe<script>', dir: false, size: 0, modified: '2026-11-23T11:00:00Z', mode: 'rw-------' },
  ],
};
const content = Buffer.alloc(700_000, 'sallyport ');
const sum = (b: Buffer) => createHash('sha256').update(b).digest('hex');
const u32 = (...n: number[]) => Buffer.concat(n.map((x) => { const b = Buffer.alloc(4); b.writeUInt32BE(x); return b; }));

/** An agent with files: it sends only what was asked for, and takes only what it allowed. */
function filed(): { on: Agent['on']; got: () => Buffer; overdrawn: () => boolean } {
  const down = new Map<number, { at: number; may: number }>();
  let got = Buffer.alloc(0);
  let may = 0;
  let over = false;
  return {
    got: () => got,
    overdrawn: () => over,
    on(type, payload, a) {
      if (type === 'F') {
        const op = JSON.parse(payload.toString());
        if (op.op === 'list' && op.path.includes('calibration')) a.say('F', { id: op.id, error: { kind: 'denied', message: 'The device did not let you read this folder.', next: 'Ask the hospital whether the service account may.' } });
        else if (op.op === 'list') { // a long folder comes page by page
          a.say('F', { id: op.id, ok: true, ...listing, entries: listing.entries.slice(0, 2), more: true });
          a.say('F', { id: op.id, ok: true, ...listing, entries: listing.entries.slice(2) });
        }
        if (op.op === 'get') {
          down.set(op.id, { at: 0, may: 0 });
          a.say('F', { id: op.id, ok: true, size: content.length });
        }
        if (op.op === 'put') {
          got = Buffer.alloc(0);
          may = 100_000;
          a.say('F', { id: op.id, ok: true });
          a.say('K', u32(op.id, may));
        }
      }
      if (type === 'K') {
        const id = payload.readUInt32BE(0);
        const d = down.get(id)!;
        d.may += payload.readUInt32BE(4);
        while (d.may > 0 && d.at < content.length) {
          const n = Math.min(60_000, d.may, content.length - d.at);
          a.say('D', Buffer.concat([u32(id), content.subarray(d.at, d.at + n)]));
          d.at += n;
          d.may -= n;
        }
        if (d.at === content.length) a.say('F', { id, done: true, size: content.length, sha256: sum(content) });
      }
      if (type === 'D') {
        const n = payload.length - 4;
        may -= n;
        if (may < 0) over = true;
        got = Buffer.concat([got, payload.subarray(4)]);
        may += n;
        a.say('K', u32(payload.readUInt32BE(0), n));
      }
      if (type === 'E') a.say('F', { id: payload.readUInt32BE(0), done: true, size: got.length, sha256: sum(got) });
    },
  };
}

test('files go both ways, by credit, with their sums', async ({ page }) => {
  await page.addInitScript(() => delete (window as any).showSaveFilePicker);
  const f = filed();
  await opens(page, { on: f.on });
  await expect(rows(page)).toContainText('gain drift');
  await page.getByRole('button', { name: 'Files' }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByText('events.log')).toBeVisible();
  await expect(panel.getByText('evil\ufffdgpj.exe<script>')).toBeVisible();
  const arrives = page.waitForEvent('download');
  await panel.getByRole('button', { name: /^events.log/ }).click();
  const d = await arrives;
  expect(d.suggestedFilename()).toBe('events.log');
  const parts: Buffer[] = [];
  for await (const c of await d.createReadStream()) parts.push(c as Buffer);
  expect(Buffer.concat(parts).equals(content)).toBe(true);
  await expect(panel.getByText(sum(content))).toBeVisible();
  await expect(panel.getByText('checked here')).toBeVisible();
  const file = Buffer.alloc(300_000, 'up');
  await page.locator('input[type=file]').first().setInputFiles({ name: 'patch.bin', mimeType: 'application/octet-stream', buffer: file });
  await expect(panel.getByText(sum(file))).toBeVisible();
  expect(f.got().equals(file)).toBe(true);
  expect(f.overdrawn()).toBe(false);
  await everyLook(page, 'terminal-files', async (p) => {
    await expect(p.getByRole('complementary', { name: 'Files' })).toBeVisible();
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator('input[type=file]').first().setInputFiles({ name: 'events.log', mimeType: 'text/plain', buffer: Buffer.from('x') });
  await expect(page.getByRole('dialog')).toContainText('Replace events.log?');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await panel.getByRole('button', { name: 'calibration' }).click();
  await expect(panel.getByRole('alert')).toContainText('did not let you read');
  await photograph(page, 'terminal-files-error-desktop', false);
});

test('links are followed, names that cannot be used and what is left out are said, many go at once', async ({ page }) => {
  test.slow();
  await page.addInitScript(() => delete (window as any).showSaveFilePicker);
  const f = filed();
  const at = { size: 9, modified: '2026-11-20T10:00:00Z', mode: 'rwxr-x---' };
  const names = Array.from({ length: 3000 }, (_, i) => ({ name: `IM${String(i).padStart(6, '0')}.dcm`, dir: false, ...at }));
  const on: Agent['on'] = (type, payload, a) => {
    const op = type === 'F' ? JSON.parse(payload.toString()) : {};
    if (op.op === 'put') return; // a slow one: the others wait for it
    if (op.op !== 'list') return f.on(type, payload, a);
    if (op.path === '.') a.say('F', { id: op.id, ok: true, path: '/opt', entries: [{ name: 'current', dir: false, link: true, ...at }, { name: 'events.log', dir: false, link: true, ...at }, { name: '..', dir: false, unusable: true, ...at }, { name: 'a/b', dir: false, unusable: true, ...at }] });
    else if (op.path === '/opt/current' || op.path === '/opt/release-7') {
      for (let i = 0; i < names.length; i += 150) a.say('F', { id: op.id, ok: true, path: '/opt/release-7', entries: names.slice(i, i + 150), ...(i + 150 < names.length ? { more: true } : { cut: true }) });
    } else a.say('F', { id: op.id, error: { kind: 'refused', message: 'This is no folder.', next: '' } });
  };
  await opens(page, { on });
  await expect(rows(page)).toContainText('gain drift');
  await page.getByRole('button', { name: 'Files' }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByText('It cannot be reached from here')).toHaveCount(2);
  await accessible(page);
  const arrives = page.waitForEvent('download');
  await panel.getByRole('button', { name: /^events.log/ }).click();
  expect((await arrives).suggestedFilename()).toBe('events.log');
  await panel.getByRole('button', { name: /^current/ }).click();
  await expect(panel.locator('tbody tr')).toHaveCount(3000, { timeout: 20_000 });
  await expect(panel.getByText('These are 3,000 names of the folder; it holds more, which were not asked for.')).toBeVisible();
  await page.locator('input[type=file]').first().setInputFiles(Array.from({ length: 80 }, (_, i) => ({ name: `new-${i}.bin`, mimeType: 'application/octet-stream', buffer: Buffer.from('x') })));
  await expect(panel.getByText('And 31 more: 30 wait, 1 done, 0 failed, 0 cancelled.')).toBeVisible();
});

test('many quick uploads all arrive', async ({ page }) => {
  const f = filed();
  await opens(page, { on: f.on });
  await expect(rows(page)).toContainText('gain drift');
  await page.getByRole('button', { name: 'Files' }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByText('events.log')).toBeVisible();
  await page.locator('input[type=file]').first().setInputFiles(Array.from({ length: 80 }, (_, i) => ({ name: `new-${i}.bin`, mimeType: 'application/octet-stream', buffer: Buffer.from('x') })));
  await expect(panel.getByText('And 30 more: 0 wait, 30 done, 0 failed, 0 cancelled.')).toBeVisible({ timeout: 20_000 });
  await expect(panel.locator('.moves .wrong')).toHaveCount(0);
});

test('an upload that is stopped says in the words of the agent what is on the device', async ({ page }) => {
  const f = filed();
  let put = 0;
  await opens(page, {
    on: (type, payload, a) => {
      const op = type === 'F' ? JSON.parse(payload.toString()) : {};
      if (op.op === 'put') put = op.id; // and no credit
      else if (op.op === 'cancel') {
        a.say('F', { id: op.id, ok: true });
        a.say('F', { id: op.of, error: { kind: 'refused', message: 'You stopped the upload.', next: 'The first 12 bytes are on the device as “patch.bin”.' } });
        expect(op.of).toBe(put);
      } else f.on(type, payload, a);
    },
  });
  await expect(rows(page)).toContainText('gain drift');
  await page.getByRole('button', { name: 'Files' }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByText('events.log')).toBeVisible();
  await page.locator('input[type=file]').first().setInputFiles({ name: 'patch.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(100) });
  await panel.getByRole('button', { name: 'Cancel' }).click();
  await expect(panel.getByText('The first 12 bytes are on the device as “patch.bin”.')).toBeVisible();
  await expect(panel.getByText('You stopped the upload.', { exact: true })).toBeVisible();
});

test('files that cannot go now stay, and the page says why', async ({ page }) => {
  const f = filed();
  const a = await opens(page, { on: f.on });
  await expect(rows(page)).toContainText('gain drift');
  await page.getByRole('button', { name: 'Files' }).click();
  const panel = page.getByRole('complementary', { name: 'Files' });
  await expect(panel.getByText('events.log')).toBeVisible();
  const file = { name: 'patch.bin', mimeType: 'application/octet-stream', buffer: Buffer.from('later') };
  a.say('N', { type: 'frozen', causes: ['broker'] });
  await expect(panel.getByText('The session is frozen: no files move.')).toBeVisible();
  await page.locator('input[type=file]').first().setInputFiles(file);
  await expect(panel.getByRole('alert')).toContainText('nothing goes to the device now');
  expect(f.got().length).toBe(0);
  a.say('N', { type: 'thawed', causes: [] });
  await expect(panel.getByText('The session is frozen: no files move.')).toHaveCount(0);
  await page.locator('input[type=file]').first().setInputFiles(file);
  await expect(panel.getByText(sum(file.buffer))).toBeVisible();
  await expect(panel.getByRole('alert')).toHaveCount(0);
});

test('the broker away at the start is said and tried again', async ({ page }) => {
  let n = 0;
  const a = await opens(page, {}, { 'POST /attach': () => (n++ === 0 ? problem(503, "The hospital's agent is not reachable.", '', 'unreachable') : { ticket: 'late', expires: '', url: '/api/v1/attach/ws' }) });
  await expect(page.getByText("The hospital's agent is not reachable.")).toBeVisible();
  await expect(rows(page)).toContainText('gain drift', { timeout: 10_000 });
  expect(a.tickets).toEqual(['late']);
  await fits(page);
  void frame;
});
