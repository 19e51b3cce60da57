// openid-client: client credentials whose token is bound to a key (RFC 6749 §4.4, RFC 9449).
import * as client from 'openid-client'
import { args, play } from './lib/play.mjs'
import { configured } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  return { tokens: await client.clientCredentialsGrant(config, { scope: args.scope }, { DPoP }) }
})
