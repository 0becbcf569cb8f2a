// What the browser and the broker say to each other. Times are RFC 3339 UTC or null;
// bytes are standard base64. The broker's openapi.json is the full description;
// src/lib/agree.ts makes the type checker compare the two.

export interface Person {
  iss: string;
  sub: string;
  email: string;
  name: string;
}
export type Role = 'engineer' | 'approver' | 'auditor';
export type ClientClass = 'cli' | 'console' | 'web';
export type ServiceClass = 'observe' | 'non-disruptive' | 'disruptive';
/** What services speak, and this page with them: see protocols.ts. */
export type Protocol = 'ssh' | 'vnc' | 'rdp';
export type Channel = 'shell' | 'exec' | 'files-in' | 'files-out' | 'clipboard-in' | 'clipboard-out' | 'control';

/** Every error: application/problem+json. */
export interface Problem {
  status: number;
  kind: string;
  message: string;
  next: string;
}

/** GET /auth/options, for anybody. */
export interface AuthOptions {
  demo: boolean; // nothing survives, personas may be picked
  personas: Persona[]; // empty unless demo
}
export interface Persona {
  key: string; // engineer, engineer2, approver, approver2, auditor
  name: string;
  email: string;
  title: string; // "Field service engineer, Meridian Imaging Service"
  role: Role;
}

/** GET /api/v1/me */
export interface Me {
  token: string; // always empty here
  expires: string;
  person: Person;
  roles: Role[];
  side: 'vendor' | 'hospital';
  sites: string[]; // may hold "*" for a vendor
  ssh: { address: string; host_key: string; host_key_ec: string };
}
/** GET /api/v1/logins: where this person is signed in. */
export interface LoginEntry {
  id: string;
  client: 'web' | 'cli';
  agent: string; // browser and system in words, "" for the command line
  created: string;
  seen: string;
  current: boolean;
}

/** POST /auth/proofs: what a nonce-bound round trip is for. */
export interface ProofStart {
  role: 'request' | 'activate' | 'approve' | 'watch';
  id?: string; // R-..., for activate and approve; S-..., for watch
  document?: string; // exact bytes of the request or the grant
  key?: string; // key line, for activate
  salt: string; // 32 bytes
  nonce: string; // 43 characters base64url
  popup: boolean; // the round trip runs in a window of its own
  silent?: boolean; // of watch: nobody is asked anything
}
/** GET /auth/outcomes/{flow} */
export interface Outcome {
  ok: boolean;
  role: 'login' | 'request' | 'activate' | 'approve' | 'watch';
  request: string; // R-..., of watch S-..., "" where there is none
  admitted: boolean; // an approval that completed the quorum
  popup: boolean;
  return: string; // local path to go on to
  problem: Problem | null;
  until?: string; // when a leave to watch is over
}

export interface Service {
  name: string;
  endpoint: string; // of the device it is on: recon
  protocol: Protocol;
  port: number;
  class: ServiceClass;
  legacy_tls?: boolean; // the agent may speak TLS of the past to it
}
export interface Quorum {
  group: string;
  count: number;
}
/** GET /api/v1/assets */
export interface Asset {
  target: string; // SITE/ASSET
  name: string; // NGH-PETCT1
  site: string; // NGH
  label: string; // Helion 64
  modality: string; // PT/CT
  online: boolean;
  needed: number; // approvals
  longest_seconds: number;
  critical_seconds: number; // of critical sections in one session; 0: none
  consent: 'none' | 'operator' | 'code'; // what the operator is asked before a session opens
  console_keys: 'none' | 'instead' | 'both'; // what passkeys of the agent's own page count for
  window_seconds: number;
  zone: string; // Europe/Berlin
  channels: Channel[];
  accept: { engineer: ClientClass[]; approver: ClientClass[] };
  services: Service[];
  quorum: Quorum[];
  agent: string; // fingerprint of the agent's identity key, for the grant
  typical_seconds: number; // median time to a decision here; 0: not known
  decided: number; // decisions behind it
  live: string[]; // sessions S-... that are on it now
  standing: Standing;
}

/** What a scanner does for its patients. */
export type ModalityState = 'idle' | 'patient-on-table' | 'scanning' | 'in-service' | 'down' | 'unknown';
/** How a scanner stands, as its agent says. For show: the agent alone goes by it. */
export interface Standing {
  interlock: 'on' | 'none' | 'unknown'; // none: nothing is stopped for patients there
  state: ModalityState;
  last: ModalityState | ''; // what the agent said last, where that does not count any more
  why: string; // why it does not
  source: string; // whose word that is: operator
  detail: string;
  shut: string; // why nothing opens, not even to look on
  at: string | null; // when it was said
  until: string | null; // when it stops to hold
  since: string | null;
  works: Record<ServiceClass, ModalityState[]>; // where each class works; else it looks on
}

