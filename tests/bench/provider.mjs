// oidc-provider for ONLY=tokens, at its best: everything in memory, ES256, one confidential client.
// node provider.mjs <port> <client id> <client secret> <callback>
// Tokens for urn:bench:signed are JWTs (RFC 9068). It introspects none of those, so those to be introspected are opaque.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import Provider from 'oidc-provider'

const [port, id, secret, callback] = process.argv.slice(2)
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
const format = { 'urn:bench:signed': 'jwt', 'urn:bench:opaque': 'opaque' }

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: id,
    client_secret: secret,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    redirect_uris: [callback],
    response_types: ['code'],
    scope: 'openid read',
    id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [{ ...signing, kid: 'bench', alg: 'ES256', use: 'sig' }] },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  scopes: ['openid', 'read'],
  findAccount: (_, account) => ({ accountId: account, claims: () => ({ sub: account }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: false, // as Aval with a client that proves who it is
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:bench:signed',
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read',
        accessTokenFormat: format[resource],
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  ttl: { AccessToken: 300, ClientCredentials: 3600, Interaction: 3600, Session: 36000, Grant: 36000 },
})

provider.listen(Number(port), '127.0.0.1')
