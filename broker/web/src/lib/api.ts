// Calls to the broker. An answer is JSON or a Problem in plain words; nothing else
// gets through. The login is a cookie that scripts cannot read.
import type { Problem } from './types';

/** What went wrong, in words for people. */
export class Trouble extends Error {
  readonly status: number;
  readonly kind: string;
  readonly next: string;
  constructor(p: Problem) {
    super(p.message);
    this.status = p.status;
    this.kind = p.kind;
    this.next = p.next;
  }
  /** Signing in again would help. */
  get signedOut(): boolean {
    return this.status === 401;
  }
  get missing(): boolean {
    return this.status === 404;
  }
}

const offline: Problem = {
  status: 0,
  kind: 'unreachable',
  message: 'The broker did not answer.',
  next: 'Sessions that are open go on at the hospital. This page tries again by itself.',
};

async function troubleOf(r: Response): Promise<Trouble> {
  try {
    const p = (await r.json()) as Partial<Problem>;
    if (typeof p.message === 'string') return new Trouble({ status: r.status, kind: p.kind ?? '', message: p.message, next: p.next ?? '' });
  } catch {
    // said below
  }
  return new Trouble({ status: r.status, kind: 'internal', message: 'The broker answered in a way this page does not understand.', next: 'Reload the page.' });
}

/** Something to say when a login ended under an open page. */
let whenSignedOut: () => void = () => {};
export function onSignedOut(f: () => void): void {
  whenSignedOut = f;
}

async function call(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  let r: Response;
  try {
    r = await fetch(path, {
      method,
      headers: body === undefined ? { Accept: 'application/json' } : { Accept: 'application/json', 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
      ...(signal ? { signal } : {}),
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Trouble(offline);
  }
  if (r.ok) return r;
  const t = await troubleOf(r);
  if (t.signedOut) whenSignedOut();
  throw t;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await call('GET', path, undefined, signal)).json()) as T;
}

/** A list with the mark of its next page. */
export async function getPage<T>(path: string, signal?: AbortSignal): Promise<{ all: T[]; next: string }> {
  const r = await call('GET', path, undefined, signal);
  return { all: (await r.json()) as T[], next: r.headers.get('X-Next') ?? '' };
}

/** The first n of a list, and whether there are more. */
export async function getFirst<T>(path: string, n: number, signal?: AbortSignal): Promise<{ all: T[]; more: boolean }> {
  const all: T[] = [];
  for (let after = ''; ; ) {
    const q = new URLSearchParams({ limit: String(Math.max(1, Math.min(n - all.length, 500))), ...(after ? { after } : {}) });
    const page = await getPage<T>(path + (path.includes('?') ? '&' : '?') + q, signal);
    all.push(...page.all);
    after = page.next;
    if (!after || all.length >= n) return { all, more: after !== '' };
  }
}

/** All of a list that the broker keeps short: what waits, and what is open. */
export async function getAll<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  return (await getFirst<T>(path, Infinity, signal)).all;
}

/** Requests that are not over, and n of all, the newest first. */
export async function getRequests<T extends { id: string }>(n: number, signal?: AbortSignal): Promise<{ all: T[]; more: boolean }> {
  const [pending, approved, newest] = await Promise.all([
    getAll<T>('/api/v1/requests?status=pending', signal),
    getAll<T>('/api/v1/requests?status=approved', signal),
    getFirst<T>('/api/v1/requests', n, signal),
  ]);
  const all = new Map([...newest.all, ...approved, ...pending].map((r) => [r.id, r]));
  return { all: [...all.values()], more: newest.more };
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const r = await call('POST', path, body);
  return r.status === 204 ? (undefined as T) : ((await r.json()) as T);
}

/** A local API path; every part is encoded. */
export function api(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
  return '/api/v1' + String.raw({ raw: strings.raw }, ...parts.map((p) => encodeURIComponent(String(p))));
}
