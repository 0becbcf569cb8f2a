// The browser's half of the attach stream against an agent that is not there.
import { expect, test } from '@playwright/test';
import { generateKeyPairSync, sign as edSign, verify as edVerify, createHash } from 'node:crypto';
import { Attach, backoff, signingMessage, type AttachEvent, type Socket } from '../../src/lib/attach';
import { BadFrame, Frames, maxJSON, maxPayload, u16s, u32s } from '../../src/lib/frames';
import { clean, harmless } from '../../src/lib/paste';

const enc = new TextEncoder();
const S = 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR';
const line = 'ssh-ed25519 AAAATEST';

function agentFrame(type: string, ...parts: (Uint8Array | object)[]): Uint8Array<ArrayBuffer> {
  const all = parts.map((p) => (p instanceof Uint8Array ? p : enc.encode(JSON.stringify(p))));
  const n = all.reduce((s, p) => s + p.length, 0);
  const b = new Uint8Array(5 + n);
  b[0] = type.charCodeAt(0);
  new DataView(b.buffer).setUint32(1, n);
  let at = 5;
  for (const p of all) {
    b.set(p, at);
    at += p.length;
  }
  return b;
}
const nonce = 'A'.repeat(43);
const challenge = { v: 1, nonce, agent: 'SHA256:x', stream: 'AAAAAAAAAAAAAAAAAAAAAA', protocol: 'ssh', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh' };
const welcome = (over = {}) => ({
  session: S, request: 'R-1', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', deadline: '2030-01-01T00:00:00Z', opened: '2029-01-01T00:00:00Z', now: '2029-01-01T00:00:00Z',
  channels: ['shell'], frozen: [], recording: 'V-1', resumed: false, running: true, ...over,
});

class FakeSocket implements Socket {
  binaryType = '';
  readyState = 0;
  sent: (string | Uint8Array)[] = [];
  url: string;
  protocol: string;
  onopen: ((e: any) => void) | null = null;
  onmessage: ((e: { data: any }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  onerror: ((e: any) => void) | null = null;
  closed = false;
  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
  }
  send(d: string | Uint8Array) {
    this.sent.push(typeof d === 'string' ? d : d.slice());
  }
  close() {
    this.closed = true;
    this.readyState = 3;
  }
  opens() {
    this.readyState = 1;
    this.onopen?.({});
  }
  says(b: Uint8Array) {
    this.onmessage?.({ data: b.slice().buffer });
  }
  drops(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
  /** JSON of the frames of a type that were sent. */
  told(type: string): any[] {
    return this.sent.filter((x): x is Uint8Array => typeof x !== 'string' && x[0] === type.charCodeAt(0)).map((x) => JSON.parse(new TextDecoder().decode(x.subarray(5))));
  }
}

function world(over: Partial<ConstructorParameters<typeof Attach>[0]> = {}) {
  const sockets: FakeSocket[] = [];
  const events: AttachEvent[] = [];
  let tickets = 0;
  const a = new Attach({
    session: S, site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', keys: [line], protocols: ['ssh'], role: 'operate', opening: (shell) => ({ cols: 100, rows: 30, term: 'xterm-256color', shell }),
    ticket: async () => ({ ticket: `ticket-${++tickets}`, expires: '', url: '/api/v1/attach/ws' }),
    sign: async () => new Uint8Array(64),
    open: (url, p) => {
      const s = new FakeSocket(url, p);
      sockets.push(s);
      return s;
    },
    on: (e) => events.push(e),
    random: () => 0,
    ...over,
  });
  const standings = () => events.filter((e) => e.type === 'standing').map((e) => (e as any).standing);
  const last = () => events.filter((e) => e.type === 'standing').at(-1) as Extract<AttachEvent, { type: 'standing' }>;
  return { a, sockets, events, standings, last };
}
const soon = (f: () => boolean) => expect.poll(f, { intervals: [1, 2, 5, 10, 20, 50, 100], timeout: 15_000 }).toBe(true);
async function greeted(w: ReturnType<typeof world>, n = 0, hello = welcome()) {
  await soon(() => w.sockets.length > n);
  const s = w.sockets[n]!;
  s.opens();
  s.says(agentFrame('C', challenge));
  await soon(() => s.told('J').length === 1);
  s.says(agentFrame('W', hello));
  return s;
}

test('a frame cut at every byte is the same frame', () => {
  const all = [agentFrame('C', challenge), agentFrame('O', enc.encode('grün\u001b[0m')), agentFrame('P'), agentFrame('K', u32s(1, 2)), agentFrame('O', new Uint8Array(maxPayload).fill(65))];
  const stream = new Uint8Array(all.reduce((s, x) => s + x.length, 0));
  let at = 0;
  for (const x of all) {
    stream.set(x, at);
    at += x.length;
  }
  const flat = (fs: { type: string; payload: Uint8Array }[]) => fs.map((f) => f.type + Buffer.from(f.payload).toString('base64')).join();
  const whole = new Frames().push(stream);
  expect(whole.map((f) => f.type).join('')).toBe('COPKO');
  for (let cut = 0; cut <= 200; cut++) {
    const f = new Frames();
    const got = [...f.push(stream.subarray(0, cut)), ...f.push(stream.subarray(cut))];
    expect(flat(got) === flat(whole), `cut at ${cut}`).toBe(true);
  }
  const one = new Frames();
  const got = [];
  for (let i = 0; i < 300; i++) got.push(...one.push(stream.subarray(i, i + 1)));
  expect(got).toEqual(whole.slice(0, got.length));
  expect(got.length).toBe(4);
});

test('a frame that no agent sends ends it', () => {
  for (const bad of ['J', 'I', 'Z', 'X', 'E', 'T', '\0', 'o', '_']) expect(() => new Frames().push(agentFrame(bad)), bad).toThrow(BadFrame);
  const long = (type: string, n: number) => {
    const b = new Uint8Array(5);
    b[0] = type.charCodeAt(0);
    new DataView(b.buffer).setUint32(1, n);
    return b;
  };
  // refused by the head alone: nothing is kept for a payload that is too long
  for (const [t, n] of [['O', maxPayload + 1], ['O', 0], ['N', maxJSON + 1], ['C', 1], ['K', 7], ['K', 9], ['S', 3], ['P', 9], ['D', 4], ['O', 0xffffffff]] as const) {
    expect(() => new Frames().push(long(t, n)), `${t} ${n}`).toThrow(BadFrame);
  }
  const f = new Frames();
  expect(() => f.push(long('O', 0))).toThrow(BadFrame);
  expect(() => f.push(agentFrame('P'))).toThrow(BadFrame); // and it stays broken
});

test('the ticket goes first, and the proof is over challenge, session, service and key', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const w = world({ sign: async (_l, m) => new Uint8Array(edSign(null, m, privateKey)) });
  w.a.start();
  const s = await greeted(w);
  expect(s.protocol).toBe('sallyport-attach-1');
  expect(new URL(s.url).pathname).toBe('/api/v1/attach/ws');
  expect(s.sent[0]).toBe('ticket-1');
  const proof = s.told('J')[0];
  expect(Object.keys(proof).sort()).toEqual(['key', 'opening', 'protocol', 'role', 'session', 'signature', 'v']);
  expect(proof).toMatchObject({ v: 1, protocol: 'ssh', role: 'operate', session: S, key: line, opening: { cols: 100, rows: 30, term: 'xterm-256color', shell: true } });
  const payload = enc.encode(JSON.stringify(challenge));
  const sha = (b: Uint8Array | string) => createHash('sha256').update(b).digest();
  const want = Buffer.concat([Buffer.from('sallyport/v1/attach\0'), sha(payload), sha(`operate\0ssh\0${S}\0NGH\0NGH-PETCT1\0recon-ssh\0${line}`)]);
  expect(Buffer.from(await signingMessage(payload, { session: S, protocol: 'ssh', role: 'operate', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh' }, line))).toEqual(want);
  expect(edVerify(null, want, publicKey, Buffer.from(proof.signature, 'base64url'))).toBe(true);
  expect(w.a.standing).toBe('open');
});

test('a challenge for something else is not signed', async () => {
  for (const bad of [{ ...challenge, site: 'HST' }, { ...challenge, asset: 'NGH-MR2' }, { ...challenge, service: 'x' }, { ...challenge, protocol: 'vnc' }, { ...challenge, v: 2 }, { ...challenge, nonce: 'short' }, [1], 'x']) {
    let signed = 0;
    const w = world({ sign: async () => (signed++, new Uint8Array(64)) });
    w.a.start();
    await soon(() => w.sockets.length > 0);
    w.sockets[0]!.opens();
    w.sockets[0]!.says(agentFrame('C', bad as object));
    await soon(() => w.a.standing === 'refused');
    expect(signed).toBe(0);
    expect(w.sockets[0]!.told('J')).toEqual([]);
    expect(w.sockets[0]!.closed).toBe(true);
  }
});

test('what is waited for is told before the welcome', async () => {
  const w = world();
  w.a.start();
  await soon(() => w.sockets.length > 0);
  w.sockets[0]!.opens();
  w.sockets[0]!.says(agentFrame('C', challenge));
  await soon(() => w.sockets[0]!.told('J').length === 1);
  w.sockets[0]!.says(agentFrame('N', { type: 'said', text: 'The operator is asked.' }));
  expect(w.events.some((e) => e.type === 'notice' && e.notice.text === 'The operator is asked.')).toBe(true);
  w.sockets[0]!.says(agentFrame('W', welcome()));
  expect(w.a.standing).toBe('open');
});

test('an operator may take longer than any greeting', async () => {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = ((f: () => void, ms = 0) => real(f, ms / 200)) as typeof setTimeout; // what takes a quarter of a minute takes less than 0.1 s
  try {
    const [asked, silent] = [world(), world()];
    for (const w of [asked, silent]) {
      w.a.start();
      await soon(() => w.sockets.length > 0);
      w.sockets[0]!.opens();
      w.sockets[0]!.says(agentFrame('C', challenge));
      await soon(() => w.sockets[0]!.told('J').length === 1);
    }
    asked.sockets[0]!.says(agentFrame('N', { type: 'said', text: 'The operator is asked.' }));
    await soon(() => silent.sockets.length > 2); // who hears nothing has given up twice meanwhile
    expect(asked.sockets).toHaveLength(1);
    expect(asked.sockets[0]!.told('P')).toEqual([]);
    asked.sockets[0]!.says(agentFrame('W', welcome()));
    expect(asked.a.standing).toBe('open');
    for (const w of [asked, silent]) w.a.close();
  } finally {
    globalThis.setTimeout = real;
  }
});

test('output before the welcome, unknown frames and text end it for good', async () => {
  for (const bad of [agentFrame('O', enc.encode('x')), agentFrame('Z', u16s(1, 1)), new Uint8Array([79, 0, 1, 0, 1])]) {
    const w = world();
    w.a.start();
    await soon(() => w.sockets.length > 0);
    w.sockets[0]!.opens();
    w.sockets[0]!.says(agentFrame('C', challenge));
    await soon(() => w.sockets[0]!.told('J').length === 1);
    w.sockets[0]!.says(bad);
    expect(w.a.standing).toBe('refused');
    expect(w.last().words?.message).toContain('does not understand');
    expect(w.events.some((e) => e.type === 'output')).toBe(false);
  }
  const w = world();
  w.a.start();
  const s = await greeted(w);
  s.onmessage?.({ data: 'text' });
  expect(w.a.standing).toBe('refused');
});

test('a refusal is said in the words of the hospital', async () => {
  const w = world();
  w.a.start();
  await soon(() => w.sockets.length > 0);
  w.sockets[0]!.opens();
  w.sockets[0]!.says(agentFrame('C', challenge));
  await soon(() => w.sockets[0]!.told('J').length === 1);
  w.sockets[0]!.says(agentFrame('R', { kind: 'expired', message: 'This session ended at 12:46.', next: 'Ask again.' }));
  expect(w.last()).toMatchObject({ standing: 'refused', words: { kind: 'expired', message: 'This session ended at 12:46.', next: 'Ask again.' } });
});

test('another key of this browser is tried, and the first refusal is what is said', async () => {
  const w = world({ keys: ['ssh-ed25519 A', 'ssh-ed25519 B'] });
  w.a.start();
  for (const n of [0, 1]) {
    await soon(() => w.sockets.length > n);
    const s = w.sockets[n]!;
    s.opens();
    s.says(agentFrame('C', challenge));
    await soon(() => s.told('J').length === 1);
    expect(s.told('J')[0].key).toBe(n === 0 ? 'ssh-ed25519 A' : 'ssh-ed25519 B');
    expect(s.sent[0]).toBe(`ticket-${n + 1}`);
    s.says(agentFrame('R', { kind: 'denied', message: `no ${n}`, next: '' }));
  }
  expect(w.last()).toMatchObject({ standing: 'refused', words: { message: 'no 0' } });
  expect(w.sockets.length).toBe(2);
});

test('without a key of its own the page says so', async () => {
  const w = world({ keys: [] });
  w.a.start();
  await soon(() => w.sockets.length > 0);
  w.sockets[0]!.opens();
  w.sockets[0]!.says(agentFrame('C', challenge));
  await soon(() => w.a.standing === 'refused');
  expect(w.last().words?.message).toContain('no key');
});

test('a dropped line comes back with a new ticket and a snapshot', async () => {
  const w = world();
  w.a.start();
  const s = await greeted(w);
  s.says(agentFrame('O', enc.encode('one')));
  expect(w.a.input('ls\r')).toBe(true);
  s.drops();
  expect(w.a.standing).toBe('away');
  expect(w.a.input('lost')).toBe(false);
  const again = await greeted(w, 1, welcome({ resumed: true }));
  expect(again.sent[0]).toBe('ticket-2');
  again.says(agentFrame('S', u16s(100, 30), enc.encode('\u001b[Hscreen')));
  const snap = w.events.find((e) => e.type === 'snapshot') as Extract<AttachEvent, { type: 'snapshot' }>;
  expect([snap.cols, snap.rows, new TextDecoder().decode(snap.bytes)]).toEqual([100, 30, '\u001b[Hscreen']);
  expect(w.standings()).toEqual(['connecting', 'open', 'away', 'open']);
  // news of the old connection are not heard any more
  s.says(agentFrame('O', enc.encode('late')));
  expect(w.events.filter((e) => e.type === 'output').length).toBe(1);
});

test('after the shell ended, coming back does not start another one', async () => {
  const w = world();
  w.a.start();
  const s = await greeted(w);
  s.says(agentFrame('N', { type: 'exit', status: 0 }));
  s.drops();
  const again = await greeted(w, 1, welcome({ running: false }));
  expect(again.told('J')[0].opening.shell).toBe(false);
  w.a.shell(100, 30);
  expect(again.sent.some((x) => typeof x !== 'string' && x[0] === 'T'.charCodeAt(0))).toBe(true);
});

test('taken and ended do not come back by themselves', async () => {
  for (const type of ['taken', 'ended'] as const) {
    const w = world();
    w.a.start();
    const s = await greeted(w);
    s.says(agentFrame('N', { type, reason: 'expired', text: 'words' }));
    s.drops();
    await new Promise((r) => setTimeout(r, 30));
    expect(w.a.standing).toBe(type);
    expect(w.sockets.length).toBe(1);
    expect(w.last().words?.message).toBe('words');
  }
});

test('what the broker says by its close code', async () => {
  for (const [code, standing, word] of [[4403, 'refused', 'not yours'], [4408, 'refused', 'Your login ended.'], [4404, 'away', 'not reachable'], [1006, 'away', undefined]] as const) {
    const w = world();
    w.a.start();
    await soon(() => w.sockets.length > 0);
    w.sockets[0]!.opens();
    w.sockets[0]!.drops(code, code === 4403 ? 'not yours' : '');
    expect(w.a.standing).toBe(standing);
    if (word) expect(w.last().words?.message).toContain(word);
    w.a.close();
  }
});

test('a notice that is none, a welcome to something else', async () => {
  for (const bad of [agentFrame('N', { type: 'party' }), agentFrame('N', { type: 'frozen', causes: [1] }), agentFrame('W', welcome()), agentFrame('S', u16s(0, 0))]) {
    const w = world();
    w.a.start();
    const s = await greeted(w);
    s.says(bad);
    expect(w.a.standing).toBe('refused');
  }
  for (const bad of [welcome({ session: 'S-OTHER' }), welcome({ deadline: 'soon' }), welcome({ channels: 'shell' })]) {
    const w = world();
    w.a.start();
    await greeted(w, 0, bad);
    expect(w.a.standing).toBe('refused');
  }
});

test('long input goes in frames that fit', async () => {
  const w = world();
  w.a.start();
  const s = await greeted(w);
  w.a.input('x'.repeat(maxPayload * 2 + 3));
  const sizes = s.sent.filter((x) => typeof x !== 'string' && x[0] === 73).map((x) => x.length - 5);
  expect(sizes).toEqual([maxPayload, maxPayload, 3]);
});

test('back-off grows to 8 s and keeps its jitter', () => {
  expect([0, 1, 2, 3, 4, 50].map((n) => backoff(n, 0.5))).toEqual([1000, 2000, 4000, 8000, 8000, 8000]);
  expect(backoff(9, 0)).toBe(6000);
  expect(backoff(9, 0.9999)).toBeLessThan(10001);
});

test('a paste loses what no screen shows', () => {
  expect(clean('ls -l').text).toBe('ls -l');
  expect(harmless(clean('ls -l'))).toBe(true);
  const p = clean('echo a\u001b[201~\r\nrm -rf /\u009b201~\u0003\u0000\u202e\u200b\t!\u007f');
  expect(p.text).toBe('echo a\nrm -rf /\t!');
  expect(p.lines).toBe(2);
  expect(harmless(p)).toBe(false);
  expect(clean('\u001b[20\u001b[201~1~x').text).not.toContain('\u001b');
  for (let c = 0; c < 0xa0; c++) {
    const out = clean('a' + String.fromCharCode(c) + 'b').text;
    const kept = c === 9 || c === 10 || c === 13 || (c >= 0x20 && c < 0x7f);
    expect(out.length, String(c)).toBe(kept ? 3 : 2);
  }
});
