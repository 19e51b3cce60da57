// openid-client: token exchange (RFC 8693). Another app's access token for one of its own, and the data read with that.
import * as client from 'openid-client'
import { args, play, refused } from './lib/play.mjs'
import { configured, read } from './lib/openid_client.mjs'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

await play(async () => {
  const config = await configured()
  const exchanged = (token) => client.genericGrantRequest(config, EXCHANGE, {
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    audience: args.resource,
  })
  const tokens = await exchanged(args.subject)
  const data = await read(config, tokens.access_token)
  const twice = await refused(() => exchanged(tokens.access_token))
  return { metadata: config.serverMetadata(), tokens, data, twice }
})
