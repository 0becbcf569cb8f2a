// What a hospital lets people ask for and grant on a scanner: the rules of
// session/grant/offers.go, held against session/grant/testdata/weboffers.json. The
// agent judges by its own; this is so that nobody signs in vain.
import { classes, farthest } from './documents';
import type { Asset, Channel, Protocol, ServiceClass } from './types';

export type Why = 'no-such-service' | 'not-spoken' | 'too-strong' | 'not-allowed' | 'no-channel' | 'too-wide' | 'too-long' | 'over' | 'too-far-ahead';

export interface Offer {
  class: ServiceClass; // the strongest that all of the services allow
  channels: Channel[]; // sorted: the policy allows it and one of the services has it
  services: { class: ServiceClass; channels: readonly Channel[] }[];
  longest: number; // seconds
  window: number; // seconds
}
export interface Terms {
  services: readonly string[];
  class: ServiceClass;
  channels: readonly Channel[];
  nbf: number; // Unix seconds
  exp: number;
  maxs: number; // seconds
}
type Offering = Pick<Asset, 'services' | 'channels' | 'longest_seconds' | 'window_seconds'>;
/** Which channels a protocol has; undefined for one that is not known. */
type Has = (p: Protocol) => readonly Channel[] | undefined;

const above = (c: ServiceClass, limit: ServiceClass) => !classes.includes(c) || classes.indexOf(c) > classes.indexOf(limit);

/** What some services offer together, or why nothing. */
export function offers(asset: Offering, names: readonly string[], has: Has): Offer | Why {
  const o: Offer = { class: 'disruptive', channels: [], services: [], longest: asset.longest_seconds, window: asset.window_seconds };
  for (const name of names) {
    const s = asset.services.find((x) => x.name === name);
    if (!s) return 'no-such-service';
    const channels = has(s.protocol);
    if (!channels) return 'not-spoken';
    if (!above(s.class, o.class)) o.class = s.class;
    o.services.push({ class: s.class, channels });
    o.channels.push(...channels.filter((c) => asset.channels.includes(c) && !o.channels.includes(c)));
  }
  o.channels.sort();
  return o;
}

/** All the rules by which terms are not offered at now, in Unix seconds; none where they are. */
export function reasons(o: Offer, t: Omit<Terms, 'services'>, now: number): Why[] {
  const all: (Why | '' | false)[] = [
    o.services.some((s) => above(t.class, s.class)) && 'too-strong',
    t.channels.some((c) => !o.channels.includes(c)) && 'not-allowed',
    o.services.some((s) => !s.channels.some((c) => t.channels.includes(c))) && 'no-channel',
    t.maxs > o.longest && 'too-long',
    opens(o, t.nbf, t.exp, now),
  ];
  return all.filter((w) => w !== false && w !== '');
}

/** The same of a window alone. */
export function opens(o: { window: number }, nbf: number, exp: number, now: number): 'too-wide' | 'over' | 'too-far-ahead' | '' {
  if (exp - nbf > o.window) return 'too-wide';
  if (exp <= now) return 'over';
  return nbf > now + farthest ? 'too-far-ahead' : '';
}
