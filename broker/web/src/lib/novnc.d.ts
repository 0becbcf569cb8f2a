// As much of noVNC 1.7.0 as this application uses; what begins with _ is not its public
// interface, and is looked at again with every new version.
declare module '@novnc/novnc' {
  /** As much of a WebSocket as noVNC uses. */
  export interface RawChannel {
    binaryType: string;
    readonly protocol: string;
    readonly readyState: 'open' | 'closed';
    onopen: (() => void) | null;
    onmessage: ((e: { data: ArrayBufferLike }) => void) | null;
    onclose: ((e: { code: number; reason: string }) => void) | null;
    onerror: (() => void) | null;
    send(bytes: Uint8Array): void;
    close(): void;
  }
  export interface Cursor {
    attach(target: HTMLElement): void;
    detach(): void;
    change(rgba: Uint8Array, hotX: number, hotY: number, width: number, height: number): void;
    clear(): void;
    move(clientX: number, clientY: number): void;
  }
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: RawChannel, options?: { shared?: boolean });
    viewOnly: boolean;
    scaleViewport: boolean;
    clipViewport: boolean;
    focusOnClick: boolean;
    showDotCursor: boolean;
    background: string;
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    sendCtrlAltDel(): void;
    clipboardPasteFrom(text: string): void;
    focus(options?: FocusOptions): void;
    disconnect(): void;
    protected _target: HTMLElement;
    protected _screen: HTMLDivElement;
    protected _canvas: HTMLCanvasElement;
    protected _cursor: Cursor;
    protected _keyboard: { _target: EventTarget; _allKeysUp(): void };
    protected _connect(): void;
    protected _sendMouse(x: number, y: number, buttons: number): void;
    protected _resize(width: number, height: number): void;
  }
}
