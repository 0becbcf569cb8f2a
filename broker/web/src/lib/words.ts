// Sentences that several pages speak, and the command line too.
import type { Channel, ClientClass, Consent, Person, Request, ServiceClass, Session } from './types';
import type { DoorsState } from '../ui/Doors.svelte';
import { span } from './time.svelte';
import words from './words.json'; // written by the tests of session/wording

export const className: Record<ServiceClass, string> = words.classes;

/** What a person may do, in the words of the wish: "wants to ...". */
export const channelWords: Record<Channel, string> = words.channels;

/** How a proof was given. */
export const clientWords: Record<ClientClass, string> = {
  cli: 'their own command line',
  console: 'the hospital console',
  web: 'this web page',
};

/** With a capital letter. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function list(parts: string[]): string {
  if (parts.length < 2) return parts[0] ?? '';
  return parts.slice(0, -1).join(', ') + ' and ' + parts.at(-1);
}

export function requestDoors(r: Request): DoorsState {
  switch (r.status) {
    case 'pending':
      return 'requested';
    case 'approved':
      return 'ahead';
    case 'closed':
    case 'revoked':
      return 'ended';
    case 'denied':
    case 'withdrawn':
    case 'lapsed':
      return 'refused';
  }
}

export function sessionDoors(s: Session): DoorsState {
  return s.state === 'live' || s.state === 'frozen' || s.state === 'ended' ? s.state : 'ahead';
}

/** How it stands with the operator's consent, or what came of asking them. */
export function consentWords(c: Consent): string {
  const phrases: Record<string, string> = words.phrases;
  return phrases[c.outcome === '' ? `asked-${c.kind}` : c.outcome === 'given' ? `given-${c.how}` : c.outcome] ?? '';
}

/** Where a request stands, as a sentence. */
export function requestWords(r: Request): string {
  switch (r.status) {
    case 'pending':
      return r.proposal
        ? 'The hospital proposes another window'
        : r.approvals > 0
          ? `${r.approvals} of ${r.needed} approvals given`
          : 'The hospital has not answered yet';
    case 'approved':
      return new Date(r.not_before).getTime() > Date.now() ? 'Approved, the window lies ahead' : 'Approved, ready to start';
    case 'denied':
      return `Declined by ${shownText(r.denied_by ?? '') || 'the hospital'}`;
    case 'withdrawn':
      return 'Taken back by the engineer';
    case 'lapsed':
      return 'Its window passed unused';
    case 'revoked':
      return `Taken back by ${shownText(r.revoked_by ?? '') || 'the hospital'}`;
    case 'closed':
      return 'Its session is over';
  }
}

/** How the certificate that a console showed is known, after "the console showed". */
export function certificateWords(known: string): string {
  return (words.certificates as Record<string, string>)[known] ?? 'a certificate';
}

/** Why a session ended. */
export function endWords(reason: string | null): string {
  return reason ? sentence((words.ended as Record<string, string>)[reason] ?? 'ended') : '';
}

export function freezeWords(causes: string[]): string {
  const by: Record<string, string> = { broker: 'by the hospital', local: 'at the scanner', interlock: 'because the scanner is in use' };
  return 'Frozen ' + list(causes.map((c) => by[c] ?? 'for ' + c));
}

/** The people an account belongs to: "Meridian". By its address, which is of its issuer's own domains, or else by the issuer. */
export function houseOf(p: Person): string {
  const domain = company(p);
  const labels = domain.split('.');
  if (labels.length !== 2) return domain || 'the identity provider';
  return labels[0]!.charAt(0).toUpperCase() + labels[0]!.slice(1);
}

/** How to call somebody: "Jana Brandt", or the address where no name is known. */
export function called(p: Person): string {
  return shownText(p.name) || account(p);
}

/** Who somebody is for their identity provider: the address that it may give, or its own name for them, never without it. */
export function account(p: Person): string {
  return shownText(p.email || (p.sub ? `${p.sub} at ${host(p.iss)}` : ''));
}

export function host(url: string): string {
  try {
    return new URL(url).host || url;
  } catch {
    return url;
  }
}

/** Their firm, as far as it can be known: the domain that vouches for them. Broker and agent let no issuer give an address of another's. */
export function company(p: Person): string {
  const at = p.email.lastIndexOf('@');
  return shownText(at > 0 && at < p.email.length - 1 ? p.email.slice(at + 1) : host(p.iss));
}

/** One approver has to say yes / Two approvers have to say yes, one of them ... */
export function quorumWords(needed: number, quorum: { group: string; count: number }[]): string {
  const of = needed === 1 ? 'One approver of the hospital has to say yes' : `${number(needed)} approvers of the hospital have to say yes, none of them you`;
  if (quorum.length === 0) return of + '.';
  return `${of}: ${list(quorum.map((q) => `${q.count === 1 ? 'one' : number(q.count).toLowerCase()} from ${q.group}`))}.`;
}
function number(n: number): string {
  return ['None', 'One', 'Two', 'Three', 'Four', 'Five', 'Six'][n] ?? String(n);
}

/** How long an answer usually takes; "" where nobody knows. */
export function usualWords(seconds: number, decided: number): string {
  if (seconds <= 0 || decided <= 0) return '';
  const long = seconds < 60 ? 'less than a minute' : 'about ' + span(seconds);
  return `An answer usually takes ${long} here` + (decided < 5 ? `, by only ${decided} so far.` : '.');
}

export function lengthWords(seconds: number): string {
  return 'for up to ' + span(seconds);
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let i = -1;
  do {
    n /= 1000;
    i++;
  } while (n >= 999.5 && i < units.length - 1);
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// Characters that steer a line or that nobody sees: they are shown as a mark that nobody can read.
const hostile = new RegExp(words.hostile + '+', 'gu');
/** Somebody's text on one line, as it can be shown: nothing in it steers the line around it. */
export function shownText(s: string, most = 120): string {
  const t = s.replace(/[\n\r\t]/g, ' ').replace(hostile, '\ufffd');
  return t.length > most ? t.slice(0, most).trimEnd() + '…' : t;
}
