// openid-client: client credentials (RFC 6749 §4.4): a token for the app itself, which is about no person.
import * as client from 'openid-client'
import { args, play, refused } from './lib/play.mjs'
import { configured, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const tokens = await client.clientCredentialsGrant(config, args.scope ? { scope: args.scope } : {})
  let answer
  const data = (await refused(async () => { answer = await read(config, tokens.access_token) })) ?? answer
  return { metadata: config.serverMetadata(), tokens, data }
})
