// The browser's half of working on a device: one WebSocket that the broker carries
// and does not read. The agent at the hospital challenges, a key of this browser signs,
// and from then on the two talk. A connection that drops comes back by itself with a
// new ticket, until the session is over or somebody took it to another page.
import { Trouble } from './api';
import { BadFrame, base64url, frame, Frames, jsonFrame, maxCode, maxPayload, object, u16s, u32, u32s, type Frame } from './frames';
import type { Channel, Protocol } from './types';

export interface Welcome {
  session: string;
  request: string;
  site: string;
  asset: string;
  service: string;
  deadline: string;
  opened: string;
  now: string; // by the agent's clock
  channels: Channel[];
  frozen: string[];
  recording: string;
  resumed: boolean;
  running: boolean;
}
export interface Notice {
  type: 'deadline' | 'warning' | 'frozen' | 'thawed' | 'exit' | 'taken' | 'ended' | 'said' | 'code' | 'masked' | 'watchers' | 'unseen' | 'shells';
  deadline?: string;
  left_seconds?: number;
  causes?: string[];
  status?: number;
  reason?: string;
  masked?: Masked;
  people?: string[];
  shells?: number[]; // that can be watched, the oldest first
  shown?: number;
  text?: string;
}
/** How much of a console the hospital hides; "all" where it has no rule for its size. */
export type Masked = 'nothing' | 'some' | 'all';
/** To work, or to see who works. */
export type Role = 'operate' | 'watch';
/** Words of somebody who turned us away. */
export interface Words {
  kind: string;
  message: string;
  next: string;
}

/**
 * Where we are. "waiting" is for the operator, whose consent opens it; "away" comes back by itself; "refused", "taken" and
 * "ended" do not.
 */
export type Standing = 'connecting' | 'waiting' | 'open' | 'away' | 'refused' | 'taken' | 'ended' | 'closed';

export type AttachEvent =
  | { type: 'standing'; standing: Standing; words?: Words | undefined }
  | { type: 'welcome'; welcome: Welcome }
  | { type: 'snapshot'; cols: number; rows: number; bytes: Uint8Array }
  | { type: 'output'; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'notice'; notice: Notice }
  | { type: 'files'; answer: Record<string, unknown> }
  | { type: 'data'; id: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'credit'; id: number; bytes: number };

/** As much of a WebSocket as is needed. */
export interface Socket {
  binaryType: string;
  readyState: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  onopen: ((e: any) => void) | null;
  onmessage: ((e: { data: any }) => void) | null;
  onclose: ((e: { code: number; reason: string }) => void) | null;
  onerror: ((e: any) => void) | null;
}

export interface Ticket {
  ticket: string;
  expires: string;
  url: string;
}

/** A service by its full name. */
export interface Of {
  site: string;
  asset: string;
  service: string;
}

export interface Options extends Of {
  session: string; // S-...
  /** Key lines to try, the likeliest first. */
  keys: string[];
  /** Those that are spoken here; which, the challenge says. */
  protocols: readonly Protocol[];
  role: Role;
  /** How the protocol begins, as its room at the agent reads it; for a terminal, whether it wants a shell. */
  opening: (shell: boolean) => Record<string, unknown>;
  ticket: () => Promise<Ticket>;
  sign: (line: string, message: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
  open?: (url: string, protocol: string) => Socket;
  on: (e: AttachEvent) => void;
  /** In [0, 1), for the jitter. */
  random?: () => number;
}

export const protocol = 'sallyport-attach-1';
const pingEvery = 10_000;
/** An operator is asked for five minutes, in which the agent says nothing and is told nothing. */
const asksWithin = 330_000;
const deafAfter = 25_000; // nothing heard for so long: the line is dead
const greetWithin = 15_000;
const notUnderstood: Words = {
  kind: 'internal',
  message: 'The hospital sent something that this page does not understand.',
  next: 'Reload the page. If that does not help, browser and agent run versions of Sallyport that do not match.',
};
const notices = ['deadline', 'warning', 'frozen', 'thawed', 'exit', 'taken', 'ended', 'said', 'code', 'masked', 'watchers', 'unseen', 'shells'];
const hidden = ['nothing', 'some', 'all'];
const utf8 = new TextEncoder();

/** What the key signs: this challenge, in this role, this session by this protocol, this service, this key, and what is asked of a critical section. */
export async function signingMessage(challenge: Uint8Array<ArrayBuffer>, of: Of & Pick<Options, 'session'> & { role: Role | 'critical'; protocol: Protocol }, line: string, asked: readonly string[] = []): Promise<Uint8Array<ArrayBuffer>> {
  const domain = utf8.encode('sallyport/v1/attach\0');
  const first = new Uint8Array(await crypto.subtle.digest('SHA-256', challenge));
  const second = new Uint8Array(await crypto.subtle.digest('SHA-256', utf8.encode([of.role, of.protocol, of.session, of.site, of.asset, of.service, line, ...asked].join('\0'))));
  const m = new Uint8Array(domain.length + 64);
  m.set(domain);
  m.set(first, domain.length);
  m.set(second, domain.length + 32);
  return m;
}

/** How long to wait before trial n (from 0): 1 s to 8 s, give or take a quarter. */
export function backoff(n: number, random: number): number {
  return Math.min(8000, 1000 * 2 ** Math.min(n, 3)) * (0.75 + random / 2);
}

export class Attach {
  standing: Standing = 'connecting';
  #o: Options;
  #socket: Socket | null = null;
  #frames = new Frames();
  #key = 0; // of o.keys
  #firstNo: Words | null = null;
  #trials = 0;
  #run = 0; // grows with every connection; late news of an old one is dropped
  #heard = 0;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #greeted: 'no' | 'challenged' | 'asks' | 'yes' = 'no';
  #wanted: 'shell' | 'none' = 'shell';

