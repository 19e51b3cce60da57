// openid-client: the request in the address, as most web apps send it. Needs an app that need not push its requests.
import * as client from 'openid-client'
import { person, play } from './lib/play.mjs'
import { configured, fresh, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const asked = await fresh()
  const back = await person(client.buildAuthorizationUrl(config, asked.parameters))
  const expected = { pkceCodeVerifier: asked.verifier, expectedState: asked.state }
  const tokens = await client.authorizationCodeGrant(config, back, expected)
  return { tokens, data: await read(config, tokens.access_token) }
})
