// A console that is not there: an RFB server at the far end of a page's attach stream.
import { deflateSync, inflateSync } from 'node:zlib';
import type { Agent } from './agent';

export interface Key {
  sym: number;
  code: number; // 0 where only the keysym came
  down: boolean;
}
const text = 1;
const actions = { caps: 1 << 24, request: 1 << 25, notify: 1 << 27, provide: 1 << 28 };

export class FakeConsole {
  width: number;
  height: number;
  pixels: Buffer; // R, G, B, 0
  keys: Key[] = [];
  pointers: { x: number; y: number; buttons: number }[] = [];
  pasted: string[] = [];
  #a: Agent;
  #in = Buffer.alloc(0);
  #step: 'version' | 'security' | 'init' | 'open' = 'version';
  #dirty = true;
  #asked = false;
  #told = false; // of keys and cursor
  #clipboard = '';

  constructor(a: Agent, width = 640, height = 480) {
    this.#a = a;
    [this.width, this.height] = [width, height];
    this.pixels = Buffer.alloc(width * height * 4);
    this.paint((x, y) => [x & 255, y & 255, (x ^ y) & 255]);
    const on = a.on;
    a.on = (type, payload, agent) => {
      on(type, payload, agent);
      if (type === 'J') this.#begin();
      if (type === 'I') this.#hear(payload);
    };
  }

  paint(colour: (x: number, y: number) => [number, number, number]): void {
    for (let y = 0; y < this.height; y++)
      for (let x = 0; x < this.width; x++) this.pixels.set(colour(x, y), (y * this.width + x) * 4);
    this.#dirty = true;
    this.#update();
  }
  /** Somebody copied a text at the device. */
  copies(t: string): void {
    this.#clipboard = t;
    this.#cut(actions.notify | text);
  }
  /** What was pressed, as letters: what went down, in order. */
  letters(): string {
    return this.keys.filter((k) => k.down && k.sym < 0xfe00 || k.down && k.sym > 0xffffff).map((k) => String.fromCodePoint(k.sym & 0xffffff)).join('');
  }

  #begin() {
    this.#step = 'version';
    this.#in = Buffer.alloc(0);
    this.#told = this.#asked = false;
    this.#dirty = true;
    this.#say(Buffer.from('RFB 003.008\n'));
  }
  #say(b: Buffer) {
    for (let i = 0; i < b.length; i += 65536) this.#a.say('O', b.subarray(i, i + 65536));
  }
  #cut(flags: number, rest = Buffer.alloc(0)) {
    const b = Buffer.alloc(12);
    b[0] = 3;
    b.writeInt32BE(-(4 + rest.length), 4);
    b.writeUInt32BE(flags >>> 0, 8);
    this.#say(Buffer.concat([b, rest]));
  }

  #hear(b: Buffer) {
    this.#in = Buffer.concat([this.#in, b]);
    for (;;) {
      const n = this.#one();
      if (n === 0 || this.#in.length < n) return;
      const m = this.#in.subarray(0, n);
      this.#in = this.#in.subarray(n);
      this.#do(m);
    }
  }
  /** The length of the next message; 0 where it is not known yet. */
  #one(): number {
    if (this.#step !== 'open') return this.#step === 'version' ? 12 : 1;
    if (this.#in.length === 0) return 0;
    const short = (at: number, f: () => number) => (this.#in.length < at ? 0 : f());
    switch (this.#in[0]) {
      case 0: return 20;
      case 2: return short(4, () => 4 + 4 * this.#in.readUInt16BE(2));
      case 3: return 10;
      case 4: return 8;
      case 5: return 6;
      case 6: return short(8, () => 8 + Math.abs(this.#in.readInt32BE(4)));
      case 255: return 12;
      default: throw new Error('a message of the type ' + this.#in[0]);
    }
  }
  #do(m: Buffer) {
    if (this.#step === 'version') {
      this.#step = 'security';
      return this.#say(Buffer.from([1, 1]));
    }
    if (this.#step === 'security') {
      this.#step = 'init';
      return this.#say(Buffer.alloc(4));
    }
    if (this.#step === 'init') {
      this.#step = 'open';
      const b = Buffer.alloc(24);
      b.writeUInt16BE(this.width, 0);
      b.writeUInt16BE(this.height, 2);
      b.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
      b.writeUInt32BE(4, 20);
      return this.#say(Buffer.concat([b, Buffer.from('cons')]));
    }
    switch (m[0]) {
      case 2:
        return this.#cut(actions.caps | actions.request | actions.notify | actions.provide | text, Buffer.alloc(4));
      case 3:
        this.#asked = true;
        this.#dirty ||= m[1] === 0;
        return this.#update();
      case 4:
        this.keys.push({ down: m[1] !== 0, sym: m.readUInt32BE(4), code: 0 });
        return;
      case 255:
        this.keys.push({ down: m.readUInt16BE(2) !== 0, sym: m.readUInt32BE(4), code: m.readUInt32BE(8) });
        return;
      case 5:
        this.pointers.push({ buttons: m[1]!, x: m.readUInt16BE(2), y: m.readUInt16BE(4) });
        return;
      case 6:
        return this.#text(m.subarray(8));
    }
  }
  #text(m: Buffer) {
    const flags = m.readUInt32BE(0);
    if (flags & actions.caps) return;
    if (flags & actions.notify) return this.#cut(actions.request | text);
    if (flags & actions.request) {
      const t = Buffer.from(this.#clipboard.replaceAll('\n', '\r\n') + '\0');
      const n = Buffer.alloc(4);
      n.writeUInt32BE(t.length);
      return this.#cut(actions.provide | text, deflateSync(Buffer.concat([n, t])));
    }
    const plain = inflateSync(m.subarray(4), { finishFlush: 2 });
    this.pasted.push(plain.subarray(4, 4 + plain.readUInt32BE(0)).toString().replace(/\0+$/, '').replaceAll('\r\n', '\n'));
  }
  #update() {
    if (!this.#asked || !this.#dirty || this.#step !== 'open') return;
    this.#asked = this.#dirty = false;
    const rect = (x: number, y: number, w: number, h: number, encoding: number, ...data: Buffer[]) => {
      const b = Buffer.alloc(12);
      [x, y, w, h].forEach((v, i) => b.writeUInt16BE(v, 2 * i));
      b.writeInt32BE(encoding, 8);
      return Buffer.concat([b, ...data]);
    };
    const rects: Buffer[] = [];
    if (!this.#told) rects.push(rect(0, 0, 0, 0, -258), rect(1, 1, 8, 8, -239, Buffer.alloc(8 * 8 * 4, 0x40), Buffer.alloc(8, 0xff)));
    this.#told = true;
    rects.push(rect(0, 0, this.width, this.height, 0, this.pixels));
    const head = Buffer.alloc(4);
    head.writeUInt16BE(rects.length, 2);
    this.#say(Buffer.concat([head, ...rects]));
  }
}
