// noVNC over the attach stream. Three things are ours: the channel under it, the pointer,
// which it would draw as a data: picture that the pages' policy refuses, and the keyboard,
// which goes through a text area so that dead keys and a phone's keyboard compose there.
import RFB, { type Cursor, type RawChannel } from '@novnc/novnc';
import { edits, keysymOf, keysyms } from './keysyms';

/** Carries noVNC's bytes on a connection that others opened. */
class Channel implements RawChannel {
  binaryType = 'arraybuffer';
  protocol = '';
  readyState: 'open' | 'closed' = 'open';
  onopen: RawChannel['onopen'] = null;
  onmessage: RawChannel['onmessage'] = null;
  onclose: RawChannel['onclose'] = null;
  onerror: RawChannel['onerror'] = null;
  /** Called after a text for the device's clipboard was handed over. */
  onprovided = () => {};
  #send: (bytes: Uint8Array) => void;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }
  send(bytes: Uint8Array): void {
    if (this.readyState !== 'open') return;
    this.#send(bytes);
    // a cut text of the extended clipboard whose action is "provide": one message, or its first part
    if (bytes[0] === 6 && bytes.length >= 12 && bytes[4]! & 0x80 && bytes[8]! & 0x10) setTimeout(this.onprovided);
  }
  close(): void {
    this.readyState = 'closed';
  }
}

/** The device's pointer, drawn where the mouse is. */
class Arrow implements Cursor {
  #over: HTMLElement | null = null;
  #picture = document.createElement('canvas');
  #hot = { x: 0, y: 0 };
  #at = { x: 0, y: 0 };
  #follow = (e: MouseEvent) => this.move(e.clientX, e.clientY);
  #hide = () => void (this.#picture.hidden = true);

