// xterm.js under a strict policy. Its renderer writes <style> elements and style
// attributes; the elements get the page's nonce, the attributes become rules of the
// object model, which the policy allows. Nothing that a device prints opens a link,
// sets the page's title or reaches the clipboard.
import { Terminal, type ITerminalInitOnlyOptions, type ITerminalOptions, type ITheme } from '@xterm/xterm';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import '@xterm/xterm/css/xterm.css';

function nonce(): string {
  const m = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]');
  return m?.content ?? '';
}

/** The renderer sets colours as style attributes of spans: they become rules of the object model. */
function styleSpans(): void {
  if (Object.hasOwn(HTMLSpanElement.prototype, 'setAttribute')) return;
  HTMLSpanElement.prototype.setAttribute = function (this: HTMLSpanElement, name: string, value: string) {
    if (name === 'style') this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}

/** All <style> elements are made while a terminal opens; later they only change. */
function withNonce(open: () => void): void {
  const make = document.createElement.bind(document);
  document.createElement = ((name: string, how?: ElementCreationOptions) => {
    const e = make(name, how);
    if (name.toLowerCase() === 'style') e.nonce = nonce();
    return e;
  }) as typeof document.createElement;
  try {
    open();
  } finally {
    delete (document as { createElement?: unknown }).createElement;
  }
}

let canvas: CanvasRenderingContext2D | null = null;
/** A token as #rrggbb, in the light that is on. */
function token(name: string, probe: HTMLElement): string {
  probe.style.color = `var(${name})`;
  canvas ??= Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true })!;
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = getComputedStyle(probe).color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
  return '#' + [r, g, b].map((x) => x!.toString(16).padStart(2, '0')).join('');
}

const light = ['#3b3f46', '#a8322d', '#2f6b33', '#7d5700', '#2b5aa0', '#7a3b87', '#16686f', '#5c6068', '#5a5f68', '#b5352f', '#34753a', '#7f5a00', '#2f63b3', '#84418f', '#187179', '#3b3f46'];
const dark = ['#5a6270', '#ec8a82', '#8fcf8f', '#dcb968', '#8db8f0', '#d3a2de', '#78c8cf', '#d0d4dc', '#8891a0', '#f5a39c', '#a9e0a8', '#eccf8b', '#abccf7', '#e2bdea', '#99dbe0', '#eef1f6'];
const names = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white', 'brightBlack', 'brightRed', 'brightGreen', 'brightYellow', 'brightBlue', 'brightMagenta', 'brightCyan', 'brightWhite'] as const;

export function theme(host: HTMLElement): ITheme {
  const probe = document.createElement('span');
  probe.hidden = true;
  host.append(probe);
  const t: ITheme = {
    background: token('--surface', probe),
    foreground: token('--text', probe),
    cursor: token('--accent', probe),
    cursorAccent: token('--surface', probe),
    selectionBackground: token('--accent-soft', probe),
    selectionInactiveBackground: token('--sunk', probe),
    scrollbarSliderBackground: token('--line', probe),
    scrollbarSliderHoverBackground: token('--line-strong', probe),
    scrollbarSliderActiveBackground: token('--line-strong', probe),
  };
  const palette = matchMedia('(prefers-color-scheme: dark)').matches ? dark : light;
  names.forEach((n, i) => (t[n] = palette[i]!));
  probe.remove();
  return t;
}

/** What a device says about the world outside of its screen is not heard. */
export function deaf(t: Terminal): void {
  const done = () => true;
  // titles, icon names, working directory, hyperlinks, notifications, clipboard, programs' own
  for (const n of [0, 1, 2, 7, 8, 9, 52, 99, 133, 777, 1337]) t.parser.registerOscHandler(n, done);
  // colours stay ours: contrast is checked, and a question about them is not answered
  for (const n of [4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 104, 105, 110, 111, 112, 117, 119]) t.parser.registerOscHandler(n, done);
  // window operations, checksums of the screen (DECRQCRA)
  t.parser.registerCsiHandler({ final: 't' }, done);
  t.parser.registerCsiHandler({ intermediates: '*', final: 'y' }, done);
}

interface Core {
  buffers: { active: { x: number; y: number; lines: { length: number } } };
  _inputHandler: { eraseInDisplay(params: { params: number[] }): boolean };
}

/** Clearing up to the last place of a new screen breaks xterm.js 6.0.0: it looks at the line
 *  behind the last one, throws, and shows nothing any more. It is clearing all of the screen. */
export function whole(t: Terminal): void {
  const core = (t as unknown as { _core: Core })._core;
  t.parser.registerCsiHandler({ final: 'J' }, (params) => {
    const b = core.buffers.active;
    return params[0] === 1 && b.x + 1 >= t.cols && b.y + 1 >= b.lines.length && core._inputHandler.eraseInDisplay({ params: [2] });
  });
}

interface Line {
  length: number;
  getWidth(x: number): number;
  setCell(x: number, cell: unknown): void;
  resize(cols: number, cell: unknown): unknown;
}
interface Buffer {
  getNullCell(): unknown;
  lines: { length: number; get(i: number): Line | undefined };
}

/** Gives a recorded screen another size as the agent's picture of it gets one: a line is cut
 *  or goes on blank. Wrapping anew, as this terminal would, shows what stood nowhere. */
export function refit(t: Terminal, cols: number, rows: number): void {
  const { normal, alt } = (t as unknown as { _core: { buffers: { normal: Buffer; alt: Buffer } } })._core.buffers;
  for (const b of [normal, alt]) Object.defineProperty(b, '_isReflowEnabled', { value: false, configurable: true });
  t.resize(cols, rows);
  for (const b of [normal, alt]) {
    const blank = b.getNullCell();
    for (let i = 0; i < b.lines.length; i++) {
      const line = b.lines.get(i)!;
      if (line.length > cols) line.resize(cols, blank);
      if (line.getWidth(cols - 1) === 2) line.setCell(cols - 1, blank);
    }
  }
}

export interface Shown {
  term: Terminal;
  close(): void;
}

/** A terminal that shows itself in host, which the page gives its size. */
export async function screen(host: HTMLElement, options: ITerminalOptions & ITerminalInitOnlyOptions): Promise<Shown> {
  // Cells are measured once: the face must be there before.
  await Promise.race([document.fonts.load("14px 'JetBrains Mono'").catch(() => []), new Promise((r) => setTimeout(r, 1500))]);
  const term = new Terminal({
    allowProposedApi: true, // which character is wide,
    fontFamily: "'JetBrains Mono', ui-monospace, Menlo, Consolas, monospace",
    fontSize: 14,
    fontWeight: 400,
    fontWeightBold: 400,
    lineHeight: 1.2,
    minimumContrastRatio: 4.5,
    drawBoldTextInBrightColors: true,
    scrollback: 5000,
    theme: theme(host),
    linkHandler: { activate: () => {}, allowNonHttpProtocols: false },
    ...options,
  });
  // Programs and the agent's picture count the columns of a character by a table of this age.
  term.loadAddon(new Unicode11Addon());
  term.unicode.activeVersion = '11';
  deaf(term);
  whole(term);
  styleSpans();
  withNonce(() => term.open(host));
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const repaint = () => (term.options.theme = theme(host));
  scheme.addEventListener('change', repaint);
  return {
    term,
    close() {
      scheme.removeEventListener('change', repaint);
      term.dispose();
    },
  };
}
