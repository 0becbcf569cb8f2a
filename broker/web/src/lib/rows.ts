// Keyboard for lists: j and k walk, Enter opens (rows hold a link), / searches.
const typing = (t: EventTarget | null) =>
  t instanceof HTMLElement && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || t.closest('dialog[open]') !== null);

/** A Svelte action for the element that holds rows; each row's main link has data-row. */
export function rows(list: HTMLElement): { destroy(): void } {
  const key = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
    if (e.key === '/') {
      const search = document.querySelector<HTMLElement>('[data-search]');
      if (search) {
        e.preventDefault();
        search.focus();
      }
      return;
    }
    if (e.key !== 'j' && e.key !== 'k') return;
    const all = [...list.querySelectorAll<HTMLElement>('[data-row]')];
    if (all.length === 0) return;
    const at = all.findIndex((x) => x === document.activeElement);
    const to = at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + (e.key === 'j' ? 1 : -1)));
    all[to]!.focus();
    all[to]!.scrollIntoView({ block: 'nearest' });
    e.preventDefault();
  };
  addEventListener('keydown', key);
  return { destroy: () => removeEventListener('keydown', key) };
}
