// Entries of the broker's audit log as sentences. An entry names people by identity
// only; their names come from what else the reader may see.
import { certificateWords, endWords, host, shownText } from './words';
import type { Person } from './types';

export interface Who {
  iss: string;
  sub: string;
}
/** recordings/witness.Event */
export interface Entry {
  seq: number;
  time: string;
  event: string;
  site: string;
  who?: Who;
  of?: Who;
  request: string;
  session: string;
  recording: string;
  details: Record<string, string>;
}
/** Words, or words that lead somewhere. */
export type Piece = string | { text: string; to: string } | { person: Who };

const text = (v: unknown) => (typeof v === 'string' ? v : '');
const who = (v: unknown): Who | undefined => {
  const w = v as Partial<Who> | null;
  return w && typeof w === 'object' && typeof w.iss === 'string' && typeof w.sub === 'string' ? { iss: w.iss, sub: w.sub } : undefined;
};

/** The text of an entry, as the log hashes it. */
export function entryText(entry: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(entry), (c) => c.charCodeAt(0)));
  } catch {
    return '';
  }
}

/** Reads an entry; undefined where it is none. */
export function readEntry(index: number, entry: string): Entry | undefined {
  try {
    const e = JSON.parse(entryText(entry)) as Record<string, unknown>;
    if (e.v !== 1 || e.seq !== index || typeof e.event !== 'string' || Number.isNaN(Date.parse(text(e.time)))) return undefined;
    const details: Record<string, string> = {};
    for (const [k, v] of Object.entries((e.details as object | undefined) ?? {})) details[k] = text(v);
    const [w, o] = [who(e.who), who(e.of)];
    return {
      seq: index, time: text(e.time), event: e.event, site: text(e.site), ...(w ? { who: w } : {}), ...(o ? { of: o } : {}),
      request: text(e.request), session: text(e.session), recording: text(e.recording), details,
    };
  } catch {
    return undefined;
  }
}

export const kinds: { name: string; events: string[] }[] = [
  { name: 'Requests and decisions', events: ['request', 'approval', 'denial', 'withdrawal', 'grant-admitted', 'activation', 'proposal', 'revocation'] },
  { name: 'Sessions', events: ['session-opened', 'session-ended', 'consent', 'console-certificate', 'critical-section', 'kill', 'freeze', 'thaw'] },
  { name: 'Recordings', events: ['recording-sealed', 'recording-fetched', 'recording-viewed', 'recording-reviewed', 'review'] },
  { name: 'People', events: ['login', 'login-refused', 'logout', 'engineer-disabled', 'engineer-enabled', 'passkey-registered', 'passkey-revoked'] },
  { name: 'The broker itself', events: ['join-token', 'agent-enrolled', 'agent-revoked', 'configuration', 'broker-started'] },
];

const id = (path: string, v: string): Piece => (v ? { text: v, to: `/${path}/${encodeURIComponent(v)}` } : 'something');

