// openid-client as a relying party: OpenID Connect Discovery, an id_token for the nonce sent, its signature checked with the
// server's keys (enableNonRepudiationChecks), and userinfo for the same subject.
import * as client from 'openid-client'
import { args, play, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured({
    algorithm: 'oidc',
    metadata: args.algorithm === null ? {} : { id_token_signed_response_alg: 'ES256' },
    execute: [client.enableNonRepudiationChecks],
  })
  const nonce = client.randomNonce()
  const tokens = await granted(config, {
    parameters: { nonce, max_age: '600' },
    checks: { expectedNonce: nonce, idTokenExpected: true, maxAge: 600 },
  })
  const claims = tokens.claims()
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  const other = await refused(() => client.fetchUserInfo(config, tokens.access_token, 'somebody else'))
  const data = args.details ? await read(config, tokens.access_token) : undefined
  return { metadata: config.serverMetadata(), tokens, claims, nonce, userinfo, other, data }
})
