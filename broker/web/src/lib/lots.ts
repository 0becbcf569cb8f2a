// What waits, by who asked: all of one engineer, or of one vendor, at a site. It is what
// the broker denies in one step.
import { called, company, host, list, shownText } from './words';
import type { Request } from './types';

export interface Lot {
  key: string;
  site: string;
  iss: string;
  sub: string; // '' for all of the vendor
  whose: string; // "Jana Brandt, meridian.example" or "all engineers of meridian.example"
  count: number;
  engineers: { name: string; count: number }[];
}

/** The lots of two requests or more, the largest first. None of them holds a request of one's own: nobody decides about that. */
export function lots(waiting: Request[], me: { iss: string; sub: string } | undefined): Lot[] {
  const all = new Map<string, { lot: Lot; of: Map<string, { name: string; count: number }> }>();
  const add = (r: Request, sub: string, whose: string) => {
    const key = JSON.stringify([r.site, r.engineer.iss, sub]);
    const into = all.get(key) ?? { lot: { key, site: r.site, iss: r.engineer.iss, sub, whose, count: 0, engineers: [] }, of: new Map() };
    all.set(key, into);
    into.lot.count++;
    const one = into.of.get(r.engineer.sub) ?? { name: called(r.engineer), count: 0 };
    into.of.set(r.engineer.sub, one);
    one.count++;
  };
  for (const r of waiting) {
    if (r.engineer.iss === me?.iss && r.engineer.sub === me.sub) continue;
    add(r, r.engineer.sub, `${called(r.engineer)}, ${company(r.engineer)}`);
    add(r, '', `all engineers of ${shownText(host(r.engineer.iss))}`);
  }
  for (const { lot, of } of all.values()) lot.engineers = [...of.values()].sort((a, b) => b.count - a.count);
  const several = [...all.values()].map((a) => a.lot).filter((l) => l.count > 1 && (l.sub !== '' || l.engineers.length > 1));
  return several.sort((a, b) => b.count - a.count || Number(b.sub !== '') - Number(a.sub !== ''));
}

/** How many, and whose. */
export function lotWords(l: Lot): string {
  return `${l.count} requests of ${l.whose}, at ${shownText(l.site, 64)}`;
}

/** Each engineer with what they have waiting, of the first few. */
export function engineersWords(l: Lot, most = 8): string {
  const first = l.engineers.slice(0, most).map((e) => `${e.count} of ${e.name}`);
  const rest = l.engineers.length - first.length;
  return list(rest > 0 ? [...first, `those of ${rest} more`] : first);
}