  constructor() {
    Object.assign(this.#picture.style, { position: 'fixed', zIndex: '5', pointerEvents: 'none' });
    this.#picture.setAttribute('aria-hidden', 'true');
    this.#picture.hidden = true;
  }
  attach(target: HTMLElement): void {
    this.#over = target;
    target.addEventListener('mousemove', this.#follow, { capture: true, passive: true });
    target.addEventListener('mouseleave', this.#hide);
    document.body.append(this.#picture);
    this.clear();
  }
  detach(): void {
    this.#over?.removeEventListener('mousemove', this.#follow, { capture: true });
    this.#over?.removeEventListener('mouseleave', this.#hide);
    this.#over = null;
    this.#picture.remove();
  }
  change(rgba: Uint8Array, hotX: number, hotY: number, width: number, height: number): void {
    if (width === 0 || height === 0) return this.clear();
    Object.assign(this.#picture, { width, height });
    this.#hot = { x: hotX, y: hotY };
    this.#picture.getContext('2d')!.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
    this.#place();
  }
  clear(): void {
    if (this.#over) this.#over.style.cursor = 'none';
    Object.assign(this.#picture, { width: 0, height: 0 });
    this.#hot = { x: 0, y: 0 };
  }
  move(x: number, y: number): void {
    this.#at = { x, y };
    this.#picture.hidden = this.#over === null;
    this.#place();
  }
  #place(): void {
    this.#picture.style.left = this.#at.x - this.#hot.x + 'px';
    this.#picture.style.top = this.#at.y - this.#hot.y + 'px';
  }
}

/** What the page wants of a viewer, and hears from it. */
export interface Viewing {
  host: HTMLElement;
  /** Takes the keys; it stands in the host. */
  sink: HTMLTextAreaElement;
  send: (bytes: Uint8Array) => void;
  /** Keys, pointer and texts may go to the device at all. */
  control: boolean;
  clipboard: boolean;
  size: (width: number, height: number) => void;
  copied: (text: string) => void;
  /** Something was done that does not go through. */
  held: () => void;
  /** Keys that were held down for the next one are up again. */
  unstuck: () => void;
  /** What came was no picture. */
  broken: () => void;
}

const pasteWithin = 5000;
const modifier = (keysym: number) => (keysym >= 0xffe1 && keysym <= 0xffee) || keysym === keysyms.Level3 || keysym === keysyms.ModeSwitch;

/** Letters as they are on the engineer's keyboard, or its keys by where they are. */
export type Typing = 'letters' | 'positions';

export class Viewer extends RFB {
  #v: Viewing;
  #channel: Channel;
  #stuck = new Set<number>();
  #buttons = 0;
  typing: Typing = 'letters';
  /** Nothing goes through now: the session is frozen. */
  frozen = false;

  constructor(v: Viewing) {
    const channel = new Channel(v.send);
    super(v.host, channel, { shared: true });
    this.#v = v;
    this.#channel = channel;
    this.viewOnly = !v.control && !v.clipboard;
    this.focusOnClick = v.control;
    this.showDotCursor = v.control;
    this.background = 'transparent';
    this.addEventListener('clipboard', (e) => v.copied((e as CustomEvent<{ text: string }>).detail.text));
    this.addEventListener('disconnect', (e) => !(e as CustomEvent<{ clean: boolean }>).detail.clean && v.broken());
  }

  /** Bytes of the device. */
  take(bytes: Uint8Array<ArrayBuffer>): void {
    this.#channel.onmessage?.({ data: bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer });
  }
  get canvas(): HTMLCanvasElement {
    return this._canvas;
  }
  /** The part that scrolls. */
  get port(): HTMLElement {
    return this._screen;
  }
  /** Lets go of all keys: whoever leaves the console holds none down. */
  letGo(): void {
    this._keyboard._allKeysUp();
  }
  /** Holds a key down until the next one was pressed, or a click; or lets go of it. True while it is down. */
  stick(keysym: number): boolean {
    const down = !this.#stuck.has(keysym);
    if (down && this.#may(true)) this.#stuck.add(keysym);
    else this.#stuck.delete(keysym);
    this.sendKey(keysym, null, down);
    return this.#stuck.has(keysym);
  }
  /** The device let go of what was held down. */
  forget(): void {
    this.#stuck.clear();
    this.#v.unstuck();
  }
  /** Gives the device a text for its clipboard; true once it took it. */
  paste(text: string): Promise<boolean> {
    return new Promise((done) => {
      const late = setTimeout(() => done(false), pasteWithin);
      this.#channel.onprovided = () => {
        clearTimeout(late);
        done(true);
      };
      this.clipboardPasteFrom(text);
    });
  }
  /** Presses keys together, and lets go of them in the other order. */
  chord(...keys: number[]): void {
    for (const k of keys) this.sendKey(k, null, true);
    for (const k of keys.reverse()) this.sendKey(k, null, false);
  }
  type(from: string, to: string): void {
    const { back, typed } = edits(from, to);
    for (let i = 0; i < back; i++) this.chord(keysyms.BackSpace);
    for (const c of typed) this.chord(keysymOf(c));
  }

  override focus(options?: FocusOptions): void {
    this.#v.sink.focus(options);
  }

  override sendKey(keysym: number, code: string | null, down?: boolean): void {
    if (down === undefined) return super.sendKey(keysym, code, down);
    if (!this.#may(down)) return;
    if (this.typing === 'letters') {
      // What they make is sent, and the device presses for it what it needs itself.
      if (keysym === keysyms.Level3 || keysym === keysyms.ModeSwitch || keysym === keysyms.CapsLock) return;
      code = null;
    }
    super.sendKey(keysym, code, down);
    if (!down && !modifier(keysym)) this.#unstick();
  }

  protected override _sendMouse(x: number, y: number, buttons: number): void {
    if (!this.#may(buttons !== 0)) return;
    super._sendMouse(x, y, buttons);
    if (this.#buttons !== 0 && buttons === 0) this.#unstick();
    this.#buttons = buttons;
  }

  protected override _connect(): void {
    this._cursor = new Arrow();
    this._keyboard._target = this._target.querySelector('textarea')!;
    super._connect();
  }

  protected override _resize(width: number, height: number): void {
    super._resize(width, height);
    this.#v.size(width, height);
  }

  #unstick(): void {
    if (this.#stuck.size === 0) return;
    for (const k of this.#stuck) super.sendKey(k, null, false);
    this.forget();
  }

  #may(does: boolean): boolean {
    if (!this.#v.control) return false;
    if (this.frozen && does) this.#v.held();
    return !this.frozen;
  }
}
