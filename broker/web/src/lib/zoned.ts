// Hours of a site as fields of a form show them: "2026-11-23T18:00", no zone inside.

function parts(at: number, zone: string): number {
  const f = new Intl.DateTimeFormat('en-GB', { timeZone: zone, year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' });
  const p: Record<string, number> = {};
  for (const { type, value } of f.formatToParts(at)) p[type] = Number(value);
  return Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!);
}

/** What the site's clock shows. */
export function toField(at: number, zone: string): string {
  return new Date(parts(at, known(zone))).toISOString().slice(0, 16);
}

/** When the site's clock shows it; NaN where that is no time. An hour that the clock skips is the one after. */
export function fromField(field: string, zone: string): number {
  const wall = Date.parse(field + ':00Z');
  if (Number.isNaN(wall)) return NaN;
  const z = known(zone);
  const first = wall - (parts(wall, z) - wall);
  return wall - (parts(first, z) - first);
}

function known(zone: string): string {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: zone });
    return zone;
  } catch {
    return 'UTC';
  }
}
