// openid-client: the request as a signed object (JAR, RFC 9101), pushed. Then the same without the signature, which an app
// that registered require_signed_request_object must be refused.
import * as client from 'openid-client'
import { app, play, privateKey, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

const signing = async (config) => {
  const key = { key: await privateKey(), kid: app.key.kid }
  return async (parameters) => (await client.buildAuthorizationUrlWithJAR(config, parameters, key)).searchParams
}

await play(async () => {
  const config = await configured()
  const tokens = await granted(config, { sign: await signing(config) })
  const data = await read(config, tokens.access_token)
  const unsigned = await refused(() => granted(config))
  return { metadata: config.serverMetadata(), tokens, data, unsigned }
})
