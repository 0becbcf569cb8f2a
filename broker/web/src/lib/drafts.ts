// What somebody has typed survives a round trip and a reload, in this tab only.
export function draft<T>(name: string): { read(): Partial<T>; write(value: T): void; drop(): void } {
  const key = 'draft:' + name;
  return {
    read() {
      try {
        const v: unknown = JSON.parse(sessionStorage.getItem(key) ?? '{}');
        return typeof v === 'object' && v !== null ? (v as Partial<T>) : {};
      } catch {
        return {};
      }
    },
    write(value) {
      try {
        sessionStorage.setItem(key, JSON.stringify(value));
      } catch {
        // nothing is lost but the comfort
      }
    },
    drop() {
      try {
        sessionStorage.removeItem(key);
      } catch {
        // as above
      }
    },
  };
}

/** What a round trip that left this page was about, for the page that comes back. */
export interface Errands {
  line?: string; // the key that was made for it
  request?: string; // R-..., where it was known before
  draft?: string; // what was typed
  replaces?: string; // R-... that a new request takes the place of
}
export const errand = draft<Errands>('errand');
