// Replays a recording on a stage: a terminal, or a console's picture. A part of it holds what stood when it began: a jump
// fetches the part that shows its moment, writes what stood and lets happen what follows,
// so it costs the same at the end of two hours as at their beginning. Work is done in slices.
import type { Kind, ModalityState, Replay, ReplayPart } from './types';

const held = 48 << 20; // characters of parts in memory
const apart = 80; // milliseconds between two that are fetched: the broker answers so many calls,
const atOnce = 6; // and as many more as this where nothing was asked before
const far = 16; // parts between the beginning of a command and a moment of it
const idleFrom = 2e6;
const idleTo = 0.5e6;

export const speeds = [0.5, 1, 2, 4, 8, 16, 32];

export function decode(data: string): Uint8Array {
  const s = atob(data);
  const b = new Uint8Array(s.length);
  for (let i = 0; i < s.length; i++) b[i] = s.charCodeAt(i);
  return b;
}

const rest = (ms: number) => new Promise<void>((r) => setTimeout(r, ms));

/** The parts of one recording, fetched when they are needed. */
export class Parts {
  index: Replay;
  #fetch: (which: string) => Promise<ReplayPart>;
  #have = new Map<number, ReplayPart>(); // the latest used last
  #asked = new Map<string, Promise<ReplayPart>>();
  #held = 0;
  #free = 0; // when the next one may be fetched

  constructor(index: Replay, fetch: (which: string) => Promise<ReplayPart>) {
    this.index = index;
    this.#fetch = fetch;
  }

  last(p: ReplayPart): boolean {
    return p.n + 1 >= this.index.parts;
  }

  /** A part by its number. */
  async part(n: number): Promise<ReplayPart> {
    const there = this.#have.get(n);
    return there ? this.#keep(there) : this.#ask(String(n));
  }

