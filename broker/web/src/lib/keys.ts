// The browser's keys: P-256, one per request, kept in this browser's own database
// and never readable, not even by this page. Whoever has the page can use them;
// nobody can take them along.
import { keyLine } from './documents';

interface Kept {
  line: string;
  key: CryptoKey;
  request: string; // R-..., "" until it is known
  made: number; // milliseconds
}

/** This browser keeps no keys: a private window, or storage is switched off. */
export class NoKeys extends Error {
  constructor() {
    super('This browser window keeps no keys.');
  }
  readonly next = 'Private windows and blocked site data prevent it. Open Sallyport in an ordinary window, or use the sallyport command.';
}

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((done, fail) => {
    if (!globalThis.indexedDB || !globalThis.crypto?.subtle) {
      fail(new NoKeys());
      return;
    }
    const ask = indexedDB.open('sallyport', 1);
    ask.onupgradeneeded = () => ask.result.createObjectStore('keys', { keyPath: 'line' });
    ask.onsuccess = () => {
      ask.result.onversionchange = () => {
        ask.result.close();
        opened = null;
      };
      done(ask.result);
    };
    ask.onerror = ask.onblocked = () => fail(new NoKeys());
  }).catch((e: unknown) => {
    opened = null;
    throw e instanceof NoKeys ? e : new NoKeys();
  });
  return opened;
}

async function run<T>(mode: IDBTransactionMode, work: (keys: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  return new Promise<T>((done, fail) => {
    try {
      const t = db.transaction('keys', mode, { durability: 'strict' });
      const asked = work(t.objectStore('keys'));
      t.oncomplete = () => done(asked.result);
      t.onerror = t.onabort = () => fail(new NoKeys());
    } catch {
      fail(new NoKeys());
    }
  });
}

/** Whether this browser can keep keys; where not, NoKeys says why. */
export async function canKeep(): Promise<boolean> {
  try {
    await database();
    return true;
  } catch {
    return false;
  }
}

/** Makes a key and keeps it, for a request where that is known already. */
export async function newKey(request = ''): Promise<{ line: string }> {
  await database();
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
  const line = keyLine(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  await run('readwrite', (keys) => keys.put({ line, key: pair.privateKey, request, made: Date.now() } satisfies Kept));
  return { line };
}

/** Signs with the key of a line: ECDSA over SHA-256, r and s of 32 bytes each. */
export async function sign(line: string, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const kept = await find(line);
  if (!kept) throw new Error('The key is not in this browser.');
  return new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, kept.key, bytes));
}

/** Whether the key of a line is in this browser. */
export async function has(line: string): Promise<boolean> {
  return (await find(line).catch(() => undefined)) !== undefined;
}

async function find(line: string): Promise<Kept | undefined> {
  return run<Kept | undefined>('readonly', (keys) => keys.get(line) as IDBRequest<Kept | undefined>);
}

/** The lines of the keys that were made here for a request, newest first. */
export async function linesOf(request: string): Promise<string[]> {
  const all = await everything().catch(() => []);
  return all.filter((k) => k.request === request).sort((a, b) => b.made - a.made).map((k) => k.line);
}

/** Notes which request a key is for. */
export async function belongs(line: string, request: string): Promise<void> {
  const kept = await find(line);
  if (kept) await run('readwrite', (keys) => keys.put({ ...kept, request }));
}

async function everything(): Promise<Kept[]> {
  return run<Kept[]>('readonly', (keys) => keys.getAll() as IDBRequest<Kept[]>);
}

/** Drops a key whose proof failed. */
export async function drop(line: string): Promise<void> {
  await run('readwrite', (keys) => keys.delete(line)).catch(() => {});
}

/**
 * Drops the keys of all requests but the ones to keep. A young key stays: its request
 * may still be on its way.
 */
export async function prune(keep: Iterable<string>): Promise<void> {
  const stay = new Set(keep);
  const young = Date.now() - 30 * 60e3;
  for (const k of await everything().catch(() => [])) {
    if (!stay.has(k.request) && !stay.has(k.line) && k.made < young) await drop(k.line);
  }
}
