// A strict relying party that nobody here wrote (npm openid-client) signs somebody in at the
// issuer that standard input names, with PKCE, state and nonce, and prints the claims of the
// ID token. What it does not accept ends it with its own words.
//
//   {"issuer": ..., "client": ..., "redirect": ..., "hint": ..., "max_age": 0}
import { createInterface } from 'node:readline';
import * as oidc from 'openid-client';

const ask = JSON.parse((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value);
const config = await oidc.discovery(new URL(ask.issuer), ask.client, undefined, oidc.None(), { execute: [oidc.allowInsecureRequests] });
oidc.enableNonRepudiationChecks(config); // verifies signatures of ID tokens, with the published keys

const verifier = oidc.randomPKCECodeVerifier();
const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
const to = oidc.buildAuthorizationUrl(config, {
  redirect_uri: ask.redirect, scope: 'openid email profile', state, nonce, login_hint: ask.hint, prompt: 'login', max_age: String(ask.max_age),
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
});

// The browser goes where it is sent, until that is our redirect.
let [at, cookies] = [to, ''];
for (let i = 0; i < 10 && !at.href.startsWith(ask.redirect); i++) {
  const resp = await fetch(at, { redirect: 'manual', headers: cookies ? { cookie: cookies } : {} });
  cookies = [cookies, ...resp.headers.getSetCookie().map((c) => c.split(';')[0])].filter(Boolean).join('; ');
  if (!resp.headers.get('location')) throw new Error(`the provider shows ${resp.status} ${(await resp.text()).slice(0, 200)}`);
  at = new URL(resp.headers.get('location'), at);
}
const tokens = await oidc.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: ask.max_age, idTokenExpected: true });
console.log(JSON.stringify({ claims: tokens.claims(), refresh: tokens.refresh_token !== undefined, metadata: config.serverMetadata() }));
