// A terminal on which a recording is replayed.
import type { Terminal } from '@xterm/xterm';
import { decode, type Stage } from './replay';
import { refit } from './screen';
import type { Kind, ReplayPart } from './types';

const slice = 8 << 10; // bytes written at once
const queue = 128 << 10; // bytes that wait to be written

const cursor = '\x1b[?47l'; // on the screen that is there: this terminal shows no cursor before it was asked for a screen once

const side = (n: number, least: number) => Math.min(1000, Math.max(least, n));
function size(data: string): [number, number] {
  const m = /^(\d{1,4})x(\d{1,4})$/.exec(data);
  return [side(Number(m?.[1] ?? 80), 2), side(Number(m?.[2] ?? 24), 1)];
}

function write(t: Terminal, data: Uint8Array | string): Promise<void> {
  return new Promise((r) => t.write(data, r));
}

/** A terminal as a stage; it works off what is queued in slices of its own. */
export class Feed implements Stage {
  readonly most = queue;
  #term: Terminal;
  #queued = 0;
  #last: Promise<void> = Promise.resolve();
  constructor(term: Terminal) {
    this.#term = term;
  }

  /** Returns how many bytes it was. */
  async happen(kind: Kind, data: string): Promise<number> {
    if (kind === 'o') {
      const bytes = decode(data);
      for (let i = 0; i < bytes.length; i += slice) this.#last = write(this.#term, bytes.subarray(i, i + slice));
      this.#queued += bytes.length;
      if (this.#queued >= queue) await this.flush();
      return bytes.length;
    }
    if (kind !== 'c' && kind !== 'r') return 0;
    await this.flush();
    if (kind === 'c') this.#begin();
    if (data) refit(this.#term, ...size(data));
    return 0;
  }

  /** Begins with a screen that stood. */
  async stand(p: ReplayPart, stream: number | null): Promise<void> {
    const s = p.screens.find((x) => x.stream === stream);
    await this.flush();
    this.#begin();
    if (!s) return;
    refit(this.#term, side(s.cols, 2), side(s.rows, 1));
    await write(this.#term, decode(s.draw));
  }

  #begin(): void {
    this.#term.reset();
    this.#term.write(cursor);
  }

  async flush(): Promise<void> {
    if (this.#queued === 0) return;
    this.#queued = 0;
    await this.#last;
  }
}
