// An authorization server by other hands (oidc-provider), at which the flows are tried that Aval does not have yet: so that
// a flow that fails at Aval fails because of Aval. Told on standard input: port, certificate, key, ca, clients; says {"ready"},
// and ends when its standard input does.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { port, certificate, key, ca, clients } = JSON.parse((await input.next()).value)
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })

const provider = new Provider(`https://localhost:${port}`, {
  clients,
  clientDefaults: { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' },
  jwks: { keys: [{ ...signing, kid: 'reference', alg: 'ES256', use: 'sig' }] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  clientAuthMethods: ['none', 'client_secret_basic', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  cookies: { keys: [randomBytes(16).toString('hex')] },
  features: {
    ciba: {
      enabled: true,
      deliveryModes: ['poll'],
      processLoginHint: (_, hint) => hint,
      validateRequestContext: () => {},
      validateBindingMessage: () => {},
      verifyUserCode: () => {},
      triggerAuthenticationDevice: agreed,
    },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    introspection: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, _, expected) => ctx.socket.getPeerX509Certificate().subject === expected,
    },
    jwtResponseModes: { enabled: true },
    requestObjects: { enabled: true },
    revocation: { enabled: true },
  },
})

/** The person agrees on her own device, at once. */
async function agreed(_, request, account, client) {
  const grant = new provider.Grant({ clientId: client.clientId, accountId: account.accountId })
  grant.addOIDCScope('openid')
  await grant.save()
  await provider.backchannelResult(request, grant)
}

// RFC 8414 has the same document at another address.
provider.use((ctx, next) => {
  if (ctx.path === '/.well-known/oauth-authorization-server') ctx.path = '/.well-known/openid-configuration'
  return next()
})

const files = { cert: readFileSync(certificate), key: readFileSync(key), ca: readFileSync(ca) }
const asking = { requestCert: true, rejectUnauthorized: false }
createServer({ ...files, ...asking }, provider.callback()).listen(port, '127.0.0.1', () => {
  process.stdout.write(JSON.stringify({ ready: true }) + '\n')
})
await input.next()
process.exit(0)
