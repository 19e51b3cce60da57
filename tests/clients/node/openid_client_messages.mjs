// openid-client: FAPI 2.0 Message Signing. Request and answer are signed (JAR, JARM), the tokens bound to a key (DPoP), and
// an ID token says who signed in.
import * as client from 'openid-client'
import { app, play, privateKey, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured({
    algorithm: 'oidc',
    metadata: { authorization_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' },
    execute: [client.useJwtResponseMode],
  })
  const key = { key: await privateKey(), kid: app.key.kid }
  const sign = async (parameters) => (await client.buildAuthorizationUrlWithJAR(config, parameters, key)).searchParams
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const nonce = client.randomNonce()
  const checks = { expectedNonce: nonce, idTokenExpected: true }
  const tokens = await granted(config, { parameters: { nonce }, sign, checks, options: { DPoP } })
  const data = await read(config, tokens.access_token, { DPoP })
  const unsigned = await refused(() => granted(config, { parameters: { nonce }, checks, options: { DPoP } }))
  return { tokens, claims: tokens.claims(), data, unsigned }
})
