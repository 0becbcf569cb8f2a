// A console's picture as the stage of a replay: what happens is drawn on a canvas.
import { decode, type Stage } from './replay';
import { Picture, type Box, type Shape } from './tiles';
import type { Kind, ReplayPart } from './types';

/** What happens to a console's picture. */
const draws = (kind: string) => kind === 'w' || kind === 't' || kind === 'k' || kind === 'i';

/** Draws on a canvas what a picture shows of a console. */
export class Board implements Stage {
  readonly most = 4 << 20;
  readonly picture = new Picture();
  #canvas: HTMLCanvasElement | OffscreenCanvas;
  #seen: (p: Picture) => void;
  #under: Box | null = null; // where the pointer is drawn

  /** seen is called when the size changed, or what is hidden. */
  constructor(canvas: HTMLCanvasElement | OffscreenCanvas, seen: (p: Picture) => void = () => {}) {
    this.#canvas = canvas;
    this.#seen = seen;
  }

  async happen(kind: Kind, data: string): Promise<number> {
    if (!draws(kind)) return 0;
    const b = decode(data);
    this.picture.take(kind, b);
    return b.length;
  }

  async stand(p: ReplayPart, stream: number | null): Promise<void> {
    const c = p.consoles.find((x) => x.stream === stream);
    if (c) this.picture.stand(decode(c.draw));
    else this.picture.clear();
    await this.flush();
  }

  async flush(): Promise<void> {
    const p = this.picture;
    if (this.#canvas.width !== p.w || this.#canvas.height !== p.h) {
      this.#canvas.width = p.w;
      this.#canvas.height = p.h;
      if (p.w) p.changed = { x: 0, y: 0, w: p.w, h: p.h };
    }
    this.#seen(p);
    const here = p.pointer && p.shape ? { x: p.pointer.x - p.shape.hotX, y: p.pointer.y - p.shape.hotY, w: p.shape.w, h: p.shape.h } : null;
    const c = p.taken();
    if (!p.w || (!c && here?.x === this.#under?.x && here?.y === this.#under?.y && here?.w === this.#under?.w)) return;
    const d = this.#canvas.getContext('2d', { alpha: false, desynchronized: false }) as CanvasRenderingContext2D | null;
    if (!d) return;
    const all = new ImageData(p.pix, p.w, p.h);
    for (const box of [c, this.#under, here]) if (box) d.putImageData(all, 0, 0, box.x, box.y, box.w, box.h);
    this.#under = here;
    if (here) d.drawImage(pictureOf(p.shape!), here.x, here.y);
  }
}

/** A pointer's picture, to be drawn over others. */
export function pictureOf(s: Shape): OffscreenCanvas {
  const c = new OffscreenCanvas(s.w, s.h);
  c.getContext('2d')!.putImageData(new ImageData(s.pix, s.w, s.h), 0, 0);
  return c;
}
