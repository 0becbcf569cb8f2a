// A router on the history API. Paths are matched against the table in routes.ts;
// links are plain <a href>, and only left clicks without modifiers stay in the page.
import { readable, type Readable } from 'svelte/store';
import { places } from './protocols';

export interface Place {
  path: string;
  query: URLSearchParams;
  hash: string;
}

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search), hash: location.hash };
}

const arrived = new EventTarget();

/** Where the reader is. */
export const place: Readable<Place> = readable(here(), (set) => {
  const update = () => set(here());
  update();
  addEventListener('popstate', update);
  arrived.addEventListener('moved', update);
  return () => {
    removeEventListener('popstate', update);
    arrived.removeEventListener('moved', update);
  };
});

/** Pages with a security policy of their own: they are loaded, never walked into. */
export function ownPolicy(path: string): boolean {
  return places.some(({ place }) => path.startsWith(`/${place}/`)) || path.startsWith('/watch/') || /^\/recordings\/[^/]+/.test(path);
}

/** Goes to a local path. */
export function go(to: string, how: { replace?: boolean } = {}): void {
  const url = new URL(to, location.href);
  if (url.origin !== location.origin) return;
  if (ownPolicy(url.pathname) !== ownPolicy(location.pathname) || (ownPolicy(url.pathname) && url.pathname !== location.pathname)) {
    if (how.replace) location.replace(url);
    else location.assign(url);
    return;
  }
  if (how.replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  arrived.dispatchEvent(new Event('moved'));
  if (!how.replace) scrollTo(0, 0);
}

/** Makes links of the document walk instead of load. */
export function walkLinks(root: HTMLElement): () => void {
  const click = (e: MouseEvent) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element).closest?.('a[href]');
    if (!(a instanceof HTMLAnchorElement) || a.target || a.hasAttribute('download') || a.origin !== location.origin) return;
    if (a.pathname.startsWith('/api/') || a.pathname.startsWith('/auth/')) return;
    if (a.pathname === location.pathname && a.search === location.search && a.hash) return;
    e.preventDefault();
    go(a.href);
  };
  root.addEventListener('click', click);
  return () => root.removeEventListener('click', click);
}

/** Matches /requests/:id against a path; null where it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split('/');
  const have = path.replace(/\/+$/, '').split('/');
  if (path === '/') have.push('');
  if (want.length !== have.length) return null;
  const found: Record<string, string> = {};
  for (let i = 0; i < want.length; i++) {
    const w = want[i]!;
    const h = have[i]!;
    if (w.startsWith(':')) {
      if (!h) return null;
      try {
        found[w.slice(1)] = decodeURIComponent(h);
      } catch {
        return null;
      }
    } else if (w !== h) return null;
  }
  return found;
}