  /** The part at which one begins to show a moment, where it is in memory. */
  near(at: number): ReplayPart | undefined {
    for (const p of this.#have.values()) if (p.complete && p.from <= at && (at < p.to || this.last(p))) return this.#keep(p);
    return undefined;
  }
  async begin(at: number): Promise<ReplayPart> {
    return this.near(at) ?? this.#ask(`at/${Math.floor(at)}`);
  }

  /** When another one may be fetched. */
  async turn(): Promise<void> {
    await rest(Math.max(0, this.#free - performance.now()));
  }

  #ask(which: string): Promise<ReplayPart> {
    let asked = this.#asked.get(which);
    if (!asked) {
      asked = this.turn()
        .then(() => {
          this.#free = Math.max(this.#free, performance.now() - atOnce * apart) + apart;
          return this.#fetch(which);
        })
        .then((p) => this.#keep(p));
      this.#asked.set(which, asked);
      asked.finally(() => this.#asked.delete(which)).catch(() => {});
    }
    return asked;
  }

  #keep(p: ReplayPart): ReplayPart {
    this.#drop(p.n);
    this.#have.set(p.n, p);
    this.#held += weight(p);
    for (const n of this.#have.keys()) {
      if (this.#held <= held || n === p.n) break;
      this.#drop(n);
    }
    return p;
  }
  #drop(n: number): void {
    const p = this.#have.get(n);
    if (p && this.#have.delete(n)) this.#held -= weight(p);
  }
}
function weight(p: ReplayPart): number {
  return [...p.screens, ...p.consoles].reduce((n, s) => n + s.draw.length, 0) + p.events.reduce((n, e) => n + 64 + e[3].length, 0);
}

/** Where events happen. */
export interface Stage {
  /** Bytes that may happen between two pictures of the browser. */
  readonly most: number;
  /** Lets an event happen, and returns how many bytes it was. */
  happen(kind: Kind, data: string): Promise<number>;
  /** Begins with what stood on a stream when a part began. */
  stand(p: ReplayPart, stream: number | null): Promise<void>;
  /** Everything that happened is seen. */
  flush(): Promise<void>;
}

/** Whether an event begins a screen anew. */
const begins = (kind: Kind) => kind === 'c' || kind === 'w';

export interface Heard {
  /** Where it stands, in microseconds. */
  moved(at: number): void;
  playing(yes: boolean): void;
  /** It reads before it can show. */
  busy(yes: boolean): void;
  /** Which channel is shown. */
  shown(stream: number): void;
  /** Why the screen does not show what stood on it; empty: it does. */
  told(why: string): void;
  failed(e: unknown): void;
}

/** A command without a terminal: what it wrote stands nowhere. */
const plain = (c: Replay['channels'][number]) => !c.terminal && c.kind !== 'control';

export class Player {
  speed = 1;
  skip = true;
  at = 0;
  #parts: Parts;
  #feed: Stage;
  #heard: Heard;
  #stream: number | null = null;
  #part: ReplayPart | null = null; // the one that is shown
  #event = 0; // the first event of it that is not shown
  #last = 0; // time of the event before it
  #told = '';
  #want: number | null = null;
  #jumps = 0;
  #seeking: Promise<void> | null = null;
  #stepping: Promise<unknown> = Promise.resolve();
  #timer: number | null = null;
  #tick = 0;
  #gone = false;

  constructor(parts: Parts, stage: Stage, heard: Heard) {
    this.#parts = parts;
    this.#feed = stage;
    this.#heard = heard;
  }

  /** Which channel is shown. */
  set stream(stream: number) {
    this.#stream = stream;
  }

  async choose(stream: number): Promise<void> {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#part = null;
    await this.seek(this.at);
  }

  /** More was read of the recording, or a live one has grown. */
  learn(index: Replay): void {
    const before = this.#channel;
    this.#parts.index = index;
    const now = this.#channel;
    const ended = now && now.end >= 0 && now.end !== before?.end && now.end < this.at;
    if (!ended && !(this.#told && !before && now) && !(this.#stream === null && index.channels.length)) return;
    this.#part = null;
    void this.seek(this.at);
  }

  get #channel() {
    return this.#parts.index.channels.find((c) => c.stream === this.#stream);
  }

  /** Shows a moment. Only the last of several quick calls is shown. */
  seek(at: number): Promise<void> {
    this.#want = Math.max(0, Math.min(at, this.#parts.index.duration));
    this.at = this.#want;
    this.#jumps++;
    this.#heard.moved(this.at);
    this.#seeking ??= this.#seekAll().finally(() => (this.#seeking = null));
    return this.#seeking;
  }

  async #seekAll(): Promise<void> {
    try {
      this.#heard.busy(true);
      while (this.#want !== null && !this.#gone) {
        const to = this.#want;
        if (!this.#parts.near(to)) {
          await this.#parts.turn();
          if (this.#want !== to) continue;
        }
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
    await this.#stepping;
    if (this.#stream === null) this.#first(await this.#parts.begin(to));
    const c = this.#channel;
    // What was closed stays as it was then.
    const end = c && c.end >= 0 && c.end < to ? c.end : to;
    let p = await this.#parts.begin(end === to ? to : Math.max(c!.at, end - 1));
    // No screen of a command without a terminal stands anywhere: it is read from its beginning.
    if (c && plain(c) && c.at < p.from && c.at <= to) {
      const first = await this.#parts.begin(Math.max(0, c.at - 1));
      if (p.n - first.n <= far) p = first;
    }
    const here = this.#part;
    if (!here || here.n < p.n || this.#last > end) {
      if (this.#want !== null || this.#gone) return;
      await this.#feed.stand(p, this.#stream);
      this.#part = p;
      this.#event = 0;
      this.#last = p.from;
      this.#tell(this.#why(p, to));
    }
    await this.#forward(to, Infinity);
  }

  /** The channel that is shown while nobody chose one. */
  #first(p: ReplayPart): void {
    const all = this.#parts.index.channels;
    const shell = all.find((c) => c.kind === 'shell') ?? all[0];
    this.#stream = p.screens[0]?.stream ?? p.consoles[0]?.stream ?? shell?.stream ?? p.events.find((e) => begins(e[2]))?.[1] ?? null;
    if (this.#stream !== null) this.#heard.shown(this.#stream);
  }

  /** Why who begins at a part does not see what stood. */
  #why(p: ReplayPart, to: number): string {
    const c = this.#channel;
    const anew = p.events.some((e) => e[1] === this.#stream && begins(e[2]));
    if (this.#stream === null || anew || [...p.screens, ...p.consoles].some((s) => s.stream === this.#stream)) return '';
    if (c && to < c.at) return 'It was not open yet.';
    if (c && plain(c)) return 'What this command wrote before is too long to be shown here. Jump to its beginning to see it.';
    if (!p.complete) return 'What stood on this screen is not known here: the agent could not draw it. Only what was written from here on is shown. Play from an earlier moment to see all of it.';
    return c ? '' : 'It was not open here.';
  }
  #tell(why: string): void {
    if (why !== this.#told) this.#heard.told((this.#told = why));
  }

  /** Shows what happens until a time; false where the budget of bytes ran out before. */
  async #forward(to: number, budget: number): Promise<boolean> {
    const jump = this.#jumps;
    const over = () => this.#gone || this.#want !== null || this.#jumps !== jump;
    try {
      for (let p = this.#part; p; p = this.#part) {
        for (; this.#event < p.events.length; this.#event++) {
          const [at, stream, kind, data] = p.events[this.#event]!;
          if (stream !== this.#stream) continue;
          if (at > to || over()) return true;
          budget -= await this.#feed.happen(kind, data);
          if (begins(kind)) this.#tell('');
          this.#last = Math.max(this.#last, at);
          if (budget < 0) return this.#event++, false;
        }
        if (to < p.to || this.#parts.last(p)) return true;
        const next = await this.#parts.part(p.n + 1);
        if (over()) return true;
        this.#part = next;
        this.#event = 0;
        if (this.playing && !this.#parts.last(next)) this.#parts.part(next.n + 1).catch(() => {});
      }
      return true;
    } finally {
      await this.#feed.flush();
    }
  }

  /** When the next thing happens, or the next part begins. */
  get next(): number {
    const p = this.#part;
    const next = p?.events.slice(this.#event).find((e) => e[1] === this.#stream);
    if (next) return next[0];
    return p && !this.#parts.last(p) ? p.to : this.#parts.index.duration;
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
      const next = this.next;
      const gap = next - this.#last;
      const idle = this.skip && gap > idleFrom && next > this.at;
      const rate = Math.max(this.speed, idle ? gap / idleTo : 0);
      let to = this.at + wall * rate;
      if (idle && to > next) to = next;
      to = Math.min(to, this.#parts.index.duration);
      const jump = this.#jumps;
      const forward = this.#forward(to, this.#feed.most);
      this.#stepping = forward.catch(() => {});
      const came = (await forward) ? to : this.#last;
      if (this.#jumps !== jump) return;
      this.at = Math.max(this.at, came);
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

/** How the scanner stood, in stretches; '' where that is not told. */
export function stood(r: Pick<Replay, 'states' | 'read'>): { from: number; to: number; is: ModalityState | '' }[] {
  return r.states.map((s, i) => ({ from: s.at, to: r.states[i + 1]?.at ?? Math.max(s.at, r.read), is: s.is }));
}

/** 1:02:03 */
export function stamp(at: number): string {
  const s = Math.floor(at / 1e6);
  const two = (n: number) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  return (h ? h + ':' + two(Math.floor((s % 3600) / 60)) : String(Math.floor(s / 60))) + ':' + two(s % 60);
}

/** The moment that an address names, in microseconds: "#t=12.5" is one. */
export function momentIn(hash: string): { at: number } | undefined {
  const t = new URLSearchParams(hash.slice(1)).get('t');
  return t === null ? undefined : { at: Math.max(0, Number(t) || 0) * 1e6 };
}
