// Replays a terminal recording. A second terminal that nobody sees walks ahead and
// keeps the screen every now and then; a jump starts at the nearest one, so it costs
// the same at the end of two hours as at their beginning. Work is done in slices.
import { SerializeAddon } from '@xterm/addon-serialize';
import { Terminal } from '@xterm/xterm';
import { deaf } from './screen';
import type { Replay, ReplayPart } from './types';

const apartBytes = 256 << 10; // of output between two kept screens
const apartTime = 30e6; // microseconds with output between them
const slice = 8 << 10; // bytes written at once
const queue = 128 << 10; // bytes that wait to be written
const held = 48 << 20; // bytes of parts in memory
const idleFrom = 2e6;
const idleTo = 0.5e6;
const scrollback = 200;

type Event = { at: number; kind: 'o' | 'r' | 'c'; bytes: Uint8Array | null; cols: number; rows: number };
interface Place {
  part: number; // index into index.parts
  event: number;
}
interface Kept extends Place {
  at: number;
  cols: number;
  rows: number;
  screen: string;
}

export const speeds = [0.5, 1, 2, 4, 8, 16];

function decode(data: string): Uint8Array {
  const s = atob(data);
  const b = new Uint8Array(s.length);
  for (let i = 0; i < s.length; i++) b[i] = s.charCodeAt(i);
  return b;
}

function size(data: string): [number, number] {
  const m = /^(\d{1,4})x(\d{1,4})$/.exec(data);
  return [Math.min(500, Math.max(2, Number(m?.[1] ?? 80))), Math.min(200, Math.max(1, Number(m?.[2] ?? 24)))];
}

const rest = () => new Promise<void>((r) => setTimeout(r));

/** The parts of one recording, fetched when they are needed. */
export class Parts {
  index: Replay;
  #fetch: (n: number) => Promise<ReplayPart>;
  #have = new Map<string, Event[]>(); // by part and stream, the latest used last
  #raw = new Map<number, Promise<ReplayPart>>();
  #bytes = 0;

  constructor(index: Replay, fetch: (n: number) => Promise<ReplayPart>) {
    this.index = index;
    this.#fetch = fetch;
  }

