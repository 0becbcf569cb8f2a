// A broker that is not there: typed answers for pages in every state. Stories run
// against the real one; these tests look at states that are hard to reach there.
import type { Page } from '@playwright/test';
import type * as T from '../src/lib/types';

export const now = Date.now();
export const at = (minutes: number) => new Date(now + minutes * 60e3).toISOString();

/** The same by the clock as it stands, for what must not be over when many tests came before. */
export const soon = (minutes: number) => new Date(Date.now() + minutes * 60e3).toISOString();

export const people = {
  brandt: { iss: 'https://idp.meridian.example', sub: 'u-1', email: 'j.brandt@meridian.example', name: 'Jana Brandt' },
  ortega: { iss: 'https://idp.meridian.example', sub: 'u-2', email: 'l.ortega@meridian.example', name: 'Luis Ortega' },
  okafor: { iss: 'https://login.northfield.example', sub: 'h-1', email: 'm.okafor@northfield.example', name: 'Maya Okafor' },
  rossi: { iss: 'https://login.northfield.example', sub: 'h-2', email: 'e.rossi@northfield.example', name: 'Dr Elena Rossi' },
  adeyemi: { iss: 'https://login.northfield.example', sub: 'h-3', email: 's.adeyemi@northfield.example', name: 'Sam Adeyemi' },
} satisfies Record<string, T.Person>;

export function me(role: T.Role): T.Me {
  const person = role === 'engineer' ? people.brandt : role === 'approver' ? people.okafor : people.adeyemi;
  return {
    token: '', expires: at(400), person, roles: [role], side: role === 'engineer' ? 'vendor' : 'hospital',
    sites: role === 'engineer' ? ['*'] : ['NGH'], ssh: { address: 'broker.example:2222', host_key: 'ssh-ed25519 AAAA', host_key_ec: '' },
  };
}

export function asset(over: Partial<T.Asset> = {}): T.Asset {
  return {
    target: `${over.site ?? 'NGH'}/${over.name ?? 'NGH-PETCT1'}`, name: 'NGH-PETCT1', site: 'NGH', label: 'Helion 64', modality: 'PT/CT', online: true, needed: 1, longest_seconds: 8 * 3600, critical_seconds: 0, consent: 'none', console_keys: 'none', window_seconds: 86400,
    zone: 'Europe/London', channels: ['exec', 'files-in', 'files-out', 'shell'], accept: { engineer: ['cli', 'web'], approver: ['console', 'web'] },
    services: [{ name: 'recon-ssh', endpoint: 'recon', protocol: 'ssh', port: 22, class: 'non-disruptive' }], quorum: [], agent: 'SHA256:' + 'A'.repeat(43),
    typical_seconds: 420, decided: 12, live: [], standing: standing(), ...over,
  };
}

/** How a scanner stands: idle, as its operator said. */
export function standing(over: Partial<T.Standing> = {}): T.Standing {
  return {
    interlock: 'on', state: 'idle', last: '', why: '', source: 'operator', detail: 'set by T. Reyes', shut: '', at: at(-4), until: at(56), since: at(-4),
    works: { observe: ['in-service', 'down', 'idle'], 'non-disruptive': ['in-service', 'down', 'idle'], disruptive: ['in-service'] }, ...over,
  };
}
/** A scanner of which nothing knows about patients. */
export const none = standing({ interlock: 'none', state: 'unknown', source: '', detail: '', at: null, until: null, since: null });

/** A scanner's full name, as the broker writes it. */
const scanner = (over: { site?: string; asset?: string }) => `${over.site ?? 'NGH'}/${over.asset ?? 'NGH-PETCT1'}`;

export function request(over: Partial<T.Request> = {}): T.Request {
  return {
    target: `${scanner(over)}/${(over.services ?? ['recon-ssh']).join(',')}`, id: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR', kind: 'session', status: 'pending', site: 'NGH', asset: 'NGH-PETCT1', services: ['recon-ssh'], class: 'non-disruptive',
    channels: ['files-out', 'shell'], not_before: at(-3), not_after: at(237), max_seconds: 1800, engineer: people.brandt, engineer_class: 'web',
    reason: 'Detector block 57 drifts; look at the event log and the temperatures.', work_order: 'WO-2026-11873', created: at(-3), approvals: 0, needed: 1,
    missing: ['scanner-approvers'], halves: [], approved: [], grant: null, ...over,
  };
}

export function session(over: Partial<T.Session> = {}): T.Session {
  return {
    target: `${scanner(over)}/${over.service ?? 'recon-ssh'}`, id: 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR', request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR', state: 'live', reason: null, site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', protocol: 'ssh',
    engineer: 'j.brandt@meridian.example', work_order: 'WO-2026-11873', opened: at(-8), deadline: at(22), ended: null,
    recordings: ['V-7H2K9M4QXW3EVN5TBJ6CPA8DFR'], frozen: [], keys: 1, critical: null, consent: null, no_device: null, certificates: [], ...over,
  };
}

