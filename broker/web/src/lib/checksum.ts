// SHA-256 of what arrived, where it is small enough to be held at once.
export const checkable = 64 << 20;

export async function sha256(b: Blob): Promise<string> {
  const d = new Uint8Array(await crypto.subtle.digest('SHA-256', await b.arrayBuffer()));
  return Array.from(d, (x) => x.toString(16).padStart(2, '0')).join('');
}
