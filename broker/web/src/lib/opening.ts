// What an engineer's sign-in opens, read from the very bytes that it covers: the broker
// hands them out, and is not believed about what they say.
import { grantHash, hex, readGrant, readRequest, requestHash, shown, unbase64, Unfit, type GrantDoc } from './documents';
import { beyond } from './grants';
import type { Documents, Request } from './types';

export interface Opening {
  grant: GrantDoc;
  bytes: Uint8Array<ArrayBuffer>;
  hash: string;
  /** The request is one that was signed in this browser. */
  signedHere: boolean;
}

function refuse(why: string): never {
  throw new Unfit(`${why} Nothing was signed. Tell your security contact.`);
}

/**
 * The grant that answers a person's own request, at the scanner's agent, and says what the
 * page shows of it. Throws Unfit where anything differs.
 */
export async function opening(r: Request, d: Documents, me: { iss: string; sub: string }, agent: string): Promise<Opening> {
  const asked = unbase64(d.request);
  const bytes = unbase64(d.grant ?? '');
  let doc, grant;
  try {
    doc = readRequest(asked);
    grant = readGrant(bytes);
    if (shown('R', doc.rid) !== r.id) refuse(`The broker handed out another request than ${r.id}.`);
    if (shown('S', grant.gid) !== r.grant) refuse('The broker handed out another grant than the one it names.');
  } catch (e) {
    if (e instanceof Unfit && e.message.includes('Nothing was signed')) throw e;
    refuse('What the broker handed out is not written as request and grant must be.');
  }
  if (doc.eng.iss !== me.iss || doc.eng.sub !== me.sub) refuse('The request that the broker handed out is not yours.');
  const hash = hex(await requestHash(asked));
  const mine = signed(r.id);
  if (mine.length && !mine.includes(hash)) refuse('This is not the request that you signed in this browser.');
  if (grant.req !== hash) refuse('The grant answers another request.');
  if (agent && grant.agent !== agent) refuse("The grant is another agent's than the scanner's.");
  const wider = beyond(grant, doc);
  if (wider) refuse(`The grant's ${wider} goes beyond what you asked for.`);
  const other = differs(grant, r);
  if (other) refuse(`The grant says another ${other} than this page was told.`);
  return { grant, bytes, hash: hex(await grantHash(bytes)), signedHere: mine.length > 0 };
}

/** In what a grant is not what the broker shows of it; "" where it is. */
function differs(g: GrantDoc, r: Request): string {
  const same = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((x, i) => x === b[i]);
  const at = (t: string) => Math.floor(Date.parse(t) / 1000);
  if (g.site !== r.site || g.asset !== r.asset) return 'scanner';
  if (!same(g.services, r.services)) return 'list of services';
  if (g.class !== r.class) return 'service class';
  if (!same(g.channels, r.channels)) return 'list of channels';
  if (g.nbf !== at(r.not_before) || g.exp !== at(r.not_after)) return 'window';
  return g.maxs === r.max_seconds ? '' : 'length';
}

// The requests that were signed in this browser: their ids, and the hashes of their bytes.

const kept = 'signed';
const most = 200;

function all(): [id: string, hash: string][] {
  try {
    const v: unknown = JSON.parse(localStorage.getItem(kept) ?? '[]');
    return Array.isArray(v) ? v.filter((x): x is [string, string] => Array.isArray(x) && typeof x[0] === 'string' && typeof x[1] === 'string') : [];
  } catch {
    return [];
  }
}
const signed = (id: string) => all().filter((x) => x[0] === id).map((x) => x[1]);

/** Notes a request that is about to be signed. */
export async function remember(document: Uint8Array): Promise<void> {
  const id = shown('R', readRequest(document).rid);
  const entry: [string, string] = [id, hex(await requestHash(document))];
  try {
    localStorage.setItem(kept, JSON.stringify([...all().filter((x) => x.join() !== entry.join()), entry].slice(-most)));
  } catch {
    // a window that keeps nothing compares with what the broker has
  }
}
