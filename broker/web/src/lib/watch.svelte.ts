// Leave to watch a session: a key of this page, and tokens of the hospital's identity
// provider that cover session and key, each for a quarter of an hour at most. They are
// renewed without a word where that works; where not, the page asks.
import { post, Trouble } from './api';
import type { Ticket } from './attach';
import { drop, newKey } from './keys';
import { beside, silently, type Errand } from './proofs';
import type { Door } from './terminal.svelte';
import type { Outcome, Session } from './types';

const early = 3 * 60e3; // before the end it is renewed

export class Leave {
  readonly session: Session;
  readonly service: string;
  until = $state(0);
  /** It could not be renewed, and ends soon or has ended. */
  stale = $state(false);
  asking = $state(false);
  trouble = $state.raw<Trouble>();
  #line: Promise<string> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  constructor(session: Session, service: string) {
    this.session = session;
    this.service = service;
  }

  /** How a page gets in with it. */
  get door(): Door {
    const { site, asset } = this.session;
    return {
      role: 'watch',
      session: this.session.id,
      keys: async () => [await this.#key()],
      ticket: async () => {
        if (Date.now() >= this.until && !(await this.#silent())) {
          this.stale = true;
          throw new Trouble({ status: 403, kind: 'denied', message: 'Your hospital has to say again who you are.', next: 'Sign in below to go on watching.' });
        }
        return post<Ticket>('/api/v1/attach', { site, asset, service: this.service, watch: this.session.id });
      },
    };
  }

  #key(): Promise<string> {
    return (this.#line ??= newKey(this.session.id).then((k) => k.line));
  }

  async #errand(): Promise<Errand> {
    return { role: 'watch', id: this.session.id, key: await this.#key() };
  }

  /** Asks for it the first time; where nobody has to be asked, nobody is. */
  begin(): Promise<boolean> {
    return this.#silent();
  }

  async #silent(): Promise<boolean> {
    try {
      return this.#took(await silently(await this.#errand()));
    } catch (e) {
      this.trouble = e instanceof Trouble ? e : undefined;
      return false;
    }
  }

  /** Asks in a window. Call it in a click. */
  async signIn(): Promise<boolean> {
    this.asking = true;
    this.trouble = undefined;
    try {
      const w = await beside(() => this.#errand(), () => this.session.id);
      if (w.blocked && !w.open()) {
        w.giveUp();
        this.trouble = new Trouble({ status: 0, kind: 'refused', message: 'Your browser did not let the sign-in open.', next: 'Allow windows of this page, and press again.' });
        return false;
      }
      return this.#took(await w.outcome);
    } catch (e) {
      this.trouble = e instanceof Trouble ? e : undefined;
      return false;
    } finally {
      this.asking = false;
    }
  }

  #took(o: Outcome | undefined): boolean {
    if (!o?.ok || !o.until) {
      if (o?.problem) this.trouble = new Trouble(o.problem);
      return false;
    }
    this.until = Date.parse(o.until);
    this.stale = false;
    this.trouble = undefined;
    clearTimeout(this.#timer);
    const left = this.until - Date.now();
    if (!this.#over) this.#timer = setTimeout(() => void this.#renew(), Math.max(left - early, left / 2, 1000));
    return true;
  }

  async #renew(): Promise<void> {
    if (!(await this.#silent()) && !this.#over) this.stale = true;
  }

  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    void this.#line?.then(drop);
  }
}
