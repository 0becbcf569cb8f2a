// Proofs: a round trip to the identity provider whose signed answer covers exactly
// what was shown here. The page makes document, salt and nonce; the broker checks
// the nonce, exchanges the code, and the agent at the hospital checks it all again.
import { get, post } from './api';
import { activateNonce, approveNonce, base64, newSalt, requestNonce, watchNonce } from './documents';
import { remember } from './opening';
import type { Outcome, ProofStart } from './types';

export type Errand =
  | { role: 'request'; document: Uint8Array }
  | { role: 'activate'; id: string; grant: Uint8Array; key: string }
  | { role: 'watch'; id: string; key: string }
  | { role: 'approve'; id: string; document: Uint8Array; requestToken: string };

async function compose(e: Errand, popup: boolean): Promise<ProofStart> {
  const salt = newSalt();
  const common = { salt: base64(salt), popup };
  switch (e.role) {
    case 'request':
      await remember(e.document);
      return { role: 'request', document: base64(e.document), nonce: await requestNonce(e.document, salt), ...common };
    case 'activate':
      return { role: 'activate', id: e.id, key: e.key, nonce: await activateNonce(e.grant, e.key, salt), ...common };
    case 'watch':
      return { role: 'watch', id: e.id, key: e.key, nonce: await watchNonce(e.id, e.key, salt), ...common };
    case 'approve':
      return { role: 'approve', id: e.id, document: base64(e.document), nonce: await approveNonce(e.document, e.requestToken, salt), ...common };
  }
}

/** Leaves for the identity provider; the way back ends at /done/FLOW. Fails with a Trouble when the broker says no. */
export async function start(e: Errand): Promise<void> {
  const { url } = await post<{ url: string }>('/auth/proofs', await compose(e, false));
  location.assign(url);
}

/** A round trip in a window of its own. */
export interface Window {
  /** Opens the window again; null where the browser did not allow it without a click. */
  open(): boolean;
  /** Whether a window is open, as far as this page knows. */
  blocked: boolean;
  /** What came of it; undefined when it was given up. */
  outcome: Promise<Outcome | undefined>;
  giveUp(): void;
}

const features = 'popup,width=480,height=640';

/**
 * Starts a round trip beside this page. Call it in a click: the window must open
 * before anything is waited for. id is the request it is about, to know its answer.
 */
export async function beside(make: () => Promise<Errand>, id: () => string): Promise<Window> {
  let popup = window.open('about:blank', 'sallyport-proof', features);
  let url: string;
  let role: string;
  try {
    const errand = await make();
    role = errand.role;
    ({ url } = await post<{ url: string }>('/auth/proofs', await compose(errand, true)));
  } catch (e) {
    popup?.close();
    throw e;
  }
  const channel = new BroadcastChannel('sallyport');
  let finish: (o: Outcome | undefined) => void = () => {};
  const outcome = new Promise<Outcome | undefined>((done) => {
    finish = (o) => {
      channel.close();
      done(o);
    };
  });
  channel.onmessage = (m: MessageEvent<Outcome>) => {
    if (m.data?.role === role && (m.data.request === id() || !m.data.request)) finish(m.data);
  };
  if (popup) popup.location.replace(url);
  return {
    blocked: !popup,
    open() {
      popup = window.open(url, 'sallyport-proof', features);
      return popup !== null;
    },
    outcome,
    giveUp() {
      popup?.close();
      finish(undefined);
    },
  };
}

const patience = 10_000; // an identity provider that asks somebody something does not come back by itself

/**
 * A round trip that nobody sees, in a frame: it works where the identity provider knows
 * the person already and the browser lets it. undefined: it did not come back.
 */
export async function silently(e: Errand): Promise<Outcome | undefined> {
  const { url } = await post<{ url: string }>('/auth/proofs', { ...(await compose(e, true)), silent: true });
  const frame = Object.assign(document.createElement('iframe'), { hidden: true, title: 'Signing in' });
  const back = new Promise<string | undefined>((done) => {
    const timer = setTimeout(() => done(undefined), patience);
    frame.onload = () => {
      let at: URL;
      try {
        at = new URL(frame.contentWindow!.location.href); // throws while it is elsewhere
      } catch {
        return;
      }
      if (at.origin !== location.origin || !at.pathname.startsWith('/auth/callback/')) return;
      clearTimeout(timer);
      done(at.pathname + at.search);
    };
  });
  frame.src = url;
  document.body.append(frame);
  try {
    const answer = await back; // the frame stops there; this page, which has the cookies, goes on
    if (!answer) return undefined;
    const arrived = new URL((await fetch(answer, { credentials: 'same-origin' })).url).pathname;
    const trip = /^\/done\/([\w-]+)$/.exec(arrived)?.[1];
    return trip ? await get<Outcome>(`/auth/outcomes/${trip}`) : undefined;
  } catch {
    return undefined;
  } finally {
    frame.remove();
  }
}

/** Tells the page that waits for it. */
export function tell(o: Outcome): void {
  const channel = new BroadcastChannel('sallyport');
  channel.postMessage(o);
  channel.close();
}
