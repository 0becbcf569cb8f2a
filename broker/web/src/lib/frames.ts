// Frames of the attach stream: type (1 byte), length (4 bytes, big endian), payload.
// The messages of the WebSocket mean nothing; a frame may come in any number of them.
// What does not fit ends the connection: nothing is guessed.

export const maxPayload = 64 << 10;
export const maxJSON = 16 << 10;
export const maxCode = 64; // bytes of what the operator read out, as it was typed
const header = 5;

/** What an agent may send, with the least and the most bytes of its payload. */
const fromAgent: Record<string, [number, number]> = {
  C: [2, maxJSON],
  W: [2, maxJSON],
  R: [2, maxJSON],
  N: [2, maxJSON],
  F: [2, maxJSON],
  O: [1, maxPayload],
  S: [4, maxPayload],
  D: [5, maxPayload],
  K: [8, 8],
  P: [0, 8],
};
/** What a browser may send. */
const fromBrowser: Record<string, [number, number]> = {
  J: [2, maxJSON],
  F: [2, maxJSON],
  I: [1, maxPayload],
  Z: [4, 4],
  T: [4, 4],
  E: [4, 4],
  X: [0, 0],
  P: [0, 8],
  D: [5, maxPayload],
  K: [8, 8],
  L: [4, 4],
  A: [1, maxCode],
};

export type Incoming = 'C' | 'W' | 'R' | 'N' | 'F' | 'O' | 'S' | 'D' | 'K' | 'P';
export type Outgoing = 'J' | 'F' | 'I' | 'Z' | 'T' | 'E' | 'X' | 'P' | 'D' | 'K' | 'L' | 'A';
export interface Frame {
  type: Incoming;
  payload: Uint8Array<ArrayBuffer>;
}

/** A frame that is none. */
export class BadFrame extends Error {}

/** Puts an agent's frames together again. It holds at most one frame that is not whole. */
export class Frames {
  #head = new Uint8Array(header);
  #have = 0; // bytes of the head
  #payload: Uint8Array<ArrayBuffer> | null = null;
  #filled = 0;
  #broken = false;

  /** Gives every frame that these bytes complete; throws BadFrame, and then for ever. */
  push(bytes: Uint8Array): Frame[] {
    const done: Frame[] = [];
    let at = 0;
    while (at < bytes.length || (this.#payload && this.#payload.length === 0)) {
      if (this.#broken) throw new BadFrame('after a malformed frame');
      if (!this.#payload) {
        this.#head[this.#have++] = bytes[at++]!;
        if (this.#have === 1 && !this.#bounds()) this.#fail('a type that an agent does not send');
        if (this.#have < header) continue;
        this.#payload = new Uint8Array(this.#length());
        this.#filled = 0;
      }
      const n = Math.min(bytes.length - at, this.#payload.length - this.#filled);
      this.#payload.set(bytes.subarray(at, at + n), this.#filled);
      this.#filled += n;
      at += n;
      if (this.#filled === this.#payload.length) {
        done.push({ type: String.fromCharCode(this.#head[0]!) as Incoming, payload: this.#payload });
        this.#payload = null;
        this.#have = 0;
      }
    }
    return done;
  }

  #bounds(): [number, number] | undefined {
    const name = String.fromCharCode(this.#head[0]!);
    return Object.hasOwn(fromAgent, name) ? fromAgent[name] : undefined;
  }

  #length(): number {
    const n = new DataView(this.#head.buffer).getUint32(1);
    const [least, most] = this.#bounds()!;
    if (n < least || n > most) this.#fail('a length out of bounds');
    return n;
  }

  #fail(why: string): never {
    this.#broken = true;
    throw new BadFrame(why);
  }
}

/** A frame to send. */
export function frame(type: Outgoing, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const n = parts.reduce((sum, p) => sum + p.length, 0);
  const [least, most] = fromBrowser[type]!;
  if (n < least || n > most) throw new BadFrame('a length out of bounds');
  const out = new Uint8Array(header + n);
  out[0] = type.charCodeAt(0);
  new DataView(out.buffer).setUint32(1, n);
  let at = header;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true });

export function jsonFrame(type: 'J' | 'F', document: unknown): Uint8Array<ArrayBuffer> {
  return frame(type, utf8.encode(JSON.stringify(document)));
}

/** The JSON object in a payload. */
export function object(payload: Uint8Array): Record<string, unknown> {
  let v: unknown;
  try {
    v = JSON.parse(strict.decode(payload));
  } catch {
    throw new BadFrame('JSON that is none');
  }
  if (typeof v !== 'object' || v === null || Array.isArray(v)) throw new BadFrame('JSON that is no object');
  return v as Record<string, unknown>;
}

export function u16s(...n: number[]): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(n.length * 2);
  const v = new DataView(b.buffer);
  n.forEach((x, i) => v.setUint16(i * 2, x));
  return b;
}
export function u32s(...n: number[]): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(n.length * 4);
  const v = new DataView(b.buffer);
  n.forEach((x, i) => v.setUint32(i * 4, x));
  return b;
}
export function u32(b: Uint8Array, at = 0): number {
  return new DataView(b.buffer, b.byteOffset, b.byteLength).getUint32(at);
}

export function base64url(b: Uint8Array): string {
  let s = '';
  for (const x of b) s += String.fromCharCode(x);
  return btoa(s).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
