import { expect, test } from '@playwright/test';
import { createHash, generateKeyPairSync, sign as edSign, verify as edVerify } from 'node:crypto';
import { ask, statement, type Ways } from '../../src/lib/critical';
import type { Socket } from '../../src/lib/attach';

const S = 'S-7H2K9M4QXW3EVN5TBJ6CPA8DFR';
const of = { site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh', session: S, request: 'R-7H2K9M4QXW3EVN5TBJ6CPA8DFR' };
const challenge = { v: 1, nonce: 'N'.repeat(43), agent: 'SHA256:' + 'A'.repeat(43), stream: 'AAAAAAAAAAAAAAAAAAAAAA', protocol: 'ssh', site: 'NGH', asset: 'NGH-PETCT1', service: 'recon-ssh' };
const framed = (type: string, o: object) => {
  const p = Buffer.from(JSON.stringify(o));
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeUInt32BE(p.length, 1);
  return new Uint8Array(Buffer.concat([head, p])).buffer;
};

/** An agent that answers each proof in turn; what it was told is kept. */
function agent(answers: [string, object][], said: object = challenge) {
  const told: any[] = [];
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const ways: Ways = {
    keys: async () => ['key one', 'key two'],
    ticket: async () => ({ ticket: 't', expires: '', url: '/api/v1/attach/ws' }),
    sign: async (_l, m) => new Uint8Array(edSign(null, m, privateKey)),
    open: () => {
      const s: Socket = {
        binaryType: '', readyState: 1, onopen: null, onmessage: null, onclose: null, onerror: null, close: () => {},
        send: (d) => {
          if (typeof d === 'string') s.onmessage?.({ data: framed('C', said) });
          else {
            told.push(JSON.parse(Buffer.from(d).subarray(5).toString()));
            const next = answers.shift();
            if (next) s.onmessage?.({ data: framed(...next) });
            else s.onclose?.({ code: 1001, reason: '' });
          }
        },
      };
      setTimeout(() => s.onopen?.({}));
      return s;
    },
  };
  return { ways, told, publicKey };
}

test('what is asked of a critical section is signed, over the challenge', async () => {
  const a = agent([['N', { type: 'said', text: 'Critical section until 14:05:00 UTC.' }]]);
  expect(await ask(of, { seconds: 600, why: 'firmware 4.2', end: false }, a.ways)).toBe('Critical section until 14:05:00 UTC.');
  expect(a.told).toHaveLength(1);
  expect(a.told[0]).toMatchObject({ v: 1, protocol: 'ssh', role: 'critical', session: S, key: 'key one', opening: { seconds: 600, why: 'firmware 4.2', end: false } });
  const sha = (b: string) => createHash('sha256').update(b).digest();
  const want = (asked: string) => Buffer.concat([Buffer.from('sallyport/v1/attach\0'), sha(JSON.stringify(challenge)), sha(`critical\0ssh\0${S}\0NGH\0NGH-PETCT1\0recon-ssh\0key one\0${asked}`)]);
  const signature = Buffer.from(a.told[0].signature, 'base64url');
  expect(edVerify(null, want('declare\x00600\0firmware 4.2'), a.publicKey, signature)).toBe(true);
  expect(edVerify(null, want('declare\x00601\0firmware 4.2'), a.publicKey, signature)).toBe(false);
  expect(statement({ seconds: 0, why: '', end: true })).toEqual(['end']);
});

test('the next key is tried where one is refused, and a challenge for something else is not signed', async () => {
  const refused: [string, object] = ['R', { kind: 'denied', message: 'Not this key.', next: '' }];
  const a = agent([refused, ['N', { type: 'said', text: 'Over.' }]]);
  expect(await ask(of, { seconds: 0, why: '', end: true }, a.ways)).toBe('Over.');
  expect(a.told.map((p) => p.key)).toEqual(['key one', 'key two']);
  await expect(ask(of, { seconds: 0, why: '', end: true }, agent([refused, refused]).ways)).rejects.toThrow('Not this key.');
  await expect(ask(of, { seconds: 0, why: '', end: true }, agent([]).ways)).rejects.toThrow('did not answer');
  await expect(ask(of, { seconds: 0, why: '', end: true }, { ...agent([]).ways, keys: async () => [] })).rejects.toThrow('holds no key');
  const other = agent([], { ...challenge, asset: 'NGH-CT2' });
  await expect(ask(of, { seconds: 60, why: 'x', end: false }, other.ways)).rejects.toThrow('something else');
  expect(other.told).toEqual([]);
});