export type RequestStatus = 'pending' | 'approved' | 'denied' | 'withdrawn' | 'lapsed' | 'revoked' | 'closed';
export interface Approved {
  by: Person;
  class: ClientClass;
  at: string; // received by the agent
  page?: boolean; // on the agent's own page, in the hospital
  passkey?: string; // K-..., where one was used, as the agent says
  signed?: boolean; // they signed in beside the passkey
}
/** GET /api/v1/requests, /requests/{id} */
export interface Request {
  target: string; // SITE/ASSET/SERVICE, several services with commas
  id: string;
  kind: 'session' | 'extension';
  status: RequestStatus;
  site: string;
  asset: string;
  services: string[];
  class: ServiceClass;
  channels: Channel[];
  not_before: string;
  not_after: string;
  max_seconds: number;
  engineer: Person;
  engineer_class: ClientClass | '';
  reason: string;
  work_order: string;
  created: string;
  approvals: number;
  needed: number;
  missing: string[]; // groups that still have to approve
  halves: { by: Person; lacks: 'passkey' | 'sign-in' }[]; // approvals that lack one of two proofs
  approved: Approved[];
  grant: string | null; // S-..., once granted
  extends?: string; // S-...
  denied_by?: string;
  deny_reason?: string;
  revoked_by?: string;
  revoke_reason?: string;
  proposal?: { from: string; until: string; reason?: string; by: string; at: string };
  unwritten?: Unwritten[]; // of one request that was asked for
}
/** POST /api/v1/requests/deny: what became of a denial of many. */
export interface Denied {
  requests: string[]; // that were denied
  left: number; // that wait still
}
/** Somebody who got no mail about a request, and why. */
export interface Unwritten {
  to: string; // '' where there is no address, or it is not the reader's to know
  who: string; // approvers or engineer
  why: string;
  at: string;
}
/** GET /api/v1/requests/{id}/documents */
export interface Documents {
  request: string;
  token: string;
  salt: string;
  received: string;
  grant?: string;
  approvals: { token: string; salt: string; passkey?: string; received: string }[]; // a token, what a passkey said (JSON in base64), or both
}
/** GET /api/v1/requests/{id}/context: what a decision should know. */
export interface Context {
  agent: string; // fingerprint for the grant
  zone: string;
  sessions: number; // of this engineer on this asset before
  since: string | null; // the first of them
  unreviewed: number;
  recent: PastSession[]; // newest first, at most 5
  denied: number; // earlier requests of this engineer for this asset that were denied
  typical_seconds: number;
  decided: number;
}
export interface PastSession {
  session: string;
  request: string;
  opened: string;
  ended: string | null;
  reason: string;
  work_order: string;
  recordings: string[];
  reviewed: boolean;
}
/** GET /api/v1/access/{site}/{asset}/{service}: may I connect now, and if not, what is missing? */
export interface Access {
  site: string; // with asset and service: what was asked about
  asset: string;
  service: string;
  ready: boolean;
  pending: boolean;
  kind?: string;
  message?: string;
  next?: string;
  request?: string;
  session?: string;
}

/** awaiting-consent: the operator is asked before it begins; unopened: they were asked, and it has not begun. */
export type SessionState = 'awaiting-consent' | 'unopened' | 'live' | 'frozen' | 'ended';
/** GET /api/v1/sessions */
export interface Session {
  target: string; // SITE/ASSET/SERVICE
  id: string;
  request: string;
  state: SessionState;
  reason: string | null; // why it ended
  site: string;
  asset: string;
  service: string;
  protocol: Protocol | ''; // '' where its agent did not say
  engineer: string;
  work_order: string;
  opened: string | null;
  deadline: string | null;
  ended: string | null;
  recordings: string[];
  frozen: string[]; // causes: broker, local, interlock
  keys: number;
  critical: Critical | null; // null while no critical section is on
  consent: Consent | null; // null where the operator was asked nothing
  no_device: NoDevice | null; // null while the device that was dialled last answered
  certificates: Certificate[]; // how its consoles proved who they are, one of a service
}
/** How a console proved to the agent who it is, as that says. */
export interface Certificate {
  service: string;
  sha256: string;
  known: 'pinned' | 'held' | 'first' | 'refused';
  old_tls?: string; // what of its TLS is of the past
}
/** While firmware is written the scanner's state raises an alarm in place of a freeze. */
export interface Critical {
  began: string;
  until: string;
  why: string;
  alarm: boolean;
}
/** What the operator at the scanner was asked last before the session opens, and what came of it. */
export interface Consent {
  kind: 'operator' | 'code';
  service: string;
  since: string;
  until: string;
  wrong: number; // codes that were typed
  outcome: '' | 'given' | 'refused' | 'timed-out' | 'wrong-codes' | 'gone';
  by: string;
  how: '' | 'page' | 'command' | 'code';
  at: string | null;
}
/** Why the agent got no connection to a device, in its words. */
export interface NoDevice {
  service: string;
  at: string;
  message: string;
  next: string;
}