  async events(i: number, stream: number): Promise<Event[]> {
    const p = this.index.parts[i]!;
    const key = `${p.n}/${stream}`;
    const there = this.#have.get(key);
    if (there) {
      this.#have.delete(key);
      this.#have.set(key, there);
      return there;
    }
    let asked = this.#raw.get(p.n);
    if (!asked) {
      asked = this.#fetch(p.n);
      this.#raw.set(p.n, asked);
      asked.finally(() => this.#raw.delete(p.n)).catch(() => {});
    }
    const out: Event[] = [];
    for (const [at, s, kind, data] of (await asked).events) {
      if (s !== stream) continue;
      const [cols, rows] = kind === 'r' ? size(data) : [0, 0];
      out.push({ at, kind, bytes: kind === 'o' ? decode(data) : null, cols, rows });
    }
    this.#have.set(key, out);
    this.#bytes += weight(out);
    for (const [k, v] of this.#have) {
      if (this.#bytes <= held || k === key) break;
      this.#have.delete(k);
      this.#bytes -= weight(v);
    }
    return out;
  }

  /** A live recording has grown: its last part may be another one now. */
  grow(index: Replay): void {
    const last = this.index.parts.at(-1)?.n;
    for (const [k, v] of [...this.#have]) {
      if (k.startsWith(`${last}/`)) {
        this.#have.delete(k);
        this.#bytes -= weight(v);
      }
    }
    this.index = index;
  }
}
function weight(e: Event[]): number {
  return e.reduce((n, x) => n + 64 + (x.bytes?.length ?? 0), 0);
}

function write(t: Terminal, data: Uint8Array | string): Promise<void> {
  return new Promise((r) => t.write(data, r));
}

/** Lets events happen on a terminal; it works off what is queued in slices of its own. */
class Feed {
  #term: Terminal;
  #queued = 0;
  #last: Promise<void> = Promise.resolve();
  constructor(term: Terminal) {
    this.#term = term;
  }

  async happen(e: Event): Promise<void> {
    if (e.bytes) {
      for (let i = 0; i < e.bytes.length; i += slice) this.#last = write(this.#term, e.bytes.subarray(i, i + slice));
      this.#queued += e.bytes.length;
      if (this.#queued >= queue) await this.flush();
      return;
    }
    await this.flush();
    if (e.kind === 'r') this.#term.resize(e.cols, e.rows);
    else if (e.kind === 'c') this.#term.reset();
  }

  async flush(): Promise<void> {
    if (this.#queued === 0) return;
    this.#queued = 0;
    await this.#last;
  }
}

/** Walks through a stream once and keeps screens on its way. */
class Scout {
  kept: Kept[] = [];
  done = false;
  at = 0;
  #parts: Parts;
  #stream: number;
  #term: Terminal;
  #feed: Feed;
  #serial = new SerializeAddon();
  #stopped = false;
  #waiting: { at: number; go: () => void }[] = [];
  #moved: () => void;
  hurry = 0; // somebody waits

  constructor(parts: Parts, stream: number, moved: () => void) {
    this.#parts = parts;
    this.#stream = stream;
    this.#moved = moved;
    const { cols, rows } = parts.index;
    this.#term = new Terminal({ cols: Math.max(2, cols), rows: Math.max(1, rows), scrollback, logLevel: 'off' });
    deaf(this.#term);
    this.#feed = new Feed(this.#term);
    this.#term.loadAddon(this.#serial);
    this.kept.push({ at: -1, part: 0, event: 0, cols: Math.max(2, cols), rows: Math.max(1, rows), screen: '' });
  }

  async run(from: Place = { part: 0, event: 0 }): Promise<void> {
    let bytes = 0;
    let since = 0;
    this.done = false;
    for (let i = from.part; i < this.#parts.index.parts.length; i++) {
      const events = await this.#parts.events(i, this.#stream);
      const next = this.#parts.index.parts[i + 1] && this.#parts.events(i + 1, this.#stream);
      next?.catch(() => {});
      let began = performance.now();
      for (let k = i === from.part ? from.event : 0; k < events.length; k++) {
        if (this.#stopped) return;
        const e = events[k]!;
        if (bytes > 0 && (bytes >= apartBytes || e.at - since >= apartTime)) {
          await this.#feed.flush();
          if (this.#stopped) return;
          this.#keep({ part: i, event: k }, e.at);
          bytes = 0;
          since = e.at;
        }
        await this.#feed.happen(e);
        bytes += e.bytes?.length ?? 0;
        this.at = e.at;
        if (performance.now() - began > 12) {
          this.#tell();
          await rest();
          began = performance.now();
        }
      }
      this.at = Math.max(this.at, this.#parts.index.parts[i]!.to);
      this.#tell();
    }
    this.done = true;
    this.at = Math.max(this.at, this.#parts.index.duration);
    this.#tell();
  }

  #keep(p: Place, at: number): void {
    const screen = this.#serial.serialize({ scrollback: 50 });
    this.kept.push({ ...p, at, cols: this.#term.cols, rows: this.#term.rows, screen });
    if (this.kept.length > 1500) this.kept = this.kept.filter((_, i) => i % 2 === 0);
  }

  /** Resolves when the walk has come past a time. */
  reach(at: number): Promise<void> {
    if (this.done || this.at > at) return Promise.resolve();
    return new Promise((go) => this.#waiting.push({ at, go }));
  }

  #tell(): void {
    this.#moved();
    this.#waiting = this.#waiting.filter((w) => {
      if (!this.done && this.at <= w.at) return true;
      w.go();
      return false;
    });
  }

  /** The last kept screen before a time. */
  before(at: number): Kept {
    let lo = 0;
    let hi = this.kept.length - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (this.kept[mid]!.at <= at) lo = mid;
      else hi = mid - 1;
    }
    return this.kept[lo]!;
  }

  stop(): void {
    this.#stopped = true;
    for (const w of this.#waiting) w.go();
    this.#waiting = [];
    this.#term.dispose();
  }
}

export interface Heard {
  /** Where it stands, in microseconds. */
  moved(at: number): void;
  playing(yes: boolean): void;
  /** How far the first walk has come, 0 to 1. */
  read(part: number): void;
  /** It reads before it can show. */
  busy(yes: boolean): void;
  failed(e: unknown): void;
}

export class Player {
  speed = 1;
  skip = true;
  at = 0;
  #parts: Parts;
  #term: Terminal;
  #feed: Feed;
  #heard: Heard;
  #stream: number;
  #scout: Scout;
  #next: Place = { part: 0, event: 0 }; // the first event that is not shown
  #last = 0; // time of the event before it
  #want: number | null = null;
  #seeking: Promise<void> | null = null;
  #timer: number | null = null;
  #tick = 0;
  #gone = false;

  constructor(parts: Parts, term: Terminal, stream: number, heard: Heard) {
    this.#parts = parts;
    this.#term = term;
    this.#feed = new Feed(term);
    this.#stream = stream;
    this.#heard = heard;
    this.#scout = this.#walk();
  }

  #walk(): Scout {
    const s = new Scout(this.#parts, this.#stream, () => this.#heard.read(s.done ? 1 : s.at / Math.max(1, this.#parts.index.duration)));
    s.run().catch((e: unknown) => !this.#gone && this.#heard.failed(e));
    return s;
  }

  #restart(): void {
    this.#next = { part: 0, event: 0 };
    this.#last = 0;
    this.#scout = this.#walk();
  }

  get stream(): number {
    return this.#stream;
  }
  async choose(stream: number): Promise<void> {
    if (stream === this.#stream) return;
    this.#scout.stop();
    this.#stream = stream;
    this.#restart();
    await this.seek(this.at);
  }

  /** A live recording has more: walk again from where it ends now. */
  grow(index: Replay): void {
    const at = this.at;
    this.#parts.grow(index);
    this.#scout.stop();
    this.#restart();
    void this.seek(at);
  }

  /** Shows a moment. Only the last of several quick calls is shown. */
  seek(at: number): Promise<void> {
    this.#want = Math.max(0, Math.min(at, this.#parts.index.duration));
    this.at = this.#want;
    this.#heard.moved(this.at);
    this.#seeking ??= this.#seekAll().finally(() => (this.#seeking = null));
    return this.#seeking;
  }

  async #seekAll(): Promise<void> {
    try {
      while (this.#want !== null && !this.#gone) {
        const to = this.#want;
        if (this.#scout.at <= to && !this.#scout.done) {
          this.#heard.busy(true);
          await Promise.race([this.#scout.reach(to), new Promise((r) => setTimeout(r, 200))]);
          if (this.#want !== to || (this.#scout.at <= to && !this.#scout.done)) continue;
        }
        this.#heard.busy(false);
        this.#want = null;
        await this.#show(to);
      }
    } catch (e) {
      this.#want = null;
      if (!this.#gone) this.#heard.failed(e);
    } finally {
      this.#heard.busy(false);
      this.#tick = performance.now();
    }
  }

  async #show(to: number): Promise<void> {
    const k = this.#scout.before(to);
    const here = this.#next;
    const ahead = this.#last <= to && this.#last > 0 && (here.part > k.part || (here.part === k.part && here.event >= k.event));
    if (!ahead) {
      this.#term.reset();
      this.#term.resize(k.cols, k.rows);
      if (k.screen) await write(this.#term, k.screen);
      this.#next = { part: k.part, event: k.event };
      this.#last = Math.max(0, k.at);
    }
    await this.#forward(to, Infinity);
  }

  /** Shows what happens until a time; false where the budget of bytes ran out before. */
  async #forward(to: number, budget: number): Promise<boolean> {
    try {
      while (this.#next.part < this.#parts.index.parts.length) {
        const events = await this.#parts.events(this.#next.part, this.#stream);
        while (this.#next.event < events.length) {
          const e = events[this.#next.event]!;
          if (e.at > to || this.#want !== null || this.#gone) return true;
          await this.#feed.happen(e);
          this.#next.event++;
          this.#last = Math.max(this.#last, e.at);
          budget -= e.bytes?.length ?? 0;
          if (budget < 0) return false;
        }
        if (this.#next.part + 1 >= this.#parts.index.parts.length) return true;
        this.#next = { part: this.#next.part + 1, event: 0 };
      }
      return true;
    } finally {
      await this.#feed.flush();
    }
  }

  /** When the next thing happens. */
  async #upcoming(): Promise<number> {
    for (let { part, event } = this.#next; part < this.#parts.index.parts.length; part++, event = 0) {
      const events = await this.#parts.events(part, this.#stream);
      if (event < events.length) return events[event]!.at;
    }
    return this.#parts.index.duration;
  }

  get playing(): boolean {
    return this.#timer !== null;
  }
  async play(): Promise<void> {
    if (this.playing || this.#gone) return;
    if (this.at >= this.#parts.index.duration) await this.seek(0);
    this.#tick = performance.now();
    this.#timer = 0;
    this.#heard.playing(true);
    this.#frame();
  }
  pause(): void {
    if (this.#timer !== null) cancelAnimationFrame(this.#timer);
    this.#timer = null;
    this.#heard.playing(false);
  }

  #frame(): void {
    if (this.#timer === null) return;
    this.#timer = requestAnimationFrame(() => void this.#step().then(() => this.#frame()));
  }

  async #step(): Promise<void> {
    const now = performance.now();
    const wall = Math.min(250, now - this.#tick) * 1000; // microseconds
    this.#tick = now;
    if (this.#seeking) return;
    try {
      const next = await this.#upcoming();
      const gap = next - this.#last;
      const idle = this.skip && gap > idleFrom && next > this.at;
      const rate = Math.max(this.speed, idle ? gap / idleTo : 0);
      let to = this.at + wall * rate;
      if (idle && to > next) to = next;
      to = Math.min(to, this.#parts.index.duration);
      if (this.#want !== null || this.#timer === null) return;
      if (await this.#forward(to, 128 << 10)) this.at = to;
      else this.at = Math.max(this.at, this.#last);
      if (this.#want !== null) return;
      this.#heard.moved(this.at);
      if (this.at >= this.#parts.index.duration) this.pause();
    } catch (e) {
      this.pause();
      if (!this.#gone) this.#heard.failed(e);
    }
  }

  stop(): void {
    this.#gone = true;
    this.pause();
    this.#scout.stop();
  }
}

/** Where the session was frozen: from a freeze to the thaw that ends it, or to the end. */
export function frozenSpans(r: Pick<Replay, 'markers' | 'duration'>): [number, number][] {
  const out: [number, number][] = [];
  let from: number | null = null;
  for (const m of r.markers) {
    if (m.kind === 'freeze') from ??= m.at;
    else if (m.kind === 'thaw' && from !== null) {
      out.push([from, m.at]);
      from = null;
    }
  }
  if (from !== null) out.push([from, r.duration]);
  return out;
}

/** 1:02:03 */
export function stamp(at: number): string {
  const s = Math.floor(at / 1e6);
  const two = (n: number) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  return (h ? h + ':' + two(Math.floor((s % 3600) / 60)) : String(Math.floor(s / 60))) + ':' + two(s % 60);
}
