// openid-client: the answer at the redirect address as one signed JWT (JARM, response_mode=jwt), checked with the
// server's keys.
import * as client from 'openid-client'
import { play } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured({
    metadata: { authorization_signed_response_alg: 'ES256' },
    execute: [client.useJwtResponseMode],
  })
  const tokens = await granted(config)
  return { metadata: config.serverMetadata(), tokens, data: await read(config, tokens.access_token) }
})
