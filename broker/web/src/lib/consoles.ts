// A console's picture as the stage of a replay: what happens is drawn on a canvas.
import { decode, type Stage } from './replay';
import { Picture } from './tiles';
import type { Kind, ReplayPart } from './types';

/** Draws on a canvas what a picture shows of a console. */
export class Board implements Stage {
  readonly most = 4 << 20;
  readonly picture = new Picture();
  #canvas: HTMLCanvasElement | OffscreenCanvas;
  #seen: (p: Picture) => void;

  /** seen is called when the size changed, or what is hidden. */
  constructor(canvas: HTMLCanvasElement | OffscreenCanvas, seen: (p: Picture) => void = () => {}) {
    this.#canvas = canvas;
    this.#seen = seen;
  }

  async happen(kind: Kind, data: string): Promise<number> {
    if (kind !== 'w' && kind !== 't' && kind !== 'k') return 0;
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
    const c = p.taken();
    if (!c || !p.w) return;
    const d = this.#canvas.getContext('2d', { alpha: false, desynchronized: false }) as CanvasRenderingContext2D | null;
    d?.putImageData(new ImageData(p.pix, p.w, p.h), 0, 0, c.x, c.y, c.w, c.h);
  }
}
