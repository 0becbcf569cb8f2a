// A critical section, asked of the hospital's agent itself: a key of this browser signs what
// is asked over the agent's challenge, so that the broker, which carries it, can neither say
// it nor change it. See package session/attach.
import { post, Trouble } from './api';
import { protocol, signingMessage, wsURL, type Of, type Socket, type Ticket } from './attach';
import { base64url, Frames, jsonFrame, object, type Frame } from './frames';
import { linesOf, sign } from './keys';
import type { Protocol } from './types';

/** A section that begins, or the end of one. */
export interface Asked {
  seconds: number;
  why: string;
  end: boolean;
}
interface At extends Of {
  session: string;
  request: string;
}
/** What is needed of the outside; a test brings its own. */
export interface Ways {
  keys: () => Promise<string[]>;
  ticket: () => Promise<Ticket>;
  sign: typeof sign;
  open: (url: string, protocol: string) => Socket;
}

const within = 20_000; // for the agent's answer
const no = (kind: string, message: string, next: string) => new Trouble({ status: 0, kind, message, next });
const silent = () => no('unreachable', "The hospital's agent did not answer.", 'Try again; the session goes on as it did.');

/** What is signed behind the key line. */
export const statement = (a: Asked): string[] => (a.end ? ['end'] : ['declare', String(a.seconds), a.why]);

/** Asks the agent, by each key of the session in turn; the answer in its words. Fails with a Trouble. */
export async function ask(of: At, asked: Asked, ways: Partial<Ways> = {}): Promise<string> {
  const w: Ways = {
    keys: () => linesOf(of.request), ticket: () => post<Ticket>('/api/v1/attach', { site: of.site, asset: of.asset, service: of.service }), sign,
    open: (url, p) => new WebSocket(url, p) as unknown as Socket, ...ways,
  };
  let refused = no('denied', 'This browser holds no key for this session.', `Use the machine where you connected: sallyport critical ${of.session}`);
  for (const line of await w.keys()) {
    try {
      return await once(of, asked, line, w);
    } catch (e) {
      if (!(e instanceof Trouble) || (e.kind !== 'denied' && e.kind !== 'refused')) throw e;
      refused = e;
    }
  }
  throw refused;
}

async function once(of: At, asked: Asked, line: string, w: Ways): Promise<string> {
  const t = await w.ticket();
  const s = w.open(wsURL(t.url), protocol);
  s.binaryType = 'arraybuffer';
  const frames = new Frames();
  let late: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<string>((done, fail) => {
      late = setTimeout(() => fail(silent()), within);
      s.onopen = () => s.send(t.ticket);
      s.onclose = () => fail(silent());
      s.onerror = () => {}; // close follows
      s.onmessage = (m) => {
        try {
          for (const f of frames.push(new Uint8Array(m.data as ArrayBuffer))) {
            if (f.type === 'C') proof(of, asked, line, f.payload, w).then((b) => s.send(b), fail);
            else done(answer(f));
          }
        } catch (e) {
          fail(e);
        }
      };
    });
  } finally {
    clearTimeout(late);
    s.onclose = null;
    s.close();
  }
}

function answer(f: Frame): string {
  const o = object(f.payload);
  const text = (x: unknown) => (typeof x === 'string' ? x : '');
  if (f.type === 'N' && o.type === 'said') return text(o.text);
  if (f.type === 'R') throw no(text(o.kind), text(o.message), text(o.next));
  throw no('internal', 'The hospital sent something that this page does not understand.', 'Reload the page.');
}

async function proof(of: At, asked: Asked, line: string, challenge: Uint8Array<ArrayBuffer>, w: Ways): Promise<Uint8Array<ArrayBuffer>> {
  const c = object(challenge);
  if (c.v !== 1 || typeof c.nonce !== 'string' || !/^[\w-]{43}$/.test(c.nonce) || c.site !== of.site || c.asset !== of.asset || c.service !== of.service) {
    throw no('internal', 'The hospital asked for a proof of something else.', 'Reload the page.');
  }
  const { session } = of;
  const spoken = c.protocol as Protocol;
  const message = await signingMessage(challenge, { ...of, role: 'critical', protocol: spoken }, line, statement(asked));
  const signature = base64url(await w.sign(line, message));
  return jsonFrame('J', { v: 1, protocol: spoken, role: 'critical', session, key: line, signature, opening: { seconds: asked.seconds, why: asked.why, end: asked.end } });
}
