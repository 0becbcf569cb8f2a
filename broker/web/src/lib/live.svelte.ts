// One stream of changes from the broker for the whole page. A change says only
// what changed: whoever shows it asks again.
import type { Change } from './types';

type Listener = (c: Change | 'everything') => void;

const listeners = new Set<Listener>();
let source: EventSource | null = null;

class Line {
  /** Whether changes arrive. */
  up = $state(true);
}
export const line = new Line();

function open(): void {
  if (source) return;
  const s = new EventSource('/api/v1/events');
  source = s;
  let before = false;
  s.addEventListener('hello', () => {
    line.up = true;
    if (before) tell('everything');
    before = true;
  });
  s.addEventListener('change', (e) => tell(JSON.parse((e as MessageEvent<string>).data) as Change));
  s.addEventListener('reset', () => tell('everything'));
  s.addEventListener('error', () => {
    line.up = false;
    if (s.readyState === EventSource.CLOSED) {
      source = null;
      if (listeners.size > 0) setTimeout(() => listeners.size > 0 && open(), 3000);
    }
  });
}

function tell(c: Change | 'everything'): void {
  for (const l of [...listeners]) l(c);
}

/** Calls f for every change until the returned function is called. */
export function onChange(f: Listener): () => void {
  listeners.add(f);
  open();
  return () => {
    listeners.delete(f);
    if (listeners.size === 0 && source) {
      source.close();
      source = null;
    }
  };
}

// Back in front, or back on the network: whatever was missed is asked for.
addEventListener('online', () => tell('everything'));
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && !line.up) tell('everything');
});
