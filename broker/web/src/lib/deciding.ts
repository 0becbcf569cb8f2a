// What an approver reads of a request and of the grant that would answer it. The words and
// sentences are those of session/wording, as on the command line's approval page.
import { full } from './mine';
import { city, differs, moment, span } from './time.svelte';
import { called, channelWords, className, list, shownText } from './words';
import words from './words.json';
import type { Asset, Channel, ClientClass, Request, Service, ServiceClass } from './types';
import type { Less } from './grants';

/** What one does on a device, beside what is carried to it or from it. */
export const hands = words.hands as Channel[];
const carries = words.carries as Channel[];
/** All of them, in the order in which they are read. */
export const shownFirst = [...hands, ...carries];

interface Asked {
  site: string;
  asset: string;
  services: string[];
  class: Request['class'];
  channels: Channel[];
  nbf: number; // Unix seconds
  exp: number;
  maxs: number;
  crit?: number; // seconds of critical sections
}

/** 16:05, 16:05 in Berlin where the reader's clock says something else. */
export function clockWords(at: number, zone: string, now: number): string {
  return moment(at, zone, now) + (differs(at, zone) ? ` in ${city(zone)}` : '');
}

const chosen = (of: Channel[], channels: Channel[]) => of.filter((c) => channels.includes(c));

/** What a channel lets somebody do in a class: the agent lets no hand at a console that is only looked at. */
export function doing(c: Channel, of: ServiceClass): string {
  return c === 'control' && of === 'observe' ? words.phrases.see : channelWords[c];
}
/** Channels over which nothing passes in a class. */
export function idle(c: Channel, of: ServiceClass): boolean {
  return c === 'clipboard-in' && of === 'observe';
}

/** What they may do on services, by their full names. */
export function work(g: Pick<Asked, 'site' | 'asset' | 'services' | 'class' | 'channels'>): string {
  return `${list(chosen(hands, g.channels).map((c) => doing(c, g.class))) || words.phrases.connect} on ${list(g.services.map((s) => full(g, s)))}, ${className[g.class] ?? g.class}`;
}
/** What may be carried to the scanner and from it. */
export function carried(channels: Channel[]): string {
  return list(chosen(carries, channels).map((c) => channelWords[c])) || words.phrases.nothing;
}

/** What a critical section comes to, by the bytes that are signed; nothing where there is none. */
export function critical(g: Pick<Asked, 'crit'>): string[] {
  if (!g.crit) return [];
  return [`may declare critical sections of at most ${span(g.crit)} in all, in which a patient's arrival raises an alarm in place of a freeze; past its end the session may run on in one, for at most ${span(g.crit)}`];
}

/** The three plain lines, and one more where there may be critical sections. */
export function wants(g: Asked, zone: string, now: number): string[] {
  const start = g.nbf * 1000 > now ? `starting when they connect, not before ${clockWords(g.nbf * 1000, zone, now)}` : 'starting when they connect';
  return [work(g), `for up to ${span(g.maxs)}, ${start}, not after ${clockWords(g.exp * 1000, zone, now)}`, carried(g.channels), ...critical(g)];
}

/** The same of an extension: where the end moves at most, by the bytes that are signed; it began before now. */
export function wantsLonger(g: Asked, parent: { deadline: string | null } | undefined, zone: string, now: number): string[] {
  const end = Math.min(now + g.maxs * 1000, g.exp * 1000);
  const old = parent?.deadline ? ` instead of ${clockWords(Date.parse(parent.deadline), zone, now)}` : '';
  return [`go on with a session that is open, until ${clockWords(end, zone, now)} at the latest${old}`, work(g), carried(g.channels)];
}

/** What to know before saying yes. */
export function cautions(g: Pick<Asked, 'channels' | 'class'>, engineer: ClientClass | ''): string[] {
  const all: string[] = [];
  if (g.channels.includes('shell') || g.channels.includes('exec')) all.push(words.phrases.shell);
  if (g.class === 'disruptive') all.push(words.phrases.disruptive);
  if (engineer === 'web') all.push(words.phrases.web);
  return all;
}

/** What it means to connect to some services of a scanner that has all of these, for who asks and for who decides. */
export function takes(chosen: string[], all: Service[]): string[] {
  const list: string[] = [];
  const picked = all.filter((s) => chosen.includes(s.name));
  if (picked.some((s) => s.protocol === 'rdp')) {
    list.push(words.phrases.takes);
    const vnc = all.find((s) => s.protocol === 'vnc');
    if (vnc) list.push(`${words.phrases.together} ${vnc.name}.`);
  }
  if (picked.some((s) => s.legacy_tls)) list.push(words.phrases.legacy);
  return list;
}

/** What the operator at the scanner is asked before a session opens; nothing where that is nothing. */
export function consents(asset: Pick<Asset, 'consent'> | undefined): string[] {
  return asset && asset.consent !== 'none' ? [words.phrases[`consent-${asset.consent}`]] : [];
}

/** What passkeys of the agent's own page count for; nothing where that is nothing. */
export function keys(asset: Pick<Asset, 'console_keys'> | undefined): string[] {
  return asset && asset.console_keys !== 'none' ? [words.phrases[`keys-${asset.console_keys}`]] : [];
}

/** What still has to come before a request is granted, as far as it can be said. */
export function stillNeeded(r: Pick<Request, 'missing' | 'halves'>): string[] {
  return [...r.missing.map((g) => shownText(g, 64)), ...r.halves.map((h) => `of ${called(h.by)} ${words.phrases[`lacks-${h.lacks}`]}`)];
}

/** In what kind of program the engineer signed, and what that means. */
export function signedWith(c: ClientClass | ''): string {
  return words.signed[c] ?? words.signed[''];
}

/** Shorter sessions worth offering, longest last. */
export function lengths(longest: number): number[] {
  return [...[5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480].map((m) => m * 60).filter((s) => s < longest), longest];
}

/** Earlier ends of a window worth offering, as asked last. */
export function ends(nbf: number, exp: number, now: number): number[] {
  const from = Math.max(nbf, Math.floor(now / 1000));
  const five = (s: number) => Math.ceil(s / 300) * 300;
  return [...[1800, 3600, 7200, 14400, 28800, 43200].map((s) => five(from + s)).filter((s) => s < exp - 60), exp];
}

/** What is less than asked, as a sentence; "" where nothing is. */
export function lessWords(l: Less, r: Asked, zone: string, now: number): string {
  const parts: string[] = [];
  if (l.maxs !== undefined && l.maxs < r.maxs) parts.push(`${span(l.maxs)} instead of ${span(r.maxs)}`);
  if (l.exp !== undefined && l.exp < r.exp) parts.push(`not after ${clockWords(l.exp * 1000, zone, now)} instead of ${clockWords(r.exp * 1000, zone, now)}`);
  if (l.class !== undefined && l.class !== r.class) parts.push(`${className[l.class]} instead of ${className[r.class]}`);
  const gone = l.channels ? r.channels.filter((c) => !l.channels!.includes(c)) : [];
  if (gone.length) parts.push(`not ${list(gone.map((c) => channelWords[c]))}`);
  if (l.nocrit && r.crit && (l.class ?? r.class) === 'disruptive') parts.push("no critical sections: a patient's arrival always freezes the session");
  return parts.length ? `You allow less: ${parts.join('; ')}.` : '';
}

const numbers = ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
export function count(n: number): string {
  return numbers[n] ?? String(n);
}
