// An identity provider that nobody here wrote (npm oidc-provider), for the tests of sign-ins.
// It reads its configuration as one line of JSON from standard input, prints its issuers as
// another, serves until standard input ends, and signs in whomever login_hint names, without
// a page. The configuration is a list: one issuer for each entry, all with one key.
//
//   [{"clients": [...], "people": {"mail": {"sub": ..., claims}}, "claims": ["groups", ...],
//     "pairwise": bool, "twist": {"shift": {"iat": -300}, "drop": ["auth_time"], "set": {...}}}]
//
// twist makes ID tokens as another product makes them: oidc-provider cannot be told to date
// them back or to leave claims out, so they are signed anew with its own key.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync, createHash } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { SignJWT, decodeJwt, importJWK } from 'jose';

const lines = createInterface({ input: process.stdin });
const list = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

const jwk = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'stranger-1', alg: 'RS256', use: 'sig' };
const key = await importJWK(jwk, 'RS256');

async function open(config) {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const byId = new Map(Object.entries(config.people).map(([mail, claims]) => [claims.sub, { email: mail, ...claims }]));
  const door = createHash('sha256').update(issuer).digest('hex').slice(0, 8); // of the broker's address for its answers
  const provider = new Provider(issuer, {
    clients: config.clients.map((c) => ({ ...c, redirect_uris: c.redirect_uris.map((u) => u.replace('{door}', door)) })),
    jwks: { keys: [jwk] },
    claims: { openid: ['sub', ...config.claims], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    scopes: ['openid', 'email', 'profile', 'groups', 'allatclaims'],
    conformIdTokenClaims: false,
    subjectTypes: config.pairwise ? ['pairwise'] : ['public'],
    pairwiseIdentifier: (_ctx, account, client) => createHash('sha256').update(client.clientId + account).digest('hex'),
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
    interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_ctx, id) => byId.has(id) && { accountId: id, claims: () => byId.get(id) },
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid email profile groups allatclaims');
      grant.addOIDCClaims(config.claims);
      await grant.save();
      return grant;
    },
  });
  if (config.twist) provider.use((ctx, next) => twisted(config.twist, ctx, next));
  const serve = provider.callback();
  server.on('request', async (req, res) => {
    if (!req.url.startsWith('/sign-in/')) return serve(req, res);
    const { params } = await provider.interactionDetails(req, res);
    const accountId = config.people[params.login_hint]?.sub;
    await provider.interactionFinished(req, res, accountId ? { login: { accountId } } : { error: 'access_denied' }, { mergeWithLastSubmission: false });
  });
  return issuer;
}

async function twisted(twist, ctx, next) {
  await next();
  if (ctx.oidc?.route !== 'token' || !ctx.body?.id_token) return;
  const claims = decodeJwt(ctx.body.id_token);
  for (const [name, by] of Object.entries(twist.shift ?? {})) claims[name] = (claims[name] ?? claims.iat) + by;
  for (const name of twist.drop ?? []) delete claims[name];
  Object.assign(claims, twist.set);
  ctx.body = { ...ctx.body, id_token: await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: jwk.kid }).sign(key) };
}

console.log(JSON.stringify(await Promise.all(list.map(open))));
