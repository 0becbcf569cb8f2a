// An agent that is not there, at the far end of a page's WebSocket.
import type { Page, WebSocketRoute } from '@playwright/test';

export const sid = 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR';

export function frame(type: string, payload: Buffer | string | object = ''): Buffer {
  const p = Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeUInt32BE(p.length, 1);
  return Buffer.concat([head, p]);
}
export const sizes = (cols: number, rows: number) => {
  const b = Buffer.alloc(4);
  b.writeUInt16BE(cols, 0);
  b.writeUInt16BE(rows, 2);
  return b;
};

export interface Agent {
  /** Frames that the page sent, of all connections. */
  heard: { type: string; payload: Buffer }[];
  tickets: string[];
  connections: number;
  say(type: string, payload?: Buffer | string | object): void;
  /** What was typed. */
  typed(): string;
  drop(code?: number, reason?: string): void;
  welcome: Record<string, unknown>;
  /** Called for each frame of the page. */
  on: (type: string, payload: Buffer, a: Agent) => void;
  /** What it says after its welcome. */
  screen: string;
  refuse: object | null;
  /** What its operator reads out, or "accepts" where they read out nothing; empty where nobody is asked. */
  code: string;
  /** What it says that it is for, beside the challenge's own. */
  challenge: Record<string, unknown>;
}

export async function agent(page: Page, over: Partial<Agent> = {}): Promise<Agent> {
  let line: WebSocketRoute | null = null;
  const a: Agent = {
    heard: [], tickets: [], connections: 0, on: () => {}, screen: '', refuse: null, code: '', challenge: {},
    say: (type, payload) => line?.send(frame(type, payload)),
    typed: () => Buffer.concat(a.heard.filter((f) => f.type === 'I').map((f) => f.payload)).toString(),
    drop: (code = 1001, reason = '') => void line?.close({ code, reason }),
    welcome: {
      session: sid, request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', deadline: new Date(Date.now() + 29 * 60e3 + 41e3).toISOString(),
      opened: new Date(Date.now() - 8 * 60e3).toISOString(), now: new Date().toISOString(), channels: ['exec', 'files-in', 'files-out', 'shell'], frozen: [],
      recording: 'V-7H2K9M4QXW3EVN5TBJ6CPA8DFR', resumed: false, running: true,
    },
    ...over,
  };
  await page.routeWebSocket(/\/api\/v1\/attach\/ws/, (ws) => {
    line = ws;
    a.connections++;
    let rest = Buffer.alloc(0);
    ws.onMessage((m) => {
      if (typeof m === 'string') {
        a.tickets.push(m);
        a.say('C', { v: 1, nonce: 'N'.repeat(43), agent: 'SHA256:' + 'A'.repeat(43), stream: 'AAAAAAAAAAAAAAAAAAAAAA', protocol: 'ssh', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', ...a.challenge });
        return;
      }
      rest = Buffer.concat([rest, m]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const n = rest.readUInt32BE(1);
        const f = { type: String.fromCharCode(rest[0]!), payload: Buffer.from(rest.subarray(5, 5 + n)) };
        rest = rest.subarray(5 + n);
        a.heard.push(f);
        if (f.type === 'P') a.say('P', f.payload); // or its line is taken for dead
        if (f.type === 'J' && a.code === 'accepts') a.say('N', { type: 'said', text: 'This session opens when the operator at NGH-PETCT1 accepts.' });
        else if (f.type === 'J' && a.code) a.say('N', { type: 'code', text: 'This session opens with the six digits that the operator at NGH-PETCT1 reads out, or when they accept at their page.' });
        else if (f.type === 'A' && f.payload.toString() !== a.code) a.say('N', { type: 'code', text: 'That is not the code. Ask the operator at NGH-PETCT1 to read it out again.' });
        else if (f.type === 'J' || f.type === 'A') {
          if (a.refuse) a.say('R', a.refuse);
          else {
            a.say('W', a.welcome);
            if (a.challenge.protocol === 'vnc' || a.challenge.protocol === 'rdp') {
              // its console speaks next
            } else if (a.connections > 1) {
              const { opening } = JSON.parse(a.heard.findLast((h) => h.type === 'J')!.payload.toString());
              a.say('S', Buffer.concat([sizes(opening.cols, opening.rows), Buffer.from(a.screen)]));
            } else if (a.screen) a.say('O', a.screen);
          }
        }
        a.on(f.type, f.payload, a);
      }
    });
  });
  return a;
}

/** Puts a key for a request into the browser, as asking for it does. Leaves an empty page of the same origin. */
export async function holdKey(page: Page, request: string): Promise<void> {
  await page.route('**/nothing', (r) => r.fulfill({ contentType: 'text/html', body: '<title>nothing</title>' }));
  await page.goto('/nothing');
  await page.evaluate(async (id) => {
    const db = await new Promise<IDBDatabase>((done, fail) => {
      const ask = indexedDB.open('sallyport', 1);
      ask.onupgradeneeded = () => ask.result.createObjectStore('keys', { keyPath: 'line' });
      ask.onsuccess = () => done(ask.result);
      ask.onerror = () => fail(ask.error);
    });
    const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
    const t = db.transaction('keys', 'readwrite');
    t.objectStore('keys').put({ line: 'ecdsa-sha2-nistp256 AAAA', key: privateKey, request: id, made: Date.now() });
    await new Promise<void>((done) => (t.oncomplete = () => done()));
    db.close();
  }, request);
}
