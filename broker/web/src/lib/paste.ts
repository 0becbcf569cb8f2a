// What is pasted is typed into a scanner's computer, so it is shown first, and what
// no screen shows is left out: escape sequences, control characters, marks that turn
// text around.

export interface Paste {
  text: string; // what will be typed; lines end in \n
  removed: number; // characters left out
  lines: number;
}

// C0 except tab and newline, DEL, C1; zero-width and direction marks.
const unseen = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const brackets = /(?:\x1b\[|\x9b)20[01]~/g;

export function clean(raw: string): Paste {
  const lines = raw.replace(/\r\n?/g, '\n');
  const text = lines.replace(brackets, '').replace(unseen, '');
  return { text, removed: lines.length - text.length, lines: text.replace(/\n$/, '').split('\n').length };
}

/** One plain line is typed at once; anything else is shown first. */
export function harmless(p: Paste): boolean {
  return p.removed === 0 && !p.text.includes('\n') && !p.text.includes('\t') && p.text.length <= 1000;
}
