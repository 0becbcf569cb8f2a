// What stands before a real console that speaks RDP: it passes on what is said, and says what
// that console never says of itself.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as dial, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as encrypt, createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import { freePort } from '../world';

/** So many bytes of a connection, and no more. */
async function take(s: Socket, n: number): Promise<Buffer> {
  for (;;) {
    const b = s.read(n) as Buffer | null;
    if (b) return b;
    if (s.destroyed || s.readableEnded) throw new Error('it hung up');
    await new Promise<void>((done) => {
      const events = ['readable', 'end', 'close'];
      const more = () => {
        for (const e of events) s.off(e, more);
        done();
      };
      for (const e of events) s.on(e, more);
    });
  }
}
/** One packet before TLS: version, nothing, and its whole length. */
async function packet(s: Socket): Promise<Buffer> {
  const head = await take(s, 4);
  return Buffer.concat([head, await take(s, head.readUInt16BE(2) - 4)]);
}

/** A console's answer before TLS: 2 chooses, 3 refuses. */
const negotiated = (kind: number, what: number) => Buffer.from([3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, kind, 0, 8, 0, what, 0, 0, 0]);
const hex = (s: string) => Buffer.from(s, 'hex');
/** Until licences are spoken of: its conference, its user, its channels. */
const joined = hex(
  '0300006b02f0807f6682005f0a010002010030200202002202020003020200000202000102020000020200010202fff80202000204820033000500147c00012a14760a01010001c0004d63446e801c010c080004000800020c0c000000000000000000030c0800eb0300000300000b02f0802e0000060300000f02f0803e00000603ef03ef0300000f02f0803e00000603eb03eb',
);
const licence = hex('0300002302f08068000103eb70801480000000ff031000020000000200000004000000');
const ultimatum = hex('0300000902f0802180');
/** Why it ends (MS-RDPBCGR 2.2.5.1.1). */
const error = (code: number) => Buffer.concat([hex('0300002502f08068000103eb70801616001700ea03ea030100000108002f000000'), Buffer.from([code, 0, 0, 0]), ultimatum]);

export type Says = (near: Socket) => Promise<void>;
export class Front {
  port = 0;
  #server: Server;
  #context!: SecureContext;
  #last: Socket | null = null;
  #instead: Says | null = null;
  #console: number;
  constructor(console: number) {
    this.#console = console;
    this.#server = createServer((near) => {
      near.on('error', () => {});
      void (this.#instead ?? ((s: Socket) => this.#pass(s)))(near).catch(() => near.destroy());
    });
    this.shows();
  }
  async listen(): Promise<this> {
    this.port = await freePort();
    await new Promise<void>((done) => this.#server.listen(this.port, '127.0.0.1', done));
    return this;
  }
  stop(): void {
    this.#server.close();
    this.#last?.destroy();
  }
  /** Shows another certificate from now on. */
  shows(): void {
    const dir = mkdtempSync(join(tmpdir(), 'front-'));
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=console'], { stdio: 'ignore' });
    this.#context = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
    rmSync(dir, { recursive: true });
  }
  /** Says this instead of the console; null: the console speaks. */
  says(instead: Says | null): void {
    this.#instead = instead;
  }
  #inside(near: Socket): TLSSocket {
    const s = new TLSSocket(near, { isServer: true, secureContext: this.#context });
    s.on('error', () => {});
    return s;
  }
  /** Refuses the login of network level authentication with a status, as Windows does. */
  readonly refuses = (status: number): Says => async (near) => {
    await packet(near);
    near.write(negotiated(2, 2));
    const s = this.#inside(near);
    await new Promise<void>((done) => s.once('data', () => done()));
    const b = Buffer.alloc(4);
    b.writeUInt32BE(status);
    s.write(Buffer.concat([hex('300da003020106a4060204'), b]));
  };
  /** Goes on until licences are spoken of, and says this then. */
  readonly atItsLicence = (b: Buffer): Says => async (near) => {
    await packet(near);
    near.write(negotiated(2, 1));
    const s = this.#inside(near);
    s.resume();
    s.write(Buffer.concat([joined, b]));
  };
  readonly refusesLicence = this.atItsLicence(licence);
  readonly refusesConnection = this.atItsLicence(error(7));
  async #pass(near: Socket): Promise<void> {
    const far = dial(this.#console, '127.0.0.1');
    far.on('error', () => near.destroy());
    far.write(await packet(near));
    near.write(await packet(far));
    const [engineer, console] = [this.#inside(near), encrypt({ socket: far, rejectUnauthorized: false })];
    console.on('error', () => engineer.destroy()).on('close', () => engineer.destroy());
    engineer.pipe(console);
    this.#last = engineer;
    for (;;) {
      const head = await take(console, 4);
      const size = head[0] === 3 ? head.readUInt16BE(2) : head[1]! & 0x80 ? head.readUInt16BE(1) & 0x7fff : head[1]!;
      if (size < 4) console.unshift(head.subarray(size));
      engineer.write(size <= 4 ? head.subarray(0, size) : Buffer.concat([head, await take(console, size - 4)]));
    }
  }
  /** Ends who came last, in the console's name. */
  ends(code: number): void {
    this.#last!.write(error(code));
  }
}
