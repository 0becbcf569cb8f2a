// Small pictures of the moments of a recording, for the time line. They are fetched one at a
// time, and only the newest that is wanted.

const most = 200; // that are kept
const steps = 400; // moments that are told apart

export class Thumbs {
  #source: string;
  #duration: () => number;
  #have = new Map<number, ImageBitmap | null>(); // the latest used last; null: there is none
  #want: number | null = null;
  #running: Promise<void> | null = null;
  #gone = new AbortController();

  constructor(source: string, duration: () => number) {
    this.#source = source;
    this.#duration = duration;
  }

  /** Draws the moment; false where it has no picture, or another moment was wanted meanwhile. */
  async draw(canvas: HTMLCanvasElement, at: number): Promise<boolean> {
    const step = Math.max(1e6, this.#duration() / steps);
    const key = Math.floor(Math.floor(at / step) * step);
    if (!this.#have.has(key)) {
      this.#want = key;
      this.#running ??= this.#fetch().finally(() => (this.#running = null));
      await this.#running;
    }
    const picture = this.#have.get(key);
    if (!picture) return false;
    this.#have.delete(key);
    this.#have.set(key, picture);
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext('2d')?.drawImage(picture, 0, 0);
    return true;
  }

  async #fetch(): Promise<void> {
    while (this.#want !== null && !this.#gone.signal.aborted) {
      const key = this.#want;
      this.#want = null;
      let picture: ImageBitmap | null = null;
      try {
        const r = await fetch(`${this.#source}/thumb/${key}`, { credentials: 'same-origin', cache: 'no-store', signal: this.#gone.signal });
        if (r.ok) picture = await createImageBitmap(await r.blob());
        else if (r.status === 429 || r.status >= 500) continue; // another time
      } catch {
        continue;
      }
      this.#have.set(key, picture);
      for (const old of this.#have.keys()) {
        if (this.#have.size <= most) break;
        this.#have.get(old)?.close();
        this.#have.delete(old);
      }
    }
  }

  stop(): void {
    this.#gone.abort();
    for (const p of this.#have.values()) p?.close();
    this.#have.clear();
  }
}
