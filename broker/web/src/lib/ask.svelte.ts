// What an engineer writes when asking for access: the form's fields, what is wrong
// with them in words, and the document that comes of it.
import { hands, idle, shownFirst } from './deciding';
import { classes, keyReach, maxReason, maxWorkOrder, plain, type RequestTerms } from './documents';
import { offers, reasons, type Offer, type Why } from './offers';
import { speaks } from './protocols';
import { span } from './time.svelte';
import { full } from './mine';
import type { Asset, Channel, Person, Request, ServiceClass } from './types';
import { dayAfter, momentOf, typed } from './zones';

/** How long a request stays good where only a length is asked for: nobody loses session time to a slow answer. */
export const patience = 4 * 3600;

export interface Written {
  services: string[];
  class: ServiceClass;
  channels: Channel[];
  reason: string;
  workOrder: string;
  when: 'now' | 'later';
  date: string;
  from: string;
  until: string;
  minutes: number;
  critical: number; // minutes of critical sections in all; 0: none
}
export type Field = 'services' | 'class' | 'channels' | 'reason' | 'workOrder' | 'window' | 'minutes' | 'critical';

const line = (text: string) => text.replace(/\s+/g, ' ').trim();

export class Ask {
  readonly asset: Asset;
  services = $state<string[]>([]);
  class = $state<ServiceClass>('observe');
  channels = $state<Channel[]>([]);
  reason = $state('');
  workOrder = $state('');
  when = $state<'now' | 'later'>('now');
  date = $state('');
  from = $state('');
  until = $state('');
  minutes = $state(30);
  critical = $state(0);

  constructor(asset: Asset, kept: Partial<Written>, now: number) {
    this.asset = asset;
    const names = asset.services.map((s) => s.name);
    this.services = (kept.services ?? names.slice(0, 1)).filter((s) => names.includes(s));
    this.channels = (kept.channels ?? hands).filter((c) => this.offered.includes(c));
    this.class = kept.class && classes.includes(kept.class) ? kept.class : this.limit;
    this.reason = kept.reason ?? '';
    this.workOrder = kept.workOrder ?? '';
    this.when = kept.when ?? 'now';
    const start = typed(Math.ceil((now + keyReach * 1000) / 900e3) * 900e3, asset.zone);
    const end = typed(Math.ceil((now + 3 * keyReach * 1000) / 900e3) * 900e3, asset.zone);
    this.date = kept.date || start.date;
    this.from = kept.from || start.time;
    this.until = kept.until || end.time;
    this.minutes = kept.minutes ?? Math.min(30, Math.floor(asset.longest_seconds / 60));
    this.critical = Math.min(kept.critical ?? 0, this.mostCritical);
  }

  get written(): Written {
    const { services, class: c, channels, reason, workOrder, when, date, from, until, minutes, critical } = this;
    return { services: [...services], class: c, channels: [...channels], reason, workOrder, when, date, from, until, minutes, critical };
  }

  /** What the hospital allows on the chosen services, or why nothing. */
  get offer(): Offer | Why {
    return offers(this.asset, this.services, (p) => speaks(p)?.channels);
  }
  /** The mildest class of the chosen services: no more may be asked for. */
  get limit(): ServiceClass {
    return typeof this.offer === 'string' ? 'observe' : this.offer.class;
  }
  get offered(): Channel[] {
    const o = this.offer;
    return typeof o === 'string' ? [] : shownFirst.filter((c) => o.channels.includes(c) && !idle(c, this.class));
  }
  /** Chooses a service, or not: what was asked for goes with what offers it, and what one does on a new one is asked for. */
  choose(name: string, on: boolean): void {
    const before = this.offered;
    this.services = on ? [...this.services, name] : this.services.filter((s) => s !== name);
    const now = this.offered;
    this.channels = [...this.channels.filter((c) => now.includes(c)), ...now.filter((c) => hands.includes(c) && !before.includes(c))];
  }
  /** How many minutes of critical sections the hospital allows here in all. */
  get mostCritical(): number {
    return Math.floor(this.asset.critical_seconds / 60);
  }
  /** Seconds of critical sections that are asked for: only disruptive work has them. */
  get sections(): number {
    return this.class === 'disruptive' ? this.critical * 60 : 0;
  }
  /** What is asked for, of what is offered now. */
  get asked(): Channel[] {
    return this.channels.filter((c) => !idle(c, this.class));
  }

  /** The window in milliseconds; NaN where it is not one. */
  window(now: number): { from: number; until: number } {
    if (this.when === 'now') {
      const from = Math.floor(now / 1000) * 1000;
      const open = Math.max(patience, this.minutes > 0 ? Math.round(this.minutes * 60) : 0);
      return { from, until: from + Math.min(open, this.asset.window_seconds) * 1000 };
    }
    const from = momentOf(this.date, this.from, this.asset.zone);
    let until = momentOf(this.date, this.until, this.asset.zone);
    if (until <= from) until = momentOf(dayAfter(this.date), this.until, this.asset.zone);
    // A window that has begun already begins now.
    return { from: from < now ? Math.floor(now / 1000) * 1000 : from, until };
  }
  overnight(): boolean {
    return this.when === 'later' && this.until !== '' && this.until <= this.from;
  }