export function recording(over: Partial<T.Recording> = {}): T.Recording {
  return {
    target: `${scanner(over)}/${over.service ?? 'recon-ssh'}`, id: 'V-7H2K9M4QXW3EVN5TBJ6CPA8DFR', session: 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR', request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR', state: 'sealed', reason: 'completed',
    site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', protocol: 'ssh', engineer: 'j.brandt@meridian.example', engineer_name: 'Jana Brandt', work_order: 'WO-2026-11873', started: at(-90), ended: at(-68),
    bytes: 48213, readable: true, digest: { seconds: 1320, lines: 214, files_in: 0, files_out: 1, refused: 0, warnings: 1, freezes: 1 }, verdict: null, stuck: null, reviews: [], ...over,
  };
}

export const context: T.Context = {
  agent: 'SHA256:' + 'A'.repeat(43), zone: 'Europe/London', sessions: 4, since: at(-60 * 24 * 160), unreviewed: 0, denied: 0, typical_seconds: 420, decided: 12,
  recent: [{ session: 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR', request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR', opened: at(-60 * 24 * 9), ended: at(-60 * 24 * 9 + 22), reason: 'Gain calibration after the detector change', work_order: 'WO-2026-11611', recordings: ['V-7H2K9M4QXW3EVN5TBJ6CPA8DFR'], reviewed: true }],
};

export const options: T.AuthOptions = {
  demo: true,
  personas: [
    { key: 'engineer', name: 'Jana Brandt', email: people.brandt.email, title: 'Field service engineer, Meridian Imaging Service', role: 'engineer' },
    { key: 'engineer2', name: 'Luis Ortega', email: people.ortega.email, title: 'Remote service engineer, Meridian Imaging Service', role: 'engineer' },
    { key: 'approver', name: 'Maya Okafor', email: people.okafor.email, title: 'IT on call, Northfield General', role: 'approver' },
    { key: 'approver2', name: 'Dr Elena Rossi', email: people.rossi.email, title: 'Modality manager, Northfield General', role: 'approver' },
    { key: 'auditor', name: 'Sam Adeyemi', email: people.adeyemi.email, title: 'Auditor, Northfield General', role: 'auditor' },
  ],
};

/** A problem as the broker sends it. */
export const problem = (status: number, message: string, next: string, kind = 'refused') => ({ status, body: { status, title: message, detail: next, kind, message, next } });

/** An answer: a body, a problem, a promise that never ends ("hang"), or a function of the call. */
type Answer = unknown | 'hang' | ((url: URL, method: string, body: unknown) => unknown);

/**
 * Answers /api/v1 and /auth for a page. Keys are "GET /requests" or "POST /auth/login";
 * the path may end in * to fit anything. What is not named is answered 404.
 */
export async function mock(page: Page, who: T.Role | null, answers: Record<string, Answer> = {}): Promise<void> {
  const all: Record<string, Answer> = {
    'GET /me': who ? me(who) : problem(401, 'You are not signed in.', 'Sign in.', 'denied'),
    'GET /auth/options': options,
    ...answers,
  };
  await liveLine(page);
  await page.route(/\/(api\/v1|auth)\//, async (route) => {
    const url = new URL(route.request().url());
    const path = url.pathname.replace(/^\/api\/v1/, '');
    const key = `${route.request().method()} ${path}`;
    const name = Object.keys(all).find((k) => k === key || (k.endsWith('*') && key.startsWith(k.slice(0, -1))));
    let a: unknown = name === undefined ? problem(404, 'There is nothing here.', 'Check the address.') : all[name];
    if (a === 'hang') return;
    if (typeof a === 'function') a = await (a as (u: URL, m: string, b: unknown) => unknown)(url, route.request().method(), route.request().postDataJSON?.() ?? null);
    const p = a as { status?: number; body?: { kind?: string } };
    if (p && typeof p.status === 'number' && p.body?.kind !== undefined) {
      await route.fulfill({ status: p.status, contentType: 'application/problem+json', body: JSON.stringify(p.body) });
      return;
    }
    await route.fulfill(a === undefined || a === null ? { status: 204 } : { status: 200, contentType: 'application/json', body: JSON.stringify(a) });
  });
}

/** The line of changes: it says hello and stays up. happen() raises a change on it. */
async function liveLine(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const open: Fake[] = [];
    class Fake extends EventTarget {
      static readonly CLOSED = 2;
      readyState = 1;
      constructor() {
        super();
        open.push(this);
        setTimeout(() => this.dispatchEvent(new MessageEvent('hello', { data: '{}' })));
      }
      close() {
        this.readyState = 2;
        open.splice(open.indexOf(this), 1);
      }
    }
    Object.assign(globalThis, {
      EventSource: Fake,
      happen: (data: string) => open.forEach((s) => s.dispatchEvent(new MessageEvent('change', { data }))),
    });
  });
}
/** Tells the page that something changed. */
export async function happen(page: Page, kind: T.Change['kind'], id = 'x'): Promise<void> {
  await page.evaluate((data) => (globalThis as unknown as { happen: (d: string) => void }).happen(data), JSON.stringify({ kind, id }));
}
