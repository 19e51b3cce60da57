// openid-client: client-initiated backchannel authentication (CIBA), poll mode. There is no address to open: the person
// finds the request where she is told of requests ("inbox").
import * as client from 'openid-client'
import { args, person, play, wanted } from './lib/play.mjs'
import { configured, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const asked = wanted({ login_hint: args.login_hint, binding_message: 'W4SCT' })
  const begun = await client.initiateBackchannelAuthentication(config, asked)
  const polling = client.pollBackchannelAuthenticationGrant(config, begun)
  const tokens = (await Promise.all([polling, person(`inbox:${args.login_hint}`)]))[0]
  return { begun, tokens, data: await read(config, tokens.access_token) }
})