  /** What has to be put right, by field. */
  wrong(now: number): Partial<Record<Field, string>> {
    const w: Partial<Record<Field, string>> = {};
    if (this.services.length === 0) w.services = 'Choose at least one service.';
    const { from, until } = this.window(now);
    const o = this.offer;
    const why = typeof o === 'string' ? [o] : reasons(o, { class: this.class, channels: this.asked, nbf: from / 1000, exp: until / 1000, maxs: this.minutes * 60 }, now / 1000);
    if (why.includes('no-such-service') || why.includes('not-spoken')) w.services = 'This page cannot ask for one of these services.';
    if (why.includes('too-strong')) w.class = 'The hospital does not allow that much on the services you chose.';
    if (why.includes('not-allowed')) w.channels = 'The hospital does not allow all of this on the services you chose.';
    if (why.includes('no-channel') || this.asked.length === 0) w.channels = 'Choose at least one thing to do.';
    w.reason = textWrong(this.reason, maxReason, 'Say why. The approver decides by it.', 'The reason is too long: at most 1000 bytes.');
    w.workOrder = textWrong(this.workOrder, maxWorkOrder, "Give the work order's number.", "Give the work order's number alone, at most 64 characters.");
    if (this.when === 'later') w.window = this.#windowWrong(why);
    w.minutes = this.#minutesWrong(now, why);
    if (this.sections && (!Number.isInteger(this.critical) || this.critical < 0 || this.critical > this.mostCritical)) w.critical = `The hospital allows critical sections of at most ${span(this.mostCritical * 60)} in all here.`;
    return Object.fromEntries(Object.entries(w).filter(([, v]) => v)) as typeof w;
  }
  #windowWrong(why: Why[]): string {
    const { from, until } = this.window(0);
    if (!this.date || !this.from || !this.until) return 'Give a day, a beginning and an end.';
    if (Number.isNaN(from) || Number.isNaN(until)) return 'That time does not exist there: the clocks change that day.';
    if (why.includes('over')) return 'That window is over already.';
    if (why.includes('too-far-ahead')) return 'A window can begin at most 30 days ahead.';
    if (why.includes('too-wide')) return `The hospital allows windows of at most ${span(this.asset.window_seconds)} here.`;
    return '';
  }
  #minutesWrong(now: number, why: Why[]): string {
    const { from, until } = this.window(now);
    if (!Number.isInteger(this.minutes) || this.minutes < 1) return 'Give whole minutes, at least one.';
    if (why.includes('too-long')) return `The hospital allows ${span(this.asset.longest_seconds)} at most here.`;
    if (this.minutes * 60e3 > until - from) return `The window is only ${span((until - from) / 1000)} long.`;
    return '';
  }

  /** The window begins too far ahead to bring a key: the engineer proves again when it opens. */
  ahead(now: number): boolean {
    return this.window(now).from > now + keyReach * 1000;
  }

  terms(engineer: Person, key: string, id: string, now: number): RequestTerms {
    const { from, until } = this.window(now);
    return {
      id, kind: 'session', parent: '', site: this.asset.site, asset: this.asset.name, services: this.services, class: this.class, channels: this.asked,
      from: from / 1000, until: until / 1000, longest: this.minutes * 60, critical: this.sections, engineer: { iss: engineer.iss, sub: engineer.sub }, key,
      reason: line(this.reason), workOrder: line(this.workOrder),
    };
  }

  /** What the command asks for: all that runs, and the files and texts that were chosen. */
  get commanded(): Channel[] {
    return this.offered.filter((c) => hands.includes(c) || this.channels.includes(c));
  }
  /** The same, asked for on the command line. */
  get command(): string {
    const [first, ...rest] = this.services.length ? this.services : ['SERVICE'];
    const ways = (what: 'files' | 'clipboard') => (['in', 'out'] as const).filter((d) => this.asked.includes(`${what}-${d}`)).join(',');
    return [
      'sallyport request new', `${full(this.asset)}/${first}`, ...rest,
      '--reason', quoted(line(this.reason) || 'why'), '--work-order', quoted(line(this.workOrder) || 'number'),
      this.class === this.limit ? '' : this.class === 'observe' ? '--observe' : `--class ${this.class}`,
      ways('files') ? `--files ${ways('files')}` : '',
      ways('clipboard') ? `--clipboard ${ways('clipboard')}` : '',
      this.when === 'later' ? `--from ${quoted(`${this.date} ${this.from}`)} --until ${this.until}` : '',
      `--for ${this.minutes || 30}m`,
      this.sections ? `--critical ${this.critical}m` : '',
    ].filter(Boolean).join(' ');
  }
}

function textWrong(text: string, most: number, none: string, long: string): string {
  const t = line(text);
  if (t === '') return none;
  if (new TextEncoder().encode(t).length > most) return long;
  if (!plain(t, 1, most) || /\p{Cf}/u.test(t)) return 'This holds characters that cannot be seen. Type it instead of pasting it.';
  return '';
}

/** One word of a POSIX shell. */
export function quoted(text: string): string {
  return /^[A-Za-z0-9_./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The form as an earlier request, or the hospital's proposal for it, fills it. */
export function again(r: Request, asset: Asset): Partial<Written> {
  const from = r.proposal?.from ?? null;
  const kept: Partial<Written> = {
    services: r.services, class: r.class, channels: r.channels, reason: r.reason, workOrder: r.work_order, minutes: Math.max(1, Math.floor(r.max_seconds / 60)),
  };
  if (!from || !r.proposal) return kept;
  const start = typed(new Date(from).getTime(), asset.zone);
  const room = Math.floor((new Date(r.proposal.until).getTime() - new Date(from).getTime()) / 60e3);
  return { ...kept, when: 'later', date: start.date, from: start.time, until: typed(new Date(r.proposal.until).getTime(), asset.zone).time, minutes: Math.min(kept.minutes!, Math.max(1, room)) };
}
