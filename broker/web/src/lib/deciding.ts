// What an approver reads of a request and of the grant that would answer it. The
// command line's approval page says the same.
import { city, differs, moment, span } from './time.svelte';
import { channelWords, className, list } from './words';
import type { Channel, ClientClass, Request } from './types';
import type { Less } from './grants';

/** What one does on a device, beside what is carried to it or from it. */
export const hands: Channel[] = ['shell', 'exec', 'control'];
export const carries: Channel[] = ['files-in', 'files-out', 'clipboard-in', 'clipboard-out'];

interface Asked {
  services: string[];
  class: Request['class'];
  channels: Channel[];
  nbf: number; // Unix seconds
  exp: number;
  maxs: number;
}

/** 16:05, 16:05 in Berlin where the reader's clock says something else. */
export function clockWords(at: number, zone: string, now: number): string {
  return moment(at, zone, now) + (differs(at, zone) ? ` in ${city(zone)}` : '');
}

/** The three plain lines. */
export function wants(g: Asked, zone: string, now: number): string[] {
  const does = hands.filter((c) => g.channels.includes(c)).map((c) => channelWords[c]);
  const files = carries.filter((c) => g.channels.includes(c)).map((c) => channelWords[c]);
  const start = g.nbf * 1000 > now ? `starting when they connect, not before ${clockWords(g.nbf * 1000, zone, now)}` : 'starting when they connect';
  return [
    `${does.length ? list(does) : 'connect'} on ${list(g.services)}, ${className[g.class] ?? g.class}`,
    `for up to ${span(g.maxs)}, ${start}, not after ${clockWords(g.exp * 1000, zone, now)}`,
    files.length ? list(files) : 'copy no files',
  ];
}

/** The same of an extension: where the end moves. */
export function wantsLonger(g: Asked, parent: { opened: string | null; deadline: string | null } | undefined, zone: string, now: number): string[] {
  const end = parent?.opened ? Math.min(Date.parse(parent.opened) + g.maxs * 1000, g.exp * 1000) : g.exp * 1000;
  const old = parent?.deadline ? ` instead of ${clockWords(Date.parse(parent.deadline), zone, now)}` : '';
  const files = carries.filter((c) => g.channels.includes(c)).map((c) => channelWords[c]);
  const does = hands.filter((c) => g.channels.includes(c)).map((c) => channelWords[c]);
  return [
    `go on with the session that is open, until ${clockWords(end, zone, now)}${old}`,
    `${does.length ? list(does) : 'stay connected'} on ${list(g.services)}, as before, ${className[g.class] ?? g.class}`,
    files.length ? `${list(files)}, as before` : 'copy no files',
  ];
}

/** What to know before saying yes. */
export function cautions(g: Pick<Asked, 'channels' | 'class'>, engineer: ClientClass | ''): string[] {
  const all: string[] = [];
  if (g.channels.includes('shell') || g.channels.includes('exec')) {
    all.push("A shell can do whatever the scanner's service account may do, and can carry files in and out whatever the file switches say. All of it is recorded.");
  }
  if (g.class === 'disruptive') all.push('This work can stop an examination. Make sure that no patient depends on this scanner now.');
  if (engineer === 'web') all.push('The engineer signed on this same web page. If the broker were taken over, it could have stood in for them.');
  return all;
}

/** In what kind of program the engineer signed, and what that means. */
export function signedWith(c: ClientClass | ''): string {
  switch (c) {
    case 'cli':
      return 'on their own machine: the broker could not stand in for them';
    case 'web':
      return 'on this web page: the broker is trusted not to stand in for them';
    case 'console':
      return 'at a hospital console';
    default:
      return "how is not known here; the hospital's agent checks it";
  }
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
  return parts.length ? `You allow less: ${parts.join('; ')}.` : '';
}

const numbers = ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
export function count(n: number): string {
  return numbers[n] ?? String(n);
}