export interface Review {
  by: string;
  at: string;
  attestation: 'as-agreed' | 'concern';
  comment: string;
}
/** What the broker checked itself; the hospital can check again without it. */
export interface Verdict {
  at: string;
  verdict: 'intact' | 'torn' | 'tampered' | 'unreadable' | 'open';
  signer: 'known' | 'unknown';
  segments: number;
  countersigned: boolean;
  logged: boolean; // its seal is in the audit log
  message: string; // one sentence
}
export interface Digest {
  seconds: number;
  lines: number;
  files_in: number;
  files_out: number;
  refused: number;
  warnings: number;
  freezes: number;
  stood?: { state: ModalityState | ''; seconds: number }[]; // how long the scanner was in each state; none: no interlock
}
/** GET /api/v1/recordings */
export interface Recording {
  target: string; // SITE/ASSET/SERVICE
  id: string;
  session: string;
  request: string;
  state: 'live' | 'sealed' | 'torn';
  reason: string; // why the session ended, "" while it lives or where it is not known
  site: string;
  asset: string;
  service: string;
  protocol: Protocol | ''; // '' where its agent did not say
  engineer: string; // their address
  engineer_name: string;
  work_order: string;
  started: string;
  ended: string | null;
  bytes: number;
  readable: boolean; // the broker may show it
  digest: Digest | null; // null until it is sealed, or where the broker may not read it
  verdict: Verdict | null; // null: not checked yet
  stuck: Stuck | null; // null while all that came could be stored
  reviews: Review[];
}
/** What of a recording is refused again and again; the words are its agent's. */
export interface Stuck {
  part: string; // the first
  parts: number;
  since: string;
  message: string;
  next: string;
}
export interface Marker {
  at: number; // microseconds from the start
  kind: 'file-in' | 'file-out' | 'refused' | 'warning' | 'freeze' | 'thaw' | 'modality' | 'shell' | 'exec' | 'note' | 'end';
  text: string;
}
/** GET /api/v1/recordings/{id}/replay: how long it is, and what was found as far as it was read. */
export interface Replay {
  recording: string;
  duration: number; // microseconds
  started: string;
  zone: string;
  parts: number;
  read: number; // microseconds, up to which channels, markers and activity are known
  whole: boolean; // all that is there was read
  channels: { stream: number; kind: string; text: string; terminal: boolean; at: number; end: number }[]; // shells, commands and consoles; end -1: not closed
  markers: Marker[];
  states: { at: number; is: ModalityState | '' }[]; // how the scanner stood, each until the next; '': not told any further
  activity: number[]; // bytes shown in each of at most 600 equal parts of what was read
  inputs: number[]; // how often something was typed or pointed at, in each of them
}
/** GET /api/v1/recordings/{id}/replay/{n}; …/replay/at/{microseconds}: the one at which one begins to show a moment. */
export interface ReplayPart {
  n: number;
  from: number;
  to: number; // when the next part begins
  complete: boolean; // nothing else stood when it began
  screens: { stream: number; cols: number; rows: number; draw: string }[]; // what stood, in base64
  consoles: { stream: number; draw: string }[]; // the same of consoles, see tiles.ts
  /** [microseconds, stream, kind, data]: "o" output as base64, "r" resize as "80x24", "c" a new screen (channel opened); "w" size, "t" tiles, "k" cursor of a console as base64. */
  events: [number, number, Kind, string][];
}
export type Kind = 'o' | 'r' | 'c' | 'w' | 't' | 'k';
export interface TranscriptLine {
  at: number; // microseconds
  stream: number;
  text: string; // plain text, no control characters
  screen?: boolean; // a row of a screen that was drawn on, as it stood
  cut?: boolean; // says that something is left out here
}
/** A stretch of a transcript. */
export interface Transcript {
  lines: TranscriptLine[];
  read: number; // up to when, in microseconds
  next: number; // the part at which to read on
  whole: boolean; // nothing follows
}

/** One entry of GET /api/v1/audit/events, as the log holds it. */
export interface AuditEvents {
  size: number;
  from: number; // the first entry that was looked at
  next: number;
  events: { index: number; entry: string }[];
  log: string; // whose they are
  left_out?: string[]; // the other nodes' logs, where none was named
}
/** The log of one of the broker's nodes. */
export interface AuditLogState {
  origin: string;
  key: string;
  size: number;
  problem?: string; // why it cannot be read
}
/** An engineer as a site's approvers know them. */
export interface Engineer extends Person {
  site: string;
  disabled: boolean;
  by?: string;
  at: string | null;
  reason?: string;
  waiting: string[];
  asked: string | null;
}

export interface Change {
  kind: 'request' | 'session' | 'recording' | 'asset' | 'engineer';
  id: string;
}
