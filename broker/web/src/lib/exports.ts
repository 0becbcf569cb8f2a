// What a reviewer takes out of the recording of a console: pictures. All of it is made in
// their own browser, from the parts that the player reads.
import { Board } from './consoles';
import { frozenSpans, Parts, Player, stamp, stood } from './replay';
import type { ModalityState, Replay, ReplayPart } from './types';

/** A recording from which something is made. */
export interface Of {
  replay: Replay;
  stream: number | null;
  fetch: (which: string) => Promise<ReplayPart>;
}

export function fileName(id: string, at: number | null, ending: string): string {
  return `${id}${at === null ? '' : '-' + stamp(at).replaceAll(':', '.')}.${ending}`;
}

export async function asPNG(canvas: HTMLCanvasElement | OffscreenCanvas): Promise<Blob> {
  if (canvas instanceof OffscreenCanvas) return canvas.convertToBlob({ type: 'image/png' });
  return new Promise((done, failed) => canvas.toBlob((b) => (b ? done(b) : failed(new Error('There is no picture.'))), 'image/png'));
}

/** A player of its own, which shows one moment after another on a canvas that nobody sees. */
export class Projector {
  readonly canvas = new OffscreenCanvas(1, 1);
  #player: Player;
  #wrong: unknown;
  constructor(of: Of) {
    this.#player = new Player(new Parts(of.replay, of.fetch), new Board(this.canvas), {
      moved() {}, playing() {}, busy() {}, shown() {}, told() {}, failed: (e) => (this.#wrong = e),
    });
    if (of.stream !== null) this.#player.stream = of.stream;
  }
  async show(at: number): Promise<void> {
    await this.#player.seek(at);
    if (this.#wrong) throw this.#wrong;
  }
  /** When something changes next. */
  get next(): number {
    return this.#player.next;
  }
  stop(): void {
    this.#player.stop();
  }
}

const columns = 4;
const rows = 6;
const wide = 400; // pixels of one picture

/** Where pictures of a sheet stand: evenly over what happened, each a moment when something moved. */
export function moments(replay: Replay, n: number): number[] {
  const w = Math.max(1, replay.read) / Math.max(1, replay.activity.length);
  const busy = replay.activity.flatMap((b, i) => (b > 0 ? [Math.min(replay.duration, (i + 1) * w)] : []));
  const from = busy.length >= n ? busy : Array.from({ length: n }, (_, i) => ((i + 1) * replay.duration) / n);
  return Array.from({ length: n }, (_, i) => from[Math.floor(((i + 1) * from.length) / n) - 1]!);
}

/** What stands below a picture: its moment, how the scanner stood then, and whether the session was frozen. */
export function caption(replay: Pick<Replay, 'states' | 'read' | 'markers' | 'duration'>, at: number, states: Record<ModalityState, string>): string {
  const stands = stood(replay).findLast((s) => s.from <= at)?.is;
  const frozen = frozenSpans(replay).some(([from, to]) => from <= at && at < to);
  return [stamp(at), ...(stands ? [states[stands]] : []), ...(frozen ? ['frozen'] : [])].join(', ');
}

/** One picture that shows the session at a glance. Below is what stands under that of a moment. */
export async function contactSheet(of: Of, title: string, below: (at: number) => string, signal: AbortSignal, progress: (part: number) => void): Promise<Blob> {
  const show = new Projector(of);
  const all = moments(of.replay, columns * rows);
  try {
    await show.show(all[all.length >> 1]!);
    const high = Math.round((wide * Math.max(1, show.canvas.height)) / Math.max(1, show.canvas.width));
    const [gap, line, head] = [12, 22, 40];
    const sheet = new OffscreenCanvas(gap + columns * (wide + gap), head + rows * (high + line + gap));
    const d = sheet.getContext('2d')!;
    d.fillStyle = '#ffffff';
    d.fillRect(0, 0, sheet.width, sheet.height);
    d.fillStyle = '#1c2226';
    d.font = '16px sans-serif';
    d.fillText(title, gap, 26, sheet.width - 2 * gap);
    d.font = '13px sans-serif';
    for (const [i, at] of all.entries()) {
      signal.throwIfAborted();
      await show.show(at);
      const x = gap + (i % columns) * (wide + gap);
      const y = head + Math.floor(i / columns) * (high + line + gap);
      if (show.canvas.width) {
        const by = Math.min(wide / show.canvas.width, high / show.canvas.height);
        d.imageSmoothingQuality = 'high';
        d.drawImage(show.canvas, x, y, show.canvas.width * by, show.canvas.height * by);
      }
      d.fillText(below(at), x, y + high + 16, wide);
      progress((i + 1) / all.length);
    }
    return await asPNG(sheet);
  } finally {
    show.stop();
  }
}
