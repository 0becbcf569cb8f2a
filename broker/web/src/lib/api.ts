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

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const r = await call('POST', path, body);
  return r.status === 204 ? (undefined as T) : ((await r.json()) as T);
}

/** A local API path; every part is encoded. */
export function api(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
  return '/api/v1' + String.raw({ raw: strings.raw }, ...parts.map((p) => encodeURIComponent(String(p))));
}
