// Files of the device, over the same connection as the terminal. Nothing is sent that
// the other side did not ask for: data flows by credit, in both directions.
import { maxJSON, maxPayload } from './frames';
import type { AttachEvent, Words } from './attach';

/** Names and paths are written as lib/names says. */
export interface Entry {
  name: string;
  dir: boolean;
  size: number;
  modified: string;
  mode: string;
  link: boolean; // leads somewhere, to a folder perhaps
  unusable: boolean; // no operation can name it from here
}
export interface Listing {
  path: string; // absolute
  entries: Entry[];
  more: boolean; // the folder holds others, too
}
export interface Done {
  size: number;
  sha256: string;
}
/** Why a file operation was not done, in words. */
export class FileTrouble extends Error {
  readonly kind: string;
  readonly next: string;
  constructor(w: Words) {
    super(w.message);
    this.kind = w.kind;
    this.next = w.next;
  }
}

/** As much of an Attach as is needed. */
export interface Pipe {
  files(op: Record<string, unknown>): boolean;
  data(id: number, bytes: Uint8Array): void;
  endOf(id: number): void;
  credit(id: number, bytes: number): void;
}

const windowBytes = 256 << 10;
const piece = maxPayload - 4;
const utf8 = new TextEncoder();

interface Running {
  answer(a: Record<string, unknown>): void;
  data?(b: Uint8Array<ArrayBuffer>): void;
  credit?(n: number): void;
  /** The person stopped it; its answer comes. */
  stopped?(): void;
  /** What is to be said instead of the agent's words alone. */
  explain?(e: FileTrouble): FileTrouble;
  fail(e: Error): void;
}

export class Transfer {
  #pipe: Pipe;
  #next = 1;
  #running = new Map<number, Running>();

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  /** Hand every event of the connection here. */
  hear(e: AttachEvent): void {
    if (e.type === 'files') {
      const id = e.answer.id;
      if (typeof id === 'number') this.#running.get(id)?.answer(e.answer);
    } else if (e.type === 'data') this.#running.get(e.id)?.data?.(e.bytes);
    else if (e.type === 'credit') this.#running.get(e.id)?.credit?.(e.bytes);
    else if (e.type === 'standing' && e.standing !== 'open') {
      for (const r of [...this.#running.values()]) r.fail(lost());
    }
  }

  list(path: string): Promise<Listing> {
    return new Promise((resolve, reject) => {
      this.#begin({ op: 'list', path }, null, reject, (end) => {
        const all: Listing['entries'] = [];
        return {
          answer: (a) => {
            if (typeof a.path !== 'string' || !Array.isArray(a.entries)) {
              end();
              reject(notUnderstood());
              return;
            }
            for (const e of a.entries as Record<string, unknown>[]) {
              if (!e || typeof e.name !== 'string' || e.name === '') continue;
              all.push({ name: e.name, dir: e.dir === true, size: Number(e.size) || 0, modified: typeof e.modified === 'string' ? e.modified : '', mode: typeof e.mode === 'string' ? e.mode : '', link: e.link === true, unusable: e.unusable === true });
            }
            if (a.more === true) return; // the next page comes by itself
            end();
            resolve({ path: a.path, more: a.cut === true, entries: all });
          },
        };
      });
    });
  }
  async mkdir(path: string): Promise<void> {
    await this.#ask({ op: 'mkdir', path });
  }
  async remove(path: string): Promise<void> {
    await this.#ask({ op: 'remove', path });
  }
  async rename(path: string, to: string): Promise<void> {
    await this.#ask({ op: 'rename', path, to });
  }

