// openid-client: a grant, and its tokens for others to try.
import { play } from './lib/play.mjs'
import { configured, granted } from './lib/openid_client.mjs'

await play(async () => granted(await configured()))