  constructor(o: Options) {
    this.#o = o;
  }

  /** Connects, also again after it was taken or refused. */
  start(): void {
    this.#stop();
    this.#trials = 0;
    this.#key = 0;
    this.#firstNo = null;
    this.#stand('connecting');
    void this.#connect();
  }

  /** Tries now instead of later: the network is back. */
  hurry(): void {
    if (this.standing !== 'away' || this.#socket) return;
    this.#stop();
    void this.#connect();
  }

  /** False where it could not be sent; nothing is kept for later. */
  input(text: string): boolean {
    if (this.standing !== 'open') return false;
    this.raw(utf8.encode(text));
    return true;
  }
  /** What the operator read out, while they are asked; false where nobody waits for it. */
  code(typed: string): boolean {
    const b = utf8.encode(typed.trim());
    if (this.#greeted !== 'asks' || b.length === 0 || b.length > maxCode) return false;
    this.#send(frame('A', b));
    return true;
  }
  /** Bytes as they are. */
  raw(b: Uint8Array): void {
    for (let i = 0; i < b.length && this.standing === 'open'; i += maxPayload) this.#send(frame('I', b.subarray(i, i + maxPayload)));
  }
  resize(cols: number, rows: number): void {
    if (this.standing === 'open') this.#send(frame('Z', u16s(cols, rows)));
  }
  shell(cols: number, rows: number): void {
    this.#wanted = 'shell';
    if (this.standing === 'open') this.#send(frame('T', u16s(cols, rows)));
  }
  /** Of somebody who watches: show this shell; 0: the one where the engineer is. */
  look(shell: number): void {
    if (this.standing === 'open') this.#send(frame('L', u32s(shell)));
  }
  files(op: Record<string, unknown>): boolean {
    if (this.standing !== 'open') return false;
    this.#send(jsonFrame('F', op));
    return true;
  }
  data(id: number, bytes: Uint8Array): void {
    if (this.standing === 'open') this.#send(frame('D', u32s(id), bytes));
  }
  endOf(id: number): void {
    if (this.standing === 'open') this.#send(frame('E', u32s(id)));
  }
  credit(id: number, bytes: number): void {
    if (this.standing === 'open') this.#send(frame('K', u32s(id, bytes)));
  }

  /** Leaves. With goodbye the agent closes the terminal for good. */
  close(goodbye = false): void {
    if (goodbye && this.standing === 'open') this.#send(frame('X'));
    this.#stop();
    this.#stand('closed');
  }

  async #connect(): Promise<void> {
    const run = ++this.#run;
    let t: Ticket;
    try {
      t = await this.#o.ticket();
    } catch (e) {
      if (run === this.#run) this.#noTicket(e);
      return;
    }
    if (run !== this.#run) return;
    const s = (this.#o.open ?? ((url, p) => new WebSocket(url, p) as unknown as Socket))(wsURL(t.url), protocol);
    s.binaryType = 'arraybuffer';
    this.#socket = s;
    this.#frames = new Frames();
    this.#greeted = 'no';
    this.#heard = Date.now();
    s.onopen = () => s.send(t.ticket);
    s.onmessage = (m) => run === this.#run && this.#receive(m.data, run);
    s.onclose = (e) => run === this.#run && this.#closed(e.code, e.reason);
    s.onerror = () => {}; // close follows
    this.#later(greetWithin, () => run === this.#run && this.#greeted !== 'yes' && this.#greeted !== 'asks' && this.#lost());
    this.#beat(run);
  }

  #noTicket(e: unknown): void {
    const t = e instanceof Trouble ? e : null;
    const passing = !t || t.status === 0 || t.status === 429 || t.status >= 500;
    if (passing) this.#away(t ? { kind: t.kind, message: t.message, next: t.next } : undefined);
    else this.#over('refused', { kind: t.kind, message: t.message, next: t.next });
  }

  #beat(run: number): void {
    this.#later(pingEvery, () => {
      if (run !== this.#run) return;
      if (Date.now() - this.#heard > (this.#greeted === 'asks' ? asksWithin : deafAfter)) return this.#lost();
      if (this.#greeted === 'yes') this.#send(frame('P'));
      this.#beat(run);
    });
  }

  #receive(data: unknown, run: number): void {
    this.#heard = Date.now();
    try {
      if (!(data instanceof ArrayBuffer)) throw new BadFrame('a message that is no bytes');
      for (const f of this.#frames.push(new Uint8Array(data))) {
        if (run !== this.#run) return;
        this.#take(f, run);
      }
    } catch (e) {
      if (!(e instanceof BadFrame)) throw e;
      this.#over('refused', notUnderstood);
    }
  }

  #take(f: Frame, run: number): void {
    if (this.#greeted === 'no') {
      if (f.type === 'R') return this.#refused(object(f.payload));
      if (f.type !== 'C') throw new BadFrame('something before the challenge');
      this.#greeted = 'challenged';
      void this.#prove(f.payload, run);
      return;
    }
    if (this.#greeted === 'challenged' || this.#greeted === 'asks') {
      if (f.type === 'R') return this.#refused(object(f.payload));
      if (f.type === 'N') { // what is waited for, longer than any greeting takes
        this.#greeted = 'asks';
        if (this.standing !== 'waiting') this.#stand('waiting');
        return this.#notice(object(f.payload));
      }
      if (f.type !== 'W') throw new BadFrame('something before the welcome');
      return this.#welcome(object(f.payload));
    }
    const on = this.#o.on;
    switch (f.type) {
      case 'O':
        return on({ type: 'output', bytes: f.payload });
      case 'S': {
        const v = new DataView(f.payload.buffer);
        const cols = v.getUint16(0);
        const rows = v.getUint16(2);
        if (cols < 1 || rows < 1 || cols > 1000 || rows > 500) throw new BadFrame('a size out of bounds');
        return on({ type: 'snapshot', cols, rows, bytes: f.payload.subarray(4) });
      }
      case 'N':
        return this.#notice(object(f.payload));
      case 'F':
        return on({ type: 'files', answer: object(f.payload) });
      case 'D':
        return on({ type: 'data', id: u32(f.payload), bytes: f.payload.subarray(4) });
      case 'K':
        return on({ type: 'credit', id: u32(f.payload), bytes: u32(f.payload, 4) });
      case 'P':
        return;
      case 'R':
        return this.#refused(object(f.payload));
      default:
        throw new BadFrame('a second greeting');
    }
  }

  async #prove(challenge: Uint8Array<ArrayBuffer>, run: number): Promise<void> {
    try {
      const c = object(challenge);
      if (c.v !== 1 || typeof c.nonce !== 'string' || !/^[\w-]{43}$/.test(c.nonce)) throw new BadFrame('a challenge that is none');
      const protocol = this.#o.protocols.find((p) => p === c.protocol);
      if (!protocol) throw new BadFrame('a challenge for another protocol');
      if (c.site !== this.#o.site || c.asset !== this.#o.asset || c.service !== this.#o.service) throw new BadFrame('a challenge for something else');
      const key = this.#o.keys[this.#key];
      if (key === undefined) {
        this.#over('refused', {
          kind: 'denied',
          message: 'This browser holds no key for this session.',
          next: 'Open the request on the device where you asked for it, or let this browser join it there.',
        });
        return;
      }
      const m = await signingMessage(challenge, { ...this.#o, protocol }, key);
      const signature = base64url(await this.#o.sign(key, m));
      if (run !== this.#run) return;
      const { role, session, opening } = this.#o;
      this.#send(jsonFrame('J', { v: 1, protocol, role, session, key, signature, opening: opening(this.#wanted === 'shell') }));
    } catch (e) {
      if (run !== this.#run) return;
      if (e instanceof BadFrame) this.#over('refused', notUnderstood);
      else this.#over('refused', { kind: 'internal', message: 'This browser could not sign with its key.', next: 'Reload the page. If the key is gone, join the session again from its request.' });
    }
  }

  #welcome(w: Record<string, unknown>): void {
    const texts = ['session', 'request', 'site', 'asset', 'service', 'deadline', 'opened', 'now', 'recording'];
    if (texts.some((k) => typeof w[k] !== 'string') || !strings(w.channels) || !strings(w.frozen)) throw new BadFrame('a welcome that is none');
    if (w.session !== this.#o.session || w.site !== this.#o.site || w.asset !== this.#o.asset || w.service !== this.#o.service) throw new BadFrame('a welcome to something else');
    if (Number.isNaN(Date.parse(w.deadline as string))) throw new BadFrame('a deadline that is none');
    this.#greeted = 'yes';
    this.#trials = 0;
    this.#stand('open');
    this.#o.on({ type: 'welcome', welcome: w as unknown as Welcome });
  }

  #notice(n: Record<string, unknown>): void {
    if (typeof n.type !== 'string' || !notices.includes(n.type)) throw new BadFrame('a notice of an unknown type');
    if (n.causes !== undefined && !strings(n.causes)) throw new BadFrame('causes that are none');
    if (n.type === 'masked' && !hidden.includes(n.masked as string)) throw new BadFrame('a mask that is none');
    if (n.people !== undefined && !strings(n.people)) throw new BadFrame('people that are none');
    if (n.shells !== undefined && !(Array.isArray(n.shells) && n.shells.every((x) => Number.isInteger(x)))) throw new BadFrame('shells that are none');
    const notice = n as unknown as Notice;
    if (n.type === 'exit') this.#wanted = 'none'; // coming back does not start another one
    this.#o.on({ type: 'notice', notice });
    if (n.type === 'unseen') this.#over('refused', { kind: 'unseen', message: typeof n.text === 'string' ? n.text : '', next: '' });
    if (n.type === 'taken' || n.type === 'ended') this.#over(n.type, { kind: '', message: typeof n.text === 'string' ? n.text : '', next: '' });
  }

  /** Another key may be the right one: the request says only with which it began. */
  #refused(r: Record<string, unknown>): void {
    const word = (k: string) => (typeof r[k] === 'string' ? (r[k] as string) : '');
    const words: Words = { kind: word('kind'), message: word('message') || 'The hospital turned this connection away.', next: word('next') };
    this.#firstNo ??= words;
    if (words.kind === 'unreachable') return this.#lost(words);
    if (words.kind === 'denied' && this.#greeted === 'challenged' && this.#key + 1 < Math.min(4, this.#o.keys.length)) {
      this.#key++;
      this.#stop();
      void this.#connect();
      return;
    }
    this.#over('refused', this.#firstNo);
  }

  #closed(code: number, reason: string): void {
    switch (code) {
      case 4401:
        // A ticket is good for 30 s and once; a slow line may have been too late.
        if (this.#trials < 2) return this.#lost();
        return this.#over('refused', { kind: 'denied', message: 'The broker did not take your login.', next: 'Sign in again. The session itself is still there.' });
      case 4408:
        return this.#over('refused', { kind: 'signed-out', message: 'Your login ended.', next: 'Sign in again. The session goes on at the hospital for a minute.' });
      case 4403:
        return this.#over('refused', { kind: 'denied', message: reason || 'You may not connect here.', next: 'Look at your request.' });
      case 4404:
        return this.#lost({ kind: 'unreachable', message: "The hospital's agent is not reachable.", next: 'This page tries again by itself.' });
      default:
        return this.#lost();
    }
  }

  #lost(words?: Words): void {
    this.#stop();
    this.#away(words);
  }

  #away(words?: Words): void {
    const wait = backoff(this.#trials++, (this.#o.random ?? Math.random)());
    this.#stand('away', words);
    this.#later(wait, () => void this.#connect());
  }

  #over(standing: 'refused' | 'taken' | 'ended', words: Words): void {
    this.#stop();
    this.#stand(standing, words);
  }

  #stand(standing: Standing, words?: Words): void {
    this.standing = standing;
    this.#o.on({ type: 'standing', standing, words });
  }

  #send(b: Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === 1) this.#socket.send(b);
  }

  #later(ms: number, f: () => void): void {
    const t = setTimeout(() => {
      this.#timers.delete(t);
      f();
    }, ms);
    this.#timers.add(t);
  }

  #stop(): void {
    this.#run++;
    for (const t of this.#timers) clearTimeout(t);
    this.#timers.clear();
    const s = this.#socket;
    this.#socket = null;
    if (s) {
      s.onopen = s.onmessage = s.onclose = null;
      s.close(1000);
    }
  }
}

function strings(v: unknown): v is string[] {
  return Array.isArray(v) && v.every((x) => typeof x === 'string');
}

/** The broker names a path of its own; nothing else is dialled. */
export function wsURL(path: string): string {
  const here = typeof location === 'undefined' ? 'http://broker.example' : location.href;
  const url = new URL(path, here);
  if (url.host !== new URL(here).host) throw new Error('a ticket for another host');
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  return url.href;
}
