// Names of a device are bytes. On the wire and on the page a backslash is \\ and what
// cannot be shown is \xHH, byte by byte: so a name is text, and means one file.

const odd = /[\\\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufffd]/gu;
const utf8 = new TextEncoder();
const hex = (b: number) => '\\x' + b.toString(16).padStart(2, '0');
const one = (c: string) => (c === '\\' ? '\\\\' : Array.from(utf8.encode(c), hex).join(''));

/** A name of this computer's, as it is written. */
export function written(name: string): string {
  return name.replace(odd, one);
}

/** What somebody typed: escapes stay, and everything else is written. */
export function typed(text: string): string {
  return text.replace(/\\\\|\\x(?!00)[0-9a-f]{2}|[\\\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufffd]/gu, (m) => (m.length > 1 && m.startsWith('\\') ? m : one(m)));
}

/** The bytes that a written name means. */
export function bytesOf(name: string): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  for (const [part] of name.matchAll(/\\\\|\\x[0-9a-f]{2}|[^\\]+|\\/gu)) {
    if (part === '\\\\') out.push(0x5c);
    else if (part.length === 4 && part.startsWith('\\x')) out.push(parseInt(part.slice(2), 16));
    else out.push(...utf8.encode(part));
  }
  return new Uint8Array(out);
}

/** The same for two ways to write one name. */
export function key(name: string): string {
  return Array.from(bytesOf(name), (b) => String.fromCharCode(b)).join('');
}

/** A name for this computer: what it cannot have in one becomes a low line. */
export function local(name: string): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(name));
  } catch {
    text = name;
  }
  return text.replace(/[\\/:*?"<>|\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, '_').replace(/^\.+$/, '_') || '_';
}
