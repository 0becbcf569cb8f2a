// A request's and a session's story: the stations of the corridor with what vouches
// for each, and what happened when.
import type { DoorsState } from '../ui/Doors.svelte';
import type { Station } from '../ui/Corridor.svelte';
import { hour, moment } from './time.svelte';
import type { ClientClass, Recording, Request, Session } from './types';
import { stillNeeded } from './deciding';
import { called, clientWords, consentWords, endWords, houseOf, list, shownText } from './words';

/** How far a proof reaches, by the kind of program it was given in. */
const reach: Record<ClientClass, string> = {
  cli: 'It was given in their own command line: no page of the broker stood between.',
  console: 'It was given at the hospital console: nothing from the broker was trusted to show what was approved.',
  web: 'It was given on this web application: the broker was trusted to show the truth.',
};
const short: Record<ClientClass, string> = { cli: 'command line', console: 'console', web: 'web page' };

function signed(r: Request, zone: string): Station {
  const by = r.engineer_class;
  return {
    name: `${houseOf(r.engineer)} sign-in`,
    detail: hour(r.created, zone) + (by ? `, ${short[by]}` : ''),
    state: 'done',
    proof: `${called(r.engineer)} signed in at ${r.engineer.iss} for exactly this request; the agent at ${r.site} checked that itself. ${by ? reach[by] : ''}`.trim(),
  };
}

/** Whether an approval lacks one of its two proofs. */
const lacking = (r: Request, by: Request['engineer']) => r.halves.some((h) => h.by.iss === by.iss && h.by.sub === by.sub);

/** By what somebody approved. */
function how(a: Request['approved'][number]): string {
  const signs = `signed in afresh at ${a.by.iss}`;
  if (!a.passkey) return signs;
  const key = `used the passkey ${shownText(a.passkey, 20)} on the agent's own page`;
  return a.signed ? `${signs} and ${key},` : key;
}

function answered(r: Request, zone: string): Station[] {
  const given: Station[] = r.approved.map((a, i) => ({
    name: lacking(r, a.by) ? `Half an approval, ${called(a.by)}` : r.approved.length > 1 ? `Approval ${i + 1}, ${called(a.by)}` : `${houseOf(a.by)} approved`,
    detail: `${hour(a.at, zone)}, ${a.page ? 'hospital’s page' : short[a.class]}`,
    state: lacking(r, a.by) ? 'waiting' : 'done',
    proof: `${called(a.by)} ${how(a)} for exactly this grant; the agent checked it at ${hour(a.at, zone)}. ${reach[a.class]}`,
  }));
  switch (r.status) {
    case 'pending': {
      const rest = Math.max(1, r.needed - r.approvals);
      const from = stillNeeded(r).length ? ` Still needed: ${list(stillNeeded(r))}.` : '';
      return [...given, { name: rest === 1 ? `${r.site} has to answer` : `${rest} approvals to come`, detail: r.needed > 1 ? `${r.approvals} of ${r.needed}` : '', state: 'waiting', proof: `The hospital's approvers have been told. The agent opens nothing before ${r.needed === 1 ? 'one of them has' : `${r.needed} of them have`} signed in for exactly this.${from}` }];
    }
    case 'denied':
      return [...given, { name: `${r.site} declined`, state: 'failed', proof: `${r.denied_by || 'The hospital'} declined${r.deny_reason ? `: ${r.deny_reason}` : '.'}` }];
    case 'revoked':
      return [...given, { name: `${r.site} took it back`, state: 'failed', proof: `${r.revoked_by || 'The hospital'} took the approval back${r.revoke_reason ? `: ${r.revoke_reason}` : '.'}` }];
    case 'withdrawn':
      return [...given, { name: 'Taken back', state: 'failed', proof: 'The engineer took the request back before the hospital answered.' }];
    case 'lapsed':
      return r.grant ? given : [...given, { name: `${r.site} did not answer`, state: 'failed', proof: 'Nobody answered before the window ended. Nothing was opened.' }];
    default:
      return given;
  }
}

function verified(r: Request): Station {
  return r.grant
    ? { name: `Agent ${r.site} verified`, state: 'done', proof: `The hospital's own agent checked both sides' sign-ins with the keys of their identity providers, and wrote it down before it opened anything. It does not take the broker's word.` }
    : { name: `Agent ${r.site}`, state: 'ahead', proof: `The hospital's own agent opens only what it has verified itself: the engineer's sign-in, the approvers', and that nothing was widened.` };
}

