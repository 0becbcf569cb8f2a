// What the page of a terminal or console knows about its session: where the connection
// stands, how long it goes on, whether it is frozen, who watches, what was said. The page
// shows it.
import { Attach, type AttachEvent, type Masked, type Notice, type Of, type Options, type Role, type Standing, type Ticket, type Welcome, type Words } from './attach';
import { api, get, post, Trouble } from './api';
import { linesOf, sign } from './keys';
import { endWords, list, shownText } from './words';
import type { Access, Session } from './types';

export interface Said {
  id: number;
  text: string;
}

/** What the page does with a session, and says of it. */
export interface Side extends Pick<Options, 'protocols' | 'opening'> {
  hear: (e: AttachEvent) => void;
  words: { frozen: string; thawed: string; again: string; over: string };
}
/** How somebody who does not work here gets in. */
export interface Door {
  role: Role;
  session: string;
  keys: () => Promise<string[]>;
  ticket: () => Promise<Ticket>;
}

export class Work {
  readonly of: Of;
  session = $state('');
  request = $state('');
  standing = $state<Standing>('connecting');
  words = $state.raw<Words>();
  welcome = $state.raw<Welcome | null>(null);
  deadline = $state<string | null>(null); // by this computer's clock
  frozen = $state.raw<string[]>([]);
  exit = $state.raw<{ status: number | null; text: string } | null>(null);
  ended = $state<string | null>(null); // why, in words
  said = $state.raw<Said[]>([]);
  /** What is said to somebody who waits for the operator, and whether a code of theirs is taken; a new one each time. */
  awaits = $state.raw<{ says: string; code: boolean } | null>(null);
  /** Announced politely. */
  spoken = $state('');
  /** Somebody typed while nothing goes through. */
  held = $state(false);
  masked = $state<Masked>('nothing');
  watchers = $state.raw<string[]>([]);
  #skew = 0;
  #count = 0;
  #attach: Attach | null = null;
  #side: Side;
  #door: Door;

  constructor(of: Of, side: Side, door?: Door) {
    this.of = of;
    this.#side = side;
    this.#door = door ?? { role: 'operate', session: '', keys: () => linesOf(this.request), ticket: () => post<Ticket>('/api/v1/attach', of) };
  }

