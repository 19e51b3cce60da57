// openid-client: a grant, then what calls are answered after the person has done something: args.meanwhile, an address
// that only stands for it.
import * as client from 'openid-client'
import { args, person, play, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

await play(async () => {
  const config = await configured()
  const tokens = await granted(config)
  const before = await read(config, tokens.access_token)
  await person(args.meanwhile + tokens.grant_id)
  const after = await read(config, tokens.access_token)
  const renewal = await refused(() => client.refreshTokenGrant(config, tokens.refresh_token))
  return { tokens, before, after, renewal }
})
