// Something that is read from the broker and kept fresh by its changes: the old
// answer stays on the page while the new one comes, so nothing jumps.
import { Trouble } from './api';
import { onChange } from './live.svelte';
import type { Change } from './types';

export class Loaded<T> {
  value = $state<T>();
  trouble = $state<Trouble>();
  /** The first answer has not come. */
  waiting = $state(true);
  #read: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | null = null;
  #again = false;

  constructor(read: (signal: AbortSignal) => Promise<T>) {
    this.#read = read;
  }

  /** Asks again. Calls while an answer is under way are answered by one more after it. */
  async refresh(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    const run = new AbortController();
    this.#running = run;
    try {
      this.value = await this.#read(run.signal);
      this.trouble = undefined;
    } catch (e) {
      if (run.signal.aborted) return;
      this.trouble = e instanceof Trouble ? e : new Trouble({ status: 0, kind: 'internal', message: 'This page made a mistake.', next: 'Reload it.' });
    } finally {
      if (this.#running === run) this.#running = null;
      if (!run.signal.aborted) {
        this.waiting = false;
        if (this.#again) {
          this.#again = false;
          void this.refresh();
        }
      }
    }
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
  }
}

/**
 * Loads now, and again whenever a change concerns it. Use it in a component:
 *   const inbox = load(() => get<Request[]>('/api/v1/requests'), (c) => c.kind === 'request');
 */
export function load<T>(read: (signal: AbortSignal) => Promise<T>, concerns: (c: Change) => boolean): Loaded<T> {
  const l = new Loaded(read);
  $effect(() => {
    void l.refresh();
    const off = onChange((c) => {
      if (c === 'everything' || concerns(c)) void l.refresh();
    });
    return () => {
      off();
      l.stop();
    };
  });
  return l;
}