  /** Finds the session and its key, and connects. */
  async begin(session: string): Promise<void> {
    this.standing = 'connecting';
    this.words = undefined;
    try {
      session ||= this.#door.session;
      const s = session ? await begun(session) : undefined;
      if (s) {
        this.session = s.id;
        this.request = s.request;
        if (s.state === 'ended') {
          this.#over(endWords(s.reason));
          return;
        }
      } else {
        const a = await get<Access>(api`/access/${this.of.site}/${this.of.asset}/${this.of.service}`);
        this.request = a.request ?? '';
        if (!a.ready || !a.session) {
          this.#stand('refused', { kind: a.kind ?? 'refused', message: a.message ?? 'You have no access here now.', next: a.next ?? '' });
          return;
        }
        this.session = a.session;
      }
    } catch (e) {
      const t = e instanceof Trouble ? e : new Trouble({ status: 0, kind: 'internal', message: 'This page made a mistake.', next: 'Reload it.' });
      this.#stand('refused', { kind: t.kind, message: t.message, next: t.next });
      return;
    }
    this.#attach = new Attach({
      session: this.session,
      ...this.of,
      keys: await this.#door.keys(),
      role: this.#door.role,
      protocols: this.#side.protocols,
      opening: this.#side.opening,
      ticket: this.#door.ticket,
      sign,
      on: (e) => this.#hear(e),
    });
    this.#attach.start();
  }

  get says(): Side['words'] {
    return this.#side.words;
  }
  get attach(): Attach | null {
    return this.#attach;
  }
  get live(): boolean {
    return this.standing === 'open' && this.frozen.length === 0 && !this.exit;
  }
  get over(): boolean {
    return this.ended !== null || this.standing === 'ended';
  }

  /** Types; what cannot go through now is not kept for later. */
  input(text: string): void {
    if (this.live) this.#attach?.input(text);
    else if (this.frozen.length > 0 && this.standing === 'open') this.held = true;
  }
  another(cols: number, rows: number): void {
    this.exit = null;
    this.#attach?.shell(cols, rows);
  }
  bring(): void {
    this.#attach?.start();
  }
  async end(): Promise<void> {
    const s = await post<Session>(api`/sessions/${this.session}/kill`);
    if (s.state !== 'ended') return; // the agent says when it is over, and why
    this.#attach?.close(true);
    this.#over(endWords(s.reason));
  }
  leave(): void {
    this.#attach?.close();
  }
  /** What came cannot be shown. */
  fail(words: Words): void {
    this.#attach?.close();
    this.#stand('refused', words);
  }

  speak(text: string): void {
    this.spoken = text;
  }
  drop(id: number): void {
    this.said = this.said.filter((x) => x.id !== id);
  }

  #hear(e: AttachEvent): void {
    switch (e.type) {
      case 'standing':
        this.#stand(e.standing, e.words);
        break;
      case 'welcome':
        this.#greet(e.welcome);
        break;
      case 'notice':
        this.#note(e.notice);
    }
    this.#side.hear(e);
  }

  #greet(w: Welcome): void {
    this.#skew = Date.now() - (Date.parse(w.now) || Date.now());
    this.watchers = []; // who there are is said anew
    this.welcome = w;
    this.request = w.request;
    this.#until(w.deadline);
    this.frozen = w.frozen;
    this.exit = w.running ? null : (this.exit ?? { status: null, text: '' });
    this.speak(w.resumed ? this.#side.words.again : 'Connected.');
  }

  #until(deadline: string): void {
    const t = Date.parse(deadline);
    if (!Number.isNaN(t)) this.deadline = new Date(t + this.#skew).toISOString();
  }

  #note(n: Notice): void {
    if (n.deadline) this.#until(n.deadline);
    if (this.standing === 'waiting' && n.text) {
      this.awaits = { says: n.text, code: n.type === 'code' };
      this.speak(n.text);
      return;
    }
    switch (n.type) {
      case 'frozen':
        this.frozen = n.causes ?? ['broker'];
        this.speak('The hospital froze this session. ' + this.#side.words.frozen);
        return;
      case 'thawed':
        this.frozen = n.causes ?? [];
        this.held = false;
        if (this.frozen.length === 0) this.say(`${n.text || 'The hospital lifted the freeze.'} ${this.#side.words.thawed}`);
        return;
      case 'exit':
        this.exit = { status: n.status ?? null, text: n.text ?? '' };
        this.speak(this.exitWords);
        return;
      case 'ended':
        this.#over(n.text || endWords(n.reason ?? null));
        return;
      case 'masked':
        this.masked = n.masked ?? 'nothing';
        return;
      case 'watchers':
        this.watchers = n.people ?? [];
        this.speak(watching(this.watchers));
        return;
      case 'taken':
        this.speak('It was opened in another window.');
        return;
      default:
        if (n.text) this.say(n.text);
    }
  }

  get exitWords(): string {
    if (!this.exit) return '';
    if (this.exit.status === null) return this.exit.text || 'No shell is running.';
    return `The shell ended (status ${this.exit.status}).`;
  }

  say(text: string): void {
    const id = ++this.#count;
    this.said = [...this.said.slice(-2), { id, text }];
    this.speak(text);
    setTimeout(() => this.drop(id), 15_000);
  }

  #over(why: string): void {
    this.ended = why.replace(/\.$/, '') || 'It is over'; // pages end the sentence
    this.standing = 'ended';
    this.speak('The session is over. ' + this.ended + '.');
  }

  #stand(s: Standing, words?: Words): void {
    if (this.ended !== null) return;
    this.standing = s;
    this.words = words;
    this.awaits = null;
    if (s === 'away') this.speak('Your connection dropped. It comes back by itself.');
    if (s === 'refused') this.speak(words?.message ?? '');
    if (s === 'ended') this.#over(words?.message ?? '');
  }
}

/** "Maya Okafor watches." */
export function watching(people: string[]): string {
  return people.length === 0 ? 'Nobody watches any more.' : `${list(people.map((p) => shownText(p, 60)))} ${people.length === 1 ? 'watches' : 'watch'}.`;
}

/** A session that somebody has connected to; there is none before. */
async function begun(id: string): Promise<Session | undefined> {
  try {
    return await get<Session>(api`/sessions/${id}`);
  } catch (e) {
    if (e instanceof Trouble && e.missing) return undefined;
    throw e;
  }
}
