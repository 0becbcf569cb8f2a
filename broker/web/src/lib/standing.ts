// How a scanner stands for its patients, and what a class of work means in each state: as its
// agent says. Nothing is decided by it here.
import { away, clock, moment, span } from './time.svelte';
import type { ModalityState, ServiceClass, Standing } from './types';
import { shownText } from './words';
import words from './words.json';

/** Of a state, after "the scanner is". */
export const stateWords: Record<ModalityState, string> = words.states;

export const noInterlock = 'Interlock: none. Nothing here knows about patients, and nothing is stopped for them.';

/** The scanner is idle. */
export function standsWords(s: Standing): string {
  if (s.interlock === 'none') return noInterlock;
  return `The scanner is ${stateWords[s.state]}.`;
}

/** Whose word that is, its age, and how long it holds: operator: set by Tom, 4 min ago, holds until 14:00. */
export function saysWords(s: Standing, zone: string): string {
  if (s.interlock === 'none') return '';
  const said = s.source ? shownText(s.source + (s.detail ? ': ' + s.detail : ''), 300) + (s.at ? ', ' + away(s.at, clock.now) : '') : '';
  if (s.why) return `What was last known does not count: ${s.why}.` + (s.last ? ` It was ${stateWords[s.last]}${said ? ` (${said})` : ''}.` : '');
  return said + (s.until ? `, holds until ${moment(s.until, zone, clock.now)}` : '');
}

const or = (all: ModalityState[]) => {
  const parts = all.map((s) => stateWords[s]);
  return parts.length < 2 ? (parts[0] ?? '') : parts.slice(0, -1).join(', ') + ' or ' + parts.at(-1);
};

/** What a class means in each state, by the rules that the agent goes by. */
export function classMeans(s: Standing, of: ServiceClass): string[] {
  if (s.interlock === 'none') return [noInterlock];
  const works = s.works[of];
  const rest = (Object.keys(stateWords) as ModalityState[]).filter((x) => !works.includes(x));
  const lines = [works.length ? `Works while the scanner is ${or(works)}.` : 'Works in no state of the scanner.'];
  if (rest.length) lines.push(`Looks on while it is ${or(rest)}: nothing of theirs reaches the scanner.`);
  if (s.shut) lines.push(`Nothing opens now: ${shownText(s.shut, 300)}.`);
  return lines;
}

/** Whether a class could work now. */
export function couldWork(s: Standing, of: ServiceClass): boolean {
  return s.interlock === 'none' || (s.interlock === 'on' && !s.shut && s.works[of].includes(s.state));
}

/** How a scanner stood while it was recorded: "The scanner was idle for 12 minutes and scanning for 40 seconds." */
export function stoodWords(all: { state: ModalityState | ''; seconds: number }[]): string {
  if (all.length === 0) return '';
  const parts = all.map((x) => `${x.state ? stateWords[x.state] : 'in states that are not listed'} for ${span(x.seconds)}`);
  return `The scanner was ${parts.length < 2 ? parts[0] : parts.slice(0, -1).join(', ') + ' and ' + parts.at(-1)}.`;
}