/** What happened, in a sentence. */
export function sentence(e: Entry): Piece[] {
  const by: Piece = e.who ? { person: e.who } : 'Somebody';
  const of: Piece = e.of ? { person: e.of } : 'an engineer';
  const d = (k: string) => shownText(e.details[k] ?? '', 300);
  const r = id('requests', e.request);
  const s = id('sessions', e.session);
  const v = id('recordings', e.recording);
  const asset = d('asset');
  const on = asset ? ` on ${asset}` : '';
  const at = e.site ? ` at ${shownText(e.site, 64)}` : '';
  const why = d('reason') ? `: “${d('reason')}”` : '';
  switch (e.event) {
    case 'login':
      return [by, ' signed in', d('client') ? ` with ${d('client')}` : ''];
    case 'login-refused':
      return [
        Number(d('count')) > 1 ? `${d('count')} sign-ins were refused` : 'A sign-in was refused',
        d('issuer') ? ` from ${shownText(host(e.details.issuer ?? ''))}` : '',
        d('account') ? ` as ${shownText(e.details.account ?? '', 64)}` : '',
        d('network') ? ` over ${d('network') === 'others' ? 'other networks' : d('network')}` : '',
        Number(d('count')) > 1 ? `, from ${d('first')} to ${d('last')}` : '',
        d('why') ? `: ${d('why')}` : '',
      ];
    case 'logout':
      return [by, ' signed out'];
    case 'request':
      return [by, ` asked for ${d('services') || 'access'}${on}, `, r];
    case 'approval':
      return [by, ' approved ', r, asset ? ` for ${asset}` : '', d('needed') && d('needed') !== '1' ? `, ${d('approvals')} of ${d('needed')}` : ''];
    case 'grant-admitted':
      return ["The hospital's agent admitted ", of, on, ', ', r, d('told-by') ? `, told by ${d('told-by')}` : ''];
    case 'denial':
      return [by, ' declined ', r, asset ? ` for ${asset}` : ''];
    case 'withdrawal':
      return [by, ' took back ', r];
    case 'activation':
      return [by, ' added a key to ', r];
    case 'proposal':
      return [by, ' proposed another window for ', r];
    case 'revocation':
      return [by, ' took the approval of ', r, ' back'];
    case 'session-opened':
      return [of, ` connected to ${d('service') || 'a service'}${on}, `, s];
    case 'session-ended':
      return [endWords(e.details.reason ?? null) || 'Ended', ': ', s, on];
    case 'console-certificate':
      return [
        `The console ${d('service')}${on} showed ${certificateWords(e.details.known ?? '')}, `, s,
        d('old-tls') ? `, over TLS of the past (${d('old-tls')})` : '', `: sha256:${d('sha256')}`,
      ];
    case 'critical-section':
      return [{ began: 'A critical section began in ', alarm: 'A patient may be at the scanner in the critical section of ', 'alarm-over': 'The alarm is over in the critical section of ', over: 'The critical section is over in ' }[d('what')] ?? 'A critical section changed in ', s, on, d('why') ? `: ${d('why')}` : ''];
    case 'consent': {
      const what = e.details.what ?? '';
      const how = { page: "on the agent's page", command: 'by command at the agent', code: 'by the code that they read out' }[e.details.how ?? ''];
      const by = d('by') ? ` (${d('by')}${how ? `, ${how}` : ''})` : '';
      const words: Record<string, string> = {
        asked: `The operator${on} was asked to let `, given: `The operator${on} let `, refused: `The operator${on} refused `, 'timed-out': `The operator${on} did not answer about `,
        'wrong-codes': `A third wrong code ended the asking${on} about `, 'wrong-code': `A wrong code was typed${on} for `, gone: `The engineer went before the operator${on} answered about `,
      };
      return [words[what] ?? `The operator${on} was asked about `, s, what === 'asked' ? ' open' : what === 'given' ? ` open${by}` : what === 'refused' ? by : what === 'wrong-code' && d('wrong') !== '1' ? `, ${d('wrong')} in all` : ''];
    }
    case 'kill':
      return [by, ' ended ', s, on];
    case 'freeze':
      return [by, ' froze ', s, on];
    case 'thaw':
      return [by, ' let ', s, ' go on', on];
    case 'recording-sealed':
      return [e.details.state === 'torn' ? 'A recording broke off and was sealed as it is, ' : 'A recording was sealed, ', v, on];
    case 'recording-fetched':
      return [by, ' took a copy of ', v, why];
    case 'recording-viewed':
      return [by, e.details.input === 'true' ? ' looked at what was typed in ' : ' looked at ', v, why];
    case 'recording-reviewed':
    case 'review':
      return [by, ' reviewed ', v, d('attestation') ? `: ${d('attestation')}` : ''];
    case 'passkey-registered':
      return [by, ` registered the passkey ${d('passkey')} on the page of the agent ${d('agent')}`, at];
    case 'passkey-revoked':
      return [`The passkey ${d('passkey')} of `, e.of ? of : 'somebody', ` was revoked at the agent ${d('agent')}`, at];
    case 'join-token':
      return ['A join token for an agent was made', at];
    case 'agent-enrolled':
      return [`The agent ${d('agent')} joined`, at];
    case 'agent-revoked':
      return [`The agent ${d('agent')} was revoked`, at];
    case 'configuration':
      return [`The agent ${d('agent')} ${d('what') === 'first' ? 'told' : 'changed'} what it offers`, at, d('assets') ? `: ${d('assets')}` : ''];
    case 'broker-started':
      return [`The broker started${d('node') ? ` on ${d('node')}` : ''}${d('version') ? `, version ${d('version')}` : ''}`];
    case 'engineer-disabled':
      return [by, ' shut ', of, ' out', at];
    case 'engineer-enabled':
      return [by, ' let ', of, ' in again', at];
    default:
      return [`Event “${shownText(e.event, 60)}”`, e.who ? ' by ' : '', e.who ? by : '', e.request ? ', ' : '', e.request ? r : ''];
  }
}

/** Names for identities, as far as the reader's other answers hold them. */
export function nameOf(w: Who, known: Map<string, Person>): string {
  const p = known.get(w.iss + '\n' + w.sub);
  return shownText(p?.name || p?.email || `${w.sub} at ${host(w.iss)}`, 80);
}

/** A signed checkpoint, read for display: nothing is verified here. */
export function readCheckpoint(note: string): { origin: string; size: number; root: string; signers: string[] } | undefined {
  const [head, tail = ''] = entryText(note).split('\n\n');
  const lines = head?.split('\n') ?? [];
  const size = Number(lines[1]);
  if (lines.length < 3 || !Number.isSafeInteger(size) || size < 0) return undefined;
  return {
    origin: shownText(lines[0]!, 255), size, root: shownText(lines[2]!, 64),
    signers: tail.split('\n').filter((l) => l.startsWith('— ')).map((l) => shownText(l.split(' ')[1] ?? '', 80)),
  };
}
