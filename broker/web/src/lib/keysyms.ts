// X keysyms of what this application presses by itself. Letters follow the rule of the
// protocol: Latin-1 is itself, everything else its code point with the Unicode bit.

export const keysyms = {
  BackSpace: 0xff08, Tab: 0xff09, Return: 0xff0d, Escape: 0xff1b, Delete: 0xffff, Print: 0xff61,
  Left: 0xff51, Up: 0xff52, Right: 0xff53, Down: 0xff54,
  Control: 0xffe3, Alt: 0xffe9, Super: 0xffeb, CapsLock: 0xffe5, Level3: 0xfe03, ModeSwitch: 0xff7e,
} as const;

/** F1 to F12. */
export const functionKey = (n: number) => 0xffbd + n;

/** The keysym of one character. */
export function keysymOf(character: string): number {
  const c = character.codePointAt(0) ?? 0;
  if (c === 0x0a || c === 0x0d) return keysyms.Return;
  if (c === 0x09) return keysyms.Tab;
  return (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xff) ? c : 0x01000000 | c;
}

/** What turns one text into another at its end: so many characters taken back, then these. */
export function edits(from: string, to: string): { back: number; typed: string[] } {
  const [a, b] = [[...from], [...to]];
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return { back: a.length - same, typed: b.slice(same) };
}
