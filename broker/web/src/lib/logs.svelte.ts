// The audit logs of the broker's nodes as one list by time. Each node has a log of its
// own; of each a piece at its end is read, and more of it when somebody looks back.
import { get, Trouble } from './api';
import { entryText, readEntry, type Entry } from './events';
import type { AuditEvents, AuditLogState } from './types';

export interface Shown {
  log: string; // the log's name
  index: number;
  raw: string;
  entry: Entry | undefined;
  at: number; // when, for the order; what cannot be read stands where its neighbour does
  says: string; // for the search
}

const bundle = 100;

/** One node's log, as far as it was read. */
class Log {
  state: AuditLogState;
  events: Shown[] = []; // newest first
  size = 0;
  floor = 0; // everything from here on was looked at
  why = ''; // it is not read
  #next = 0; // the first index that was not looked at
  #begun = false;

  constructor(state: AuditLogState) {
    this.state = state;
  }

  #get(query: string): Promise<AuditEvents> {
    return get<AuditEvents>(`/api/v1/audit/events?log=${encodeURIComponent(this.state.origin)}&${query}`);
  }
  #shown(v: AuditEvents): Shown[] {
    let at = this.events[0]?.at ?? 0;
    return v.events.map((e) => {
      const entry = readEntry(e.index, e.entry);
      if (entry) at = Date.parse(entry.time);
      return { log: this.state.origin, index: e.index, raw: e.entry, entry, at, says: entryText(e.entry).toLowerCase() };
    });
  }

  /** Reads the end, and what was written since. */
  async read(): Promise<void> {
    if (this.state.problem) return void (this.why = this.state.problem);
    try {
      const v = await this.#get(this.#begun ? `after=${this.#next}` : `last=${bundle}`);
      this.events = [...this.#shown(v).filter((e) => e.index >= this.#next).reverse(), ...this.events];
      if (!this.#begun) this.floor = v.from;
      this.#begun = true;
      this.size = v.size;
      this.#next = Math.max(this.#next, v.next);
      this.why = '';
    } catch (e) {
      this.why = e instanceof Trouble ? e.message : 'it was not answered';
      throw e;
    }
  }

  async back(): Promise<void> {
    const from = Math.max(0, this.floor - 2 * bundle);
    const v = await this.#get(`after=${from}`);
    this.events = [...this.events, ...this.#shown(v).filter((e) => e.index < this.floor).reverse()];
    this.floor = from;
  }

  /** From when on all of it was read. */
  get since(): number {
    return this.floor === 0 ? -Infinity : (this.events.at(-1)?.at ?? Infinity);
  }
}

export class Logs {
  events = $state.raw<Shown[]>([]); // of all logs, newest first, as far back as all were read
  size = $state(0);
  more = $state(false); // there is something further back
  missing = $state.raw<{ origin: string; why: string }[]>([]);
  count = $state(0);
  #logs = new Map<string, Log>();

  /** Reads the end of every log. Fails only where none can be read. */
  async read(): Promise<void> {
    const { logs } = await get<{ logs: AuditLogState[] | null }>('/api/v1/audit/logs');
    for (const state of logs ?? []) {
      const known = this.#logs.get(state.origin);
      if (known) known.state = state;
      else this.#logs.set(state.origin, new Log(state));
    }
    const all = await Promise.allSettled([...this.#logs.values()].map((l) => l.read()));
    this.#merge();
    const failed = all.filter((r) => r.status === 'rejected');
    if (all.length && failed.length === all.length) throw failed[0]!.reason;
  }

  /** Reads further back in the log that is known least far. */
  async back(): Promise<void> {
    const open = [...this.#logs.values()].filter((l) => !l.why && l.floor > 0);
    open.sort((a, b) => (a.since > b.since ? -1 : 1));
    await open[0]?.back();
    this.#merge();
  }

  #merge(): void {
    const read = [...this.#logs.values()].filter((l) => !l.why || l.events.length);
    const since = Math.max(-Infinity, ...read.map((l) => l.since).filter((t) => t !== Infinity));
    this.events = read.flatMap((l) => l.events.filter((e) => e.at >= since)).sort((a, b) => b.at - a.at || (a.log === b.log ? b.index - a.index : a.log < b.log ? -1 : 1));
    this.size = read.reduce((n, l) => n + l.size, 0);
    this.more = read.some((l) => l.floor > 0);
    this.count = this.#logs.size;
    this.missing = [...this.#logs.values()].filter((l) => l.why).map((l) => ({ origin: l.state.origin, why: l.why }));
  }
}

/** A node as people call it: what tells its log's name from the others'. */
export function nodeOf(origin: string): string {
  return origin.split('/').at(-1) || origin;
}
