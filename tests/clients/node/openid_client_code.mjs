// openid-client: discovery, a pushed request with authorization_details, the code, data, refresh, introspection, revocation.
import * as client from 'openid-client'
import { args, play, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const tokens = await granted(config)
  const data = await read(config, tokens.access_token)
  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token)
  const again = await read(config, renewed.access_token)
  const introspected = args.introspects
    ? await client.tokenIntrospection(config, renewed.access_token)
    : await refused(() => client.tokenIntrospection(config, renewed.access_token))
  await client.tokenRevocation(config, renewed.refresh_token ?? tokens.refresh_token)
  const after = await refused(() => read(config, renewed.access_token))
  const renewal = await refused(() => client.refreshTokenGrant(config, renewed.refresh_token ?? tokens.refresh_token))
  return { metadata: config.serverMetadata(), tokens, data, renewed, again, introspected, after, renewal }
})
