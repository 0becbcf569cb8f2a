// Dates and times as people type and read them, in the zone of a site.

const formats = new Map<string, Intl.DateTimeFormat>();
/** One of a kind for each zone; UTC's where this browser does not know it. */
export function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let f = formats.get(key);
  if (!f) {
    f = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: knownZone(zone) });
    formats.set(key, f);
  }
  return f;
}

/** 12:46; 02:30 CET in the night in which the clocks are set back and show that twice. */
export function hour(at: string | number, zone: string): string {
  const f = format(zone, { hour: '2-digit', minute: '2-digit' });
  const d = new Date(at).getTime();
  const time = f.format(d);
  const twice = [-3600e3, 3600e3].some((by) => f.format(d + by) === time);
  return twice ? format(zone, { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }).format(d) : time;
}

function parts(at: number, zone: string): { date: string; time: string; stamp: number } {
  const f = format(zone, { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  const p = Object.fromEntries(f.formatToParts(at).map((x) => [x.type, x.value])) as Record<string, string>;
  const date = `${p.year}-${p.month}-${p.day}`;
  return { date, time: `${p.hour}:${p.minute}`, stamp: Date.parse(`${date}T${p.hour}:${p.minute}:${p.second}Z`) };
}

/** The zone where this browser knows it, else UTC. */
export function knownZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: zone });
    return zone;
  } catch {
    return 'UTC';
  }
}

/** 2026-11-24 and 18:30, in a zone. */
export function typed(at: number, zone: string): { date: string; time: string } {
  const { date, time } = parts(at, knownZone(zone));
  return { date, time };
}

/** The moment in milliseconds; NaN where it is no time, or one that the change of clocks leaves out. */
export function momentOf(date: string, time: string, zone: string): number {
  const z = knownZone(zone);
  const wall = Date.parse(`${date}T${time}:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || !/^\d\d:\d\d$/.test(time) || Number.isNaN(wall)) return NaN;
  let at = wall;
  for (let i = 0; i < 3; i++) at += wall - parts(at, z).stamp;
  return parts(at, z).stamp === wall ? at : NaN;
}

/** The day after. */
export function dayAfter(date: string): string {
  return new Date(Date.parse(date + 'T00:00:00Z') + 86400e3).toISOString().slice(0, 10);
}

/** Both in the one field of a form that has no zone: 2026-11-24T18:30. */
export function toField(at: number, zone: string): string {
  const { date, time } = typed(at, zone);
  return `${date}T${time}`;
}
/** The moment in milliseconds; NaN as for momentOf. */
export function fromField(field: string, zone: string): number {
  const [date = '', time = ''] = field.split('T');
  return momentOf(date, time, zone);
}
