// An OpenID provider for the sign-in tests: the certified library oidc-provider with three clients, its own pages
// for sign-in and consent, and accounts that exist as soon as they sign in. What a provider does wrong is switched on
// by POST /control, as is the rotation of its keys; GET /control tells what became of it.
//
// usage: node provider.mjs [PORT [CERTIFICATE.pem KEY.pem]]
// It says "listening ISSUER" once it does.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createSecretKey, randomBytes } from 'node:crypto';
import { SignJWT, UnsecuredJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

const HUGE_BYTES = 100 * 1024 * 1024;

const [port = '0', certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer();
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
const issuer = `${certificate ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;

const state = { fault: null, hugeBytes: 0, hugeEnded: 0, keysAsked: 0, discoveryAsked: 0, generation: 0 };
let keys;
let provider;
let answer;
await rotate();

server.on('request', (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  if (pathname === '/control') return control(request, response);
  if (pathname === '/jwks') state.keysAsked += 1;
  if (pathname.startsWith('/.well-known/')) state.discoveryAsked += 1;
  if (state.fault === `huge ${pathname}`) return huge(response);
  if (state.fault === `elsewhere ${pathname}`) {
    response.writeHead(302, { location: `${issuer}/elsewhere` });
    return response.end();
  }
  if (state.fault === `broken ${pathname}`) {
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end('{"issuer": ');
  }
  return answer(request, response);
});
console.log(`listening ${issuer}`);

// New keys, and none of the old: a token of before is signed with a key that nobody publishes any more.
async function rotate() {
  state.generation += 1;
  keys = [];
  for (const alg of ['RS256', 'ES256', 'PS256', 'EdDSA']) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await exportJWK(privateKey)), kid: `${alg}-${state.generation}`, alg, use: 'sig' });
  }
  provider = new Provider(issuer, configuration());
  provider.use(forge);
  answer = provider.callback();
}

function configuration() {
  const client = (client_id, more) => ({
    client_id,
    application_type: 'native',
    redirect_uris: [
      'https://fleet.example.com/signed-in',
      'http://127.0.0.1/callback',
      'http://127.0.0.1/signed-in',
      'http://[::1]/callback',
    ],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    ...more,
  });
  // A secret that is another text in a form, and in HTTP Basic credentials where nobody encodes it.
  const client_secret = 'se:cr+et %41&=';
  return {
    clients: [
      client('fleetwire', { client_secret, token_endpoint_auth_method: 'client_secret_basic' }),
      client('fleetwire-p256', {
        client_secret,
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
      }),
      client('fleetwire-public', { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'EdDSA' }),
      client('fleetwire-pss', { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'PS256' }),
    ],
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256', 'EdDSA'] },
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
    claims: {
      openid: ['sub'],
      profile: ['preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    scopes: ['openid', 'groups'],
    // A login such as `ada,ops,admins` is the account `ada` with these groups.
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => {
        const [name, ...groups] = accountId.split(',');
        return { sub: accountId, preferred_username: name, email: `${name}@example.com`, email_verified: true, groups };
      },
    }),
  };
}

// Spoils the ID token of an answer in the way that was asked for, signed anew with the provider's own key where the
// fault is not the signature itself.
async function forge(ctx, next) {
  await next();
  const fault = state.fault;
  if (ctx.path === '/me' && fault === 'another user at userinfo') ctx.body = { ...ctx.body, sub: 'mallory' };
  if (ctx.path !== '/token' || !ctx.body?.id_token || !forgeries[fault]) return;
  const header = decodeProtectedHeader(ctx.body.id_token);
  const claims = decodeJwt(ctx.body.id_token);
  ctx.body.id_token = await forgeries[fault](header, claims, ctx.body.id_token);
}

const sign = async (header, claims) => {
  const jwk = keys.find((one) => one.kid === header.kid);
  return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk, header.alg));
};
const seconds = () => Math.floor(Date.now() / 1000);
const forgeries = {
  'nothing but signed anew': sign,
  'audience': (header, claims) => sign(header, { ...claims, aud: 'another-client' }),
  'authorised party': (header, claims) =>
    sign(header, { ...claims, aud: ['another-client', claims.aud], azp: 'another-client' }),
  'issuer': (header, claims) => sign(header, { ...claims, iss: 'https://id.example.com' }),
  'expired': (header, claims) => sign(header, { ...claims, iat: seconds() - 7200, exp: seconds() - 3600 }),
  'future': (header, claims) => sign(header, { ...claims, iat: seconds() + 3600, exp: seconds() + 7200 }),
  'nonce': (header, claims) => sign(header, { ...claims, nonce: 'another' }),
  'no nonce': (header, { nonce, ...claims }) => sign(header, claims),
  'no subject': (header, { sub, ...claims }) => sign(header, claims),
  'access token': (header, claims) => sign(header, { ...claims, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }),
  'unsigned': (header, claims) => new UnsecuredJWT(claims).encode(),
  // The provider's public key taken for a shared secret: what confuses a check that lets tokens choose.
  'public key as secret': async (header, claims) => {
    const { n } = keys.find((one) => one.kid === header.kid);
    const secret = createSecretKey(Buffer.from(n, 'base64url'));
    return new SignJWT(claims).setProtectedHeader({ ...header, alg: 'HS256' }).sign(secret);
  },
  'another key': async (header, claims) => {
    const { privateKey } = await generateKeyPair(header.alg);
    return new SignJWT(claims).setProtectedHeader(header).sign(privateKey);
  },
  'unknown key': async (header, claims) => {
    const { privateKey } = await generateKeyPair(header.alg);
    return new SignJWT(claims).setProtectedHeader({ ...header, kid: 'nobody' }).sign(privateKey);
  },
  'changed': (header, claims, token) => {
    const [head, , signature] = token.split('.');
    const body = Buffer.from(JSON.stringify({ ...claims, sub: 'mallory' })).toString('base64url');
    return `${head}.${body}.${signature}`;
  },
  'no token at all': () => 'x',
};

// As many bytes as are taken: the reader goes away, or gets all.
function huge(response) {
  const part = randomBytes(64 * 1024).toString('base64');
  response.writeHead(200, { 'content-type': 'application/json' });
  response.on('close', () => { state.hugeEnded += 1; });
  let left = HUGE_BYTES;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= part.length;
      state.hugeBytes += part.length;
      if (!response.write(part)) return response.once('drain', more);
    }
    return response.end();
  };
  more();
}

async function control(request, response) {
  let body = '';
  for await (const part of request) body += part;
  if (request.method === 'POST') {
    const { rotate: anew, ...change } = JSON.parse(body);
    if (change.fault && !/^(huge|elsewhere|broken) /.test(change.fault) && !forgeries[change.fault]
      && change.fault !== 'another user at userinfo') {
      response.writeHead(400);
      return response.end('no such fault');
    }
    Object.assign(state, change);
    if (anew) await rotate();
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  return response.end(JSON.stringify(state));
}
