// Times as people at a hospital read them: the site's zone first, the viewer's
// beside it where the two differ.
import { format, hour } from './zones';
export { hour };

class Clock {
  /** Now, in milliseconds; moves once a second, in step for the whole page. */
  now = $state(Date.now());
}
export const clock = new Clock();
let ticking = false;
/** Makes clock.now move. Called once by the application. */
export function tick(): () => void {
  if (ticking) return () => {};
  ticking = true;
  let timer: ReturnType<typeof setTimeout>;
  const next = () => {
    clock.now = Date.now();
    timer = setTimeout(next, 1000 - (Date.now() % 1000));
  };
  next();
  return () => {
    ticking = false;
    clearTimeout(timer);
  };
}

export const viewerZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** 12:46, 23 Nov 12:46 where that is not today, 23 Nov 2025 12:46 where it is not this year. */
export function moment(at: string | number, zone: string, now = Date.now()): string {
  const d = new Date(at);
  const day = format(zone, { year: 'numeric', month: '2-digit', day: '2-digit' });
  const time = hour(at, zone);
  if (day.format(d) === day.format(now)) return time;
  const year = format(zone, { year: 'numeric' });
  const date = year.format(d) === year.format(now) ? format(zone, { day: 'numeric', month: 'short' }) : format(zone, { day: 'numeric', month: 'short', year: 'numeric' });
  return `${date.format(d)}, ${time}`;
}
/** The zones tell different hours at that time. */
export function differs(at: string | number, zone: string): boolean {
  return moment(at, zone, 0) !== moment(at, viewerZone, 0);
}
/** Berlin */
export function city(zone: string): string {
  return zone.split('/').pop()!.replaceAll('_', ' ');
}
/** 30 minutes, 1 hour 30 minutes, 45 seconds */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const of = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;
  if (s < 60) return of(s, 'second');
  if (s < 3600) return of(Math.round(s / 60), 'minute');
  if (s < 86400) {
    const h = Math.floor(s / 3600);
    const m = Math.round((s % 3600) / 60);
    return m === 60 ? of(h + 1, 'hour') : of(h, 'hour') + (m ? ' ' + of(m, 'minute') : '');
  }
  return of(Math.round(s / 86400), 'day');
}
/** in 22 min, 3 min ago, now */
export function away(at: string | number, now: number): string {
  const s = Math.round((new Date(at).getTime() - now) / 1000);
  const a = Math.abs(s);
  const short = a < 60 ? `${a} s` : a < 3600 ? `${Math.round(a / 60)} min` : a < 86400 ? `${Math.round(a / 3600)} h` : `${Math.round(a / 86400)} d`;
  if (a < 5) return 'now';
  return s > 0 ? `in ${short}` : `${short} ago`;
}
/** 29:41, 1:02:03 */
export function countdown(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  return (h ? h + ':' + two(Math.floor((s % 3600) / 60)) : String(Math.floor(s / 60))) + ':' + two(s % 60);
}