  /** Reads a file of the device; each piece is waited for before more is asked for. */
  get(path: string, sink: (b: Uint8Array<ArrayBuffer>) => Promise<void> | void, progress: (have: number, size: number) => void, stop: AbortSignal): Promise<Done> {
    return new Promise((resolve, reject) => {
      const id = this.#begin({ op: 'get', path }, stop, reject, (end) => {
        let size = 0;
        let have = 0;
        let owed = 0; // taken in, not yet asked for again
        let work = Promise.resolve();
        return {
          answer: (a) => {
            if (a.done === true) {
              work = work.then(() => end(), end).then(() => {
                const d = done(a);
                if (d && d.size === have) resolve(d);
                else reject(new FileTrouble({ kind: 'internal', message: 'The file did not arrive whole.', next: 'Download it again.' }));
              });
              return;
            }
            size = Number(a.size) || 0;
            progress(0, size);
            this.#pipe.credit(id, windowBytes);
          },
          data: (b) => {
            have += b.length;
            work = work.then(() => sink(b)).then(() => {
              progress(have, size);
              owed += b.length;
              if (owed >= windowBytes / 2) {
                this.#pipe.credit(id, owed);
                owed = 0;
              }
            });
            work.catch((e: unknown) => {
              this.#pipe.files({ id: this.#next++, op: 'cancel', of: id });
              end();
              reject(e instanceof Error ? e : new Error(String(e)));
            });
          },
        };
      });
    });
  }

  /** Writes a file on the device. */
  put(path: string, file: Blob, replace: boolean, progress: (sent: number, size: number) => void, stop: AbortSignal): Promise<Done> {
    return new Promise((resolve, reject) => {
      const id = this.#begin({ op: 'put', path, size: file.size, replace }, stop, reject, (end) => {
        let sent = 0;
        let may = 0;
        let busy = false;
        let over = false;
        let accepted = false;
        let unread = false;
        const push = async () => {
          if (busy || over || !accepted) return;
          busy = true;
          try {
            while (!over && sent < file.size && may > 0) {
              const n = Math.min(piece, may, file.size - sent);
              const b = new Uint8Array(await file.slice(sent, sent + n).arrayBuffer());
              if (over || !this.#running.has(id)) return;
              this.#pipe.data(id, b);
              sent += n;
              may -= n;
              progress(sent, file.size);
            }
            if (sent === file.size && !over) {
              over = true;
              this.#pipe.endOf(id);
            }
          } catch {
            over = unread = true;
            this.#cancel(id); // the agent answers what is on the device now
          } finally {
            busy = false;
          }
        };
        return {
          answer: (a) => {
            if (a.done === true) {
              end();
              const d = done(a);
              if (d) resolve(d);
              else reject(notUnderstood());
              return;
            }
            accepted = true;
            void push();
          },
          credit: (n) => {
            may += n;
            void push();
          },
          stopped: () => (over = true),
          explain: (e) => (unread ? new FileTrouble({ kind: 'invalid', message: 'Your computer could not read the file.', next: e.next }) : e),
        };
      });
    });
  }

  #ask(op: Record<string, unknown>): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      this.#begin(op, null, reject, (end) => ({
        answer: (a) => {
          end();
          resolve(a);
        },
      }));
    });
  }

  #begin(op: Record<string, unknown>, stop: AbortSignal | null, reject: (e: Error) => void, make: (end: () => void) => Omit<Running, 'fail'>): number {
    const id = this.#next++;
    const cancel = () => {
      this.#running.get(id)?.stopped?.();
      this.#cancel(id);
    };
    const end = () => {
      this.#running.delete(id);
      stop?.removeEventListener('abort', cancel);
    };
    const r = make(end);
    const fail = (e: Error) => {
      end();
      reject(e);
    };
    this.#running.set(id, {
      ...r,
      fail,
      answer: (a) => {
        const e = a.error as Record<string, unknown> | undefined;
        if (e && typeof e === 'object') {
          const w = (k: string) => (typeof e[k] === 'string' ? (e[k] as string) : '');
          const said = new FileTrouble({ kind: w('kind'), message: w('message') || 'The hospital did not do this and gives no reason.', next: w('next') });
          fail(r.explain?.(said) ?? said);
        } else r.answer(a);
      },
    });
    if (utf8.encode(JSON.stringify(op)).length > maxJSON - 32) fail(new FileTrouble({ kind: 'invalid', message: 'The path is too long to be asked for from here.', next: 'Use sftp for this one.' }));
    else if (!this.#pipe.files({ id, ...op })) fail(new FileTrouble({ kind: 'unreachable', message: 'There is no connection to the hospital.', next: 'Try again when it is back.' }));
    else stop?.addEventListener('abort', cancel);
    return id;
  }

  #cancel(id: number): void {
    if (!this.#pipe.files({ id: this.#next++, op: 'cancel', of: id })) this.#running.get(id)?.fail(lost());
  }
}

/** Nobody here knows what the device has of it. */
function lost(): FileTrouble {
  return new FileTrouble({ kind: 'unreachable', message: 'The connection dropped before this was answered.', next: 'What came of it is not known here: look at the folder when the connection is back.' });
}

function done(a: Record<string, unknown>): Done | null {
  return typeof a.size === 'number' && typeof a.sha256 === 'string' && /^[0-9a-f]{64}$/.test(a.sha256) ? { size: a.size, sha256: a.sha256 } : null;
}
function notUnderstood(): FileTrouble {
  return new FileTrouble({ kind: 'internal', message: 'The hospital answered in a way this page does not understand.', next: 'Reload the page.' });
}

/** Joins an absolute path and a name. */
export function join(path: string, name: string): string {
  return path.replace(/\/+$/, '') + '/' + name;
}
/** The steps of an absolute path, each with the path that leads there. */
export function crumbs(path: string): { name: string; path: string }[] {
  const steps = path.split('/').filter((s) => s !== '');
  return [{ name: '/', path: '/' }, ...steps.map((name, i) => ({ name, path: '/' + steps.slice(0, i + 1).join('/') }))];
}