/** The stations from engineer to device; recordings where they are known. */
export function stations(r: Request, zone: string, session?: Session, recordings: Recording[] = []): Station[] {
  return [signed(r, zone), ...answered(r, zone), verified(r), recorded(r, zone, session, recordings)];
}

function recorded(r: Request, zone: string, s: Session | undefined, all: Recording[]): Station {
  if (!s?.opened)
    return { name: 'Recording', detail: 'begins with the session', state: 'ahead', proof: 'Every byte is written down at the hospital before it is passed on. If it cannot be written, the session ends.' };
  const bad = all.find((x) => x.verdict?.verdict === 'tampered');
  if (bad) return { name: 'Recording tampered', state: 'failed', proof: bad.verdict!.message };
  if (s.state !== 'ended') return { name: 'Recorded', detail: 'since ' + hour(s.opened, zone), state: 'done', proof: 'Every byte is written down at the hospital before it is passed on, in both directions. If it cannot be written, the session ends.' };
  if (s.recordings.length === 0) return { name: 'No recording', state: 'ahead', proof: 'Nobody reached the device, so there is nothing to record.' };
  const checked = all.filter((x) => x.verdict?.verdict === 'intact').length;
  const word = checked > 0 && checked === all.length ? 'sealed, checked by the broker' : hour(s.opened, zone) + (s.ended ? ' to ' + hour(s.ended, zone) : '');
  return { name: s.recordings.length === 1 ? 'Recorded' : `${s.recordings.length} recordings`, detail: word, state: 'done', proof: `The agent signed ${r.site}'s recordings as they grew and sealed them at the end. Anybody can verify them offline with: sallyport verify` };
}

export function storyDoors(base: DoorsState, s?: Session): DoorsState {
  if (s?.state === 'live' && s.opened) return 'live';
  if (s?.state === 'frozen') return 'frozen';
  return base;
}

export interface Happened {
  at: string;
  text: string;
  reason?: string;
}

/** What happened so far, oldest first. */
export function happened(r: Request, s?: Session): Happened[] {
  const all: Happened[] = [{ at: r.created, text: `${called(r.engineer)} asked${r.engineer_class ? `, by ${clientWords[r.engineer_class]}` : ''}` }];
  for (const a of r.approved) all.push({ at: a.at, text: `${called(a.by)} approved, ${a.page ? 'on the hospital’s own page, at its agent' : `by ${clientWords[a.class]}`}${a.passkey ? `, ${a.signed ? 'signed in and ' : ''}by the passkey ${a.passkey}` : ''}` });
  if (r.proposal) all.push({ at: r.proposal.at, text: `${r.proposal.by || 'The hospital'} proposed another window`, ...(r.proposal.reason ? { reason: r.proposal.reason } : {}) });
  if (s?.consent) all.push({ at: s.consent.since, text: 'The operator at the scanner was asked' });
  if (s?.consent?.outcome && s.consent.at) all.push({ at: s.consent.at, text: consentWords(s.consent).replace(/\.$/, '') });
  if (s?.opened) all.push({ at: s.opened, text: `The session began on ${s.service}` });
  if (s?.ended) all.push({ at: s.ended, text: endWords(s.reason) || 'The session ended' });
  return all.sort((a, b) => a.at.localeCompare(b.at));
}

/** How a request without a time of its own ended. */
export function last(r: Request): string {
  if (r.status === 'denied') return `${r.denied_by || 'The hospital'} declined${r.deny_reason ? `: ${r.deny_reason}` : '.'}`;
  if (r.status === 'revoked') return `${r.revoked_by || 'The hospital'} took the approval back${r.revoke_reason ? `: ${r.revoke_reason}` : '.'}`;
  if (r.status === 'withdrawn') return 'Its engineer took it back.';
  if (r.status === 'lapsed') return r.grant ? 'Nobody connected before the window ended.' : 'The hospital did not answer before the window ended.';
  return '';
}

/** "between 22 Nov, 18:30 and 21:00, Berlin time" */
export function windowWords(from: string, until: string, zone: string, now: number): string {
  const f = moment(from, zone, now);
  const u = moment(until, zone, new Date(from).getTime());
  return `${f} to ${u}`;
}
