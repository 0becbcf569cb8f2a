// Files on their way, up and down: how far, how fast, and what came of it.
import { checkable, sha256 } from './checksum';
import { local, written } from './names';
import { FileTrouble, join, type Transfer } from './transfer';

export class Move {
  readonly id: number;
  readonly name: string; // as lib/names writes it
  readonly way: 'up' | 'down';
  size = $state(0);
  have = $state(0);
  state = $state<'waiting' | 'going' | 'done' | 'failed' | 'cancelled'>('waiting');
  sum = $state('');
  /** This browser computed the same. */
  checked = $state(false);
  /** What the agent said of it, or this page where it is its own trouble. */
  message = $state('');
  next = $state('');
  stopping = $state(false);
  started = 0;
  ended = $state(0);
  readonly stop = new AbortController();
  constructor(id: number, name: string, way: 'up' | 'down', size: number) {
    this.id = id;
    this.name = name;
    this.way = way;
    this.size = size;
  }
  cancel(): void {
    this.stopping = true;
    this.stop.abort();
  }
  /** Bytes a second. */
  speed(now: number): number {
    const ms = (this.ended || now) - this.started;
    return this.started && ms > 250 ? (this.have * 1000) / ms : 0;
  }
}

interface Saver {
  write(b: Uint8Array<ArrayBuffer>): Promise<void> | void;
  close(): Promise<Blob | null>;
  abort(): Promise<void>;
}

const breath = 100; // milliseconds after a file was handed to the browser: it drops some that come faster

export class Moves {
  all = $state.raw<Move[]>([]);
  /** Said politely when one is through. */
  spoken = $state('');
  #transfer: Transfer;
  #count = 0;
  #line: Promise<void> = Promise.resolve();

  constructor(t: Transfer) {
    this.#transfer = t;
  }

  get busy(): boolean {
    return this.all.some((m) => m.state === 'waiting' || m.state === 'going');
  }
  /** Those that a list of so many shows: what moves or failed before what waits or is done. */
  first(n: number): Move[] {
    if (this.all.length <= n) return this.all;
    const rank = (m: Move) => ['going', 'failed', 'waiting', 'cancelled', 'done'].indexOf(m.state);
    return [...this.all].sort((a, b) => rank(a) - rank(b)).slice(0, n);
  }
  clear(): void {
    this.all = this.all.filter((m) => m.state === 'waiting' || m.state === 'going');
  }

  async download(path: string, name: string, size: number): Promise<void> {
    const saver = await saverFor(local(name));
    if (!saver) return; // the person closed the picker
    await this.#do(new Move(++this.#count, name, 'down', size), async (m) => {
      try {
        const d = await this.#transfer.get(join(path, name), (b) => saver.write(b), (have, all) => this.#at(m, have, all), m.stop.signal);
        const blob = await saver.close();
        m.sum = d.sha256;
        if (blob && blob.size <= checkable) {
          if ((await sha256(blob)) !== d.sha256) throw new FileTrouble({ kind: 'internal', message: 'What arrived is not what the hospital sent.', next: 'Download it again.' });
          m.checked = true;
        }
        if (blob) {
          save(blob, local(name));
          await new Promise((r) => setTimeout(r, breath));
        }
      } catch (e) {
        await saver.abort();
        throw e;
      }
    });
  }

  async upload(path: string, file: File, replace: boolean, name = written(file.name)): Promise<void> {
    await this.#do(new Move(++this.#count, name, 'up', file.size), async (m) => {
      const d = await this.#transfer.put(join(path, name), file, replace, (sent, all) => this.#at(m, sent, all), m.stop.signal);
      m.sum = d.sha256;
      const here = file.size <= checkable ? await sha256(file).catch(() => '') : '';
      if (here && here !== d.sha256) throw new FileTrouble({ kind: 'internal', message: 'What is on the device is not what your computer reads now.', next: 'If the file changed meanwhile, upload it again.' });
      m.checked = here !== '';
    });
  }

  #at(m: Move, have: number, all: number): void {
    m.have = have;
    m.size = all;
  }

  /** One after the other: a slow line is not made slower. */
  #do(m: Move, work: (m: Move) => Promise<void>): Promise<void> {
    this.all = [m, ...this.all];
    const run = this.#line.then(async () => {
      if (m.stop.signal.aborted) {
        m.state = 'cancelled';
        m.message = 'It was never begun.';
        return;
      }
      m.state = 'going';
      m.started = Date.now();
      try {
        await work(m);
        m.state = 'done';
        this.spoken = `${m.name} ${m.way === 'up' ? 'is on the device' : 'was handed to your browser'}.`;
      } catch (e) {
        m.state = m.stop.signal.aborted ? 'cancelled' : 'failed';
        m.message = e instanceof FileTrouble ? e.message : 'Your computer could not keep the file.';
        m.next = e instanceof FileTrouble ? e.next : '';
        this.spoken = `${m.name}: ${m.message}`;
      } finally {
        m.ended = Date.now();
      }
    });
    this.#line = run;
    return run;
  }
}

type Picker = (o: { suggestedName: string }) => Promise<{ createWritable(): Promise<WritableStream & { write(b: Uint8Array): Promise<void>; close(): Promise<void>; abort(): Promise<void> }> }>;

/** Straight to a file of the person's choice where the browser can, else into memory. */
async function saverFor(name: string): Promise<Saver | null> {
  const pick = (window as { showSaveFilePicker?: Picker }).showSaveFilePicker;
  if (pick) {
    try {
      const w = await (await pick.call(window, { suggestedName: name })).createWritable();
      return { write: (b) => w.write(b), close: async () => (await w.close(), null), abort: () => w.abort().catch(() => {}) };
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return null;
    }
  }
  let parts: Uint8Array<ArrayBuffer>[] = [];
  return {
    write: (b) => void parts.push(b),
    close: async () => new Blob(parts, { type: 'application/octet-stream' }),
    abort: async () => void (parts = []),
  };
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const a = Object.assign(document.createElement('a'), { href: url, download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 120_000); // a busy browser fetches it late
}
