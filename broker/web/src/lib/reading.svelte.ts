// The transcript of a recording, read stretch by stretch, each where the one before ended.
import { Trouble } from './api';
import type { Transcript, TranscriptLine } from './types';

const room = 24 << 20; // characters that are held before somebody is asked
const apart = 100; // milliseconds between two stretches: the broker answers so many calls

export class Reading {
  lines = $state.raw<TranscriptLine[]>([]);
  /** Something was read. */
  begun = $state(false);
  /** Up to when, in microseconds. */
  read = $state(0);
  /** Nothing follows. */
  whole = $state(false);
  /** More is being read. */
  busy = $state(false);
  /** It goes on when it is told to. */
  full = $state(false);
  trouble = $state.raw<Trouble>();
  #fetch: (from: number) => Promise<Transcript>;
  #next = 0;
  #held = 0;
  #room = room;
  #gone = false;

  constructor(fetch: (from: number) => Promise<Transcript>) {
    this.#fetch = fetch;
  }

  /** Reads what there is, of so many parts. */
  async on(parts: number): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.trouble = undefined;
    try {
      while (!this.#gone && !this.whole && (this.#next < parts || !this.begun)) {
        if ((this.full = this.#held > this.#room)) return;
        const x = await this.#fetch(this.#next);
        if (x.lines.length) this.lines = this.lines.concat(x.lines);
        for (const l of x.lines) this.#held += l.text.length + 64;
        this.read = Math.max(this.read, x.read);
        this.whole = x.whole;
        this.begun = true;
        if (x.next <= this.#next) return;
        this.#next = x.next;
        await new Promise((r) => setTimeout(r, apart));
      }
    } catch (e) {
      this.trouble = e instanceof Trouble ? e : new Trouble({ status: 0, kind: 'internal', message: 'This page could not read the transcript.', next: 'Try again.' });
    } finally {
      this.busy = false;
    }
  }

  /** Makes room for as much again. */
  more(parts: number): void {
    this.#room += room;
    this.full = false;
    void this.on(parts);
  }
  stop(): void {
    this.#gone = true;
  }
}
