// The scale of a time line: which part of it is in sight, and where its ticks stand.

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400].map((s) => s * 1e6);

/** The step between two labels, so that each has so much room. */
export function stepOf(length: number, width: number, room: number): number {
  const least = (length * room) / Math.max(1, width);
  return steps.find((s) => s >= least) ?? Math.ceil(least / 86400e6) * 86400e6;
}

/** Ticks of a stretch; every one that is major has a label. */
export function ticksOf(from: number, length: number, width: number, room: number): { at: number; major: boolean }[] {
  const major = stepOf(length, width, room);
  const minor = stepOf(length, width, 14);
  const step = major % minor === 0 ? minor : major;
  const out = [];
  for (let n = Math.ceil(from / step); n * step <= from + length && out.length < 500; n++) out.push({ at: n * step, major: (n * step) % major === 0 });
  return out;
}

/** Where a stretch of a length begins that keeps a moment at its place in sight, within all there is. */
export function about(at: number, place: number, length: number, all: number): number {
  return Math.max(0, Math.min(all - length, at - place * length));
}

/** Flags that would lie on each other are one flag. */
export function flagged<M extends { at: number }>(all: M[], from: number, length: number, near: number): { at: number; all: M[] }[] {
  const out: { at: number; all: M[] }[] = [];
  for (const m of all) {
    if (m.at < from || m.at > from + length) continue;
    const last = out.at(-1);
    if (last && m.at - last.at < near) last.all.push(m);
    else out.push({ at: m.at, all: [m] });
  }
  return out;
}
