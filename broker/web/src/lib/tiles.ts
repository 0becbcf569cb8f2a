// A console as it stands in a recording: tiles of 64 x 64 pixels, as the package
// recordings/frames of the agent writes them. Everything is bounded and checked: what cannot
// be is refused, as it is there.

const tile = 64;
const mostSide = 8192;
const mostPixels = 3840 * 2400;
const mostCursor = 64;
const mostColours = 253;
const box = 254;
const pointed = 0x50; // "P", an input of the pointer
const same = 255;

const malformed = () => new Error('A part of this console cannot be read.');

/** Bytes that are read from the front. */
class Bytes {
  readonly b: Uint8Array;
  at = 0;
  constructor(b: Uint8Array) {
    this.b = b;
  }
  get left(): number {
    return this.b.length - this.at;
  }
  need(n: number): void {
    if (this.left < n) throw malformed();
  }
  one(): number {
    this.need(1);
    return this.b[this.at++]!;
  }
  two(): number {
    return (this.one() << 8) | this.one();
  }
  /** A colour as canvases have it: alpha, blue, green, red from the highest byte. */
  colour(): number {
    const [r, g, b] = [this.one(), this.one(), this.one()];
    return 0xff000000 | (b << 16) | (g << 8) | r;
  }
}

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A pointer as the device shows it. */
export interface Shape {
  hotX: number;
  hotY: number;
  w: number;
  h: number;
  /** Red, green, blue, alpha of each pixel. */
  pix: Uint8ClampedArray<ArrayBuffer>;
}

/** What a console shows. */
export class Picture {
  w = 0;
  h = 0;
  /** Masks hide some or all of it. */
  hidden = false;
  /** Red, green, blue, alpha of each pixel, row by row. */
  pix = new Uint8ClampedArray(0);
  /** What changed since somebody took it. */
  changed: Box | null = null;
  /** The pointer's picture; null: it has none. */
  shape: Shape | null = null;
  /** Where the pointer is. Only what was typed tells, which is sealed: null where nobody opened it. */
  pointer: { x: number; y: number } | null = null;
  #words = new Int32Array(0);

  /** Lets an event happen: "w" size, "t" tiles, "k" cursor, "i" an input that was opened. */
  take(kind: string, data: Uint8Array): void {
    const b = new Bytes(data);
    if (kind === 'w') this.#size(b);
    else if (kind === 't') this.#tiles(b);
    else if (kind === 'k') this.shape = cursor(b);
    else if (kind === 'i') return this.#point(b);
    else return;
    if (b.left) throw malformed();
  }

  /** Begins with a screen as it stood. */
  stand(data: Uint8Array): void {
    const b = new Bytes(data);
    this.#size(b);
    this.shape = cursor(b);
    this.pointer = null;
    const wide = Math.ceil(this.w / tile);
    const count = wide * Math.ceil(this.h / tile);
    const before: number[] = [];
    for (let n = 0; n < count; n++) {
      this.#tile(b, n % wide, Math.floor(n / wide), before);
      before.push(n);
    }
    if (b.left) throw malformed();
  }

  /** Nothing stands any more. */
  clear(): void {
    this.w = this.h = 0;
    this.hidden = false;
    this.shape = this.pointer = null;
    this.pix = new Uint8ClampedArray(0);
    this.#words = new Int32Array(0);
    this.changed = null;
  }

  /** What changed, once. */
  taken(): Box | null {
    const c = this.changed;
    this.changed = null;
    return c;
  }

