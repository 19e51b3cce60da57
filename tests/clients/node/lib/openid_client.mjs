// An app of openid-client, configured from the arguments of the flow.
import * as client from 'openid-client'
import { app, args, person, privateKey, tracing, wanted } from './play.mjs'

const AUTHENTICATION = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(app.secret),
  client_secret_post: () => client.ClientSecretPost(app.secret), // what the library takes unless it is told otherwise
  private_key_jwt: async () => client.PrivateKeyJwt({ key: await privateKey(), kid: app.key.kid }),
  tls_client_auth: () => client.TlsClientAuth(),
  self_signed_tls_client_auth: () => client.TlsClientAuth(),
}

/** What a developer writes for a gateway on plain http, as that of `make demo` is. */
const plain = args.plain ? [client.allowInsecureRequests] : []

/** Discovery (RFC 8414, or OpenID Connect's with algorithm 'oidc') and client authentication. */
export async function configured({ algorithm = 'oauth2', metadata = {}, execute = [] } = {}) {
  const authentication = await AUTHENTICATION[app.method]()
  const options = { algorithm, execute: [...execute, ...plain], [client.customFetch]: tracing }
  return client.discovery(new URL(args.issuer), app.client_id, metadata, authentication, options)
}

/** What is kept between the request and the answer: state, PKCE verifier, and the parameters that carry them. */
export async function fresh(more = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const parameters = wanted({
    redirect_uri: app.redirect_uri,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  })
  return { verifier, state, parameters }
}

/** Pushed request → the person → tokens. `options`: { DPoP }; `sign`: what to push in the place of the parameters. */
export async function granted(config, { parameters: more, checks, options, sign } = {}) {
  const asked = await fresh(more)
  const pushed = sign ? await sign(asked.parameters) : asked.parameters
  const address = await client.buildAuthorizationUrlWithPAR(config, pushed, options)
  const back = await person(address)
  const expected = { pkceCodeVerifier: asked.verifier, expectedState: asked.state, ...checks }
  return client.authorizationCodeGrant(config, back, expected, undefined, options)
}

/** Status, media type and begin of the answer to a call with the access token. */
export async function read(config, token, options) {
  const headers = new Headers()
  const answer = await client.fetchProtectedResource(config, token, new URL(args.data), 'GET', undefined, headers, options)
  return { status: answer.status, type: answer.headers.get('content-type'), body: (await answer.text()).slice(0, 200) }
}
