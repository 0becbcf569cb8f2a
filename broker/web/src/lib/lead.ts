// What an engineer can do about a granted request now.
import { api, get } from './api';
import { readRequest, unbase64 } from './documents';
import { has, linesOf } from './keys';
import type { Access, Documents, Request } from './types';

export interface Lead {
  access: Access | undefined;
  /** A key for it is in this browser. */
  keyed: boolean;
  documents: Documents | undefined;
}

/** Asks what an own, approved request lacks to open here. */
export async function leadOf(r: Request, signal: AbortSignal): Promise<Lead> {
  if (r.status !== 'approved' || r.kind !== 'session' || !r.services[0]) return { access: undefined, keyed: false, documents: undefined };
  const [access, documents] = await Promise.all([
    get<Access>(api`/access/${r.site}/${r.asset}/${r.services[0]}`, signal).catch(() => undefined),
    get<Documents>(api`/requests/${r.id}/documents`, signal).catch(() => undefined),
  ]);
  let keyed = (await linesOf(r.id)).length > 0;
  if (!keyed && documents) {
    try {
      const { key } = readRequest(unbase64(documents.request));
      keyed = key !== '' && (await has(key));
    } catch {
      // the broker's copy cannot be read; the agent's counts
    }
  }
  return { access, keyed, documents };
}

/** ready: open the terminal. prove: a fresh sign-in with a key of this browser first. wait: neither helps now. */
export function step(r: Request, lead: Lead, opened: boolean, now: number): 'ready' | 'prove' | 'wait' {
  if (!lead.documents?.grant || new Date(r.not_before).getTime() > now) return 'wait';
  const here = lead.access?.request === undefined || lead.access.request === r.id;
  if (lead.access?.ready && here) return lead.keyed ? 'ready' : 'prove';
  if (opened) return lead.keyed ? 'ready' : 'prove';
  return lead.access?.kind === 'unreachable' ? 'wait' : 'prove';
}