  /** Input says where the pointer went; keys and text are nothing to see. */
  #point(b: Bytes): void {
    if (b.left !== 7 || b.one() !== pointed) return;
    this.pointer = { x: b.two(), y: b.two() };
  }

  #size(b: Bytes): void {
    const [w, h, flags] = [b.two(), b.two(), b.one()];
    if (w < 1 || h < 1 || w > mostSide || h > mostSide || w * h > mostPixels || flags > 1) throw malformed();
    this.w = w;
    this.h = h;
    this.hidden = flags === 1;
    this.#words = new Int32Array(w * h).fill(0xff000000 | 0);
    this.pix = new Uint8ClampedArray(this.#words.buffer);
    this.changed = { x: 0, y: 0, w, h };
  }

  #tiles(b: Bytes): void {
    const wide = Math.ceil(this.w / tile);
    const high = Math.ceil(this.h / tile);
    const before: number[] = [];
    while (b.left) {
      const [x, y] = [b.one(), b.one()];
      const n = y * wide + x;
      if (x >= wide || y >= high || n <= (before.at(-1) ?? -1)) throw malformed();
      this.#tile(b, x, y, before);
      before.push(n);
    }
  }

  /** Reads a tile into its place; before are the places of those that were read. */
  #tile(b: Bytes, tx: number, ty: number, before: number[]): void {
    const x = tx * tile;
    const y = ty * tile;
    const w = Math.min(tile, this.w - x);
    const h = Math.min(tile, this.h - y);
    const form = b.one();
    if (form === same) this.#again(b.two(), before, x, y, w, h);
    else if (form === box) {
      const [bx, by, bw, bh] = [b.one(), b.one(), b.one(), b.one()];
      if (!bw || !bh || bx + bw > w || by + bh > h) throw malformed();
      return this.#draw(b, b.one(), x + bx, y + by, bw, bh);
    } else return this.#draw(b, form, x, y, w, h);
    this.#touch(x, y, w, h);
  }

  /** Reads the pixels of a tile, or of a part of one. */
  #draw(b: Bytes, form: number, x: number, y: number, w: number, h: number): void {
    const px = this.#words;
    if (form === 0) {
      b.need(3 * w * h);
      for (let r = 0; r < h; r++) for (let c = 0, to = (y + r) * this.w + x; c < w; c++) px[to + c] = 0xff000000 | (b.b[b.at + 2]! << 16) | (b.b[b.at + 1]! << 8) | b.b[b.at]!, (b.at += 3);
    } else if (form > mostColours) throw malformed();
    else {
      const colours: number[] = [];
      for (let i = 0; i < form; i++) colours.push(b.colour());
      if (form === 1) for (let r = 0; r < h; r++) px.fill(colours[0]!, (y + r) * this.w + x, (y + r) * this.w + x + w);
      else this.#indexed(b, colours, x, y, w, h);
    }
    this.#touch(x, y, w, h);
  }

  #indexed(b: Bytes, colours: number[], x: number, y: number, w: number, h: number): void {
    const bits = colours.length <= 2 ? 1 : colours.length <= 4 ? 2 : colours.length <= 16 ? 4 : 8;
    const row = Math.ceil((w * bits) / 8);
    const each = 8 / bits;
    const mask = (1 << bits) - 1;
    b.need(row * h);
    // What an index beyond the colours means is not asked pixel by pixel: it would be no colour.
    const all = new Int32Array(mask + 1);
    for (let i = 0; i < colours.length; i++) all[i] = colours[i]!;
    const [px, from] = [this.#words, b.b];
    let odd = 0;
    for (let r = 0; r < h; r++) {
      let to = (y + r) * this.w + x;
      for (let i = 0, left = w; i < row; i++, left -= each) {
        const v = from[b.at + i]!;
        for (let k = 0, shift = 8 - bits; k < each && k < left; k++, shift -= bits) {
          const n = (v >> shift) & mask;
          odd |= +(n >= colours.length);
          px[to++] = all[n]!;
        }
      }
      b.at += row;
    }
    if (odd) throw malformed();
  }

  #again(n: number, before: number[], x: number, y: number, w: number, h: number): void {
    const place = before[n];
    if (place === undefined) throw malformed();
    const wide = Math.ceil(this.w / tile);
    const fx = (place % wide) * tile;
    const fy = Math.floor(place / wide) * tile;
    if (Math.min(tile, this.w - fx) !== w || Math.min(tile, this.h - fy) !== h) throw malformed();
    for (let r = 0; r < h; r++) {
      const from = (fy + r) * this.w + fx;
      this.#words.copyWithin((y + r) * this.w + x, from, from + w);
    }
  }

  #touch(x: number, y: number, w: number, h: number): void {
    const c = this.changed;
    if (!c) return void (this.changed = { x, y, w, h });
    const right = Math.max(c.x + c.w, x + w);
    const bottom = Math.max(c.y + c.h, y + h);
    const [left, top] = [Math.min(c.x, x), Math.min(c.y, y)];
    this.changed = { x: left, y: top, w: right - left, h: bottom - top };
  }
}

/** Reads a pointer's picture. */
function cursor(b: Bytes): Shape | null {
  const [hx, hy, w, h] = [b.two(), b.two(), b.two(), b.two()];
  const none = !hx && !hy && !w && !h;
  if (w > mostCursor || h > mostCursor || (!none && (hx >= w || hy >= h))) throw malformed();
  b.need(4 * w * h);
  const pix = new Uint8ClampedArray(4 * w * h);
  for (let i = 0; i < pix.length; i += 4, b.at += 4) {
    pix[i] = b.b[b.at + 1]!;
    pix[i + 1] = b.b[b.at + 2]!;
    pix[i + 2] = b.b[b.at + 3]!;
    pix[i + 3] = b.b[b.at]!;
  }
  return w && h ? { hotX: hx, hotY: hy, w, h, pix } : null;
}
