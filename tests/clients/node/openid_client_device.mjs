// openid-client: the device grant (RFC 8628). The person opens the address that the device shows.
import * as client from 'openid-client'
import { person, play, wanted } from './lib/play.mjs'
import { configured, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const shown = await client.initiateDeviceAuthorization(config, wanted())
  const polling = client.pollDeviceAuthorizationGrant(config, { ...shown, interval: 1 })
  const tokens = (await Promise.all([polling, person(shown.verification_uri_complete ?? shown.verification_uri)]))[0]
  return { shown, tokens, data: await read(config, tokens.access_token) }
})
