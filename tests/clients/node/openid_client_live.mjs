// openid-client: a grant, and its tokens for others to try; bound to the key that the flow is told, or to the certificate
// that the app shows, if there is one.
import * as client from 'openid-client'
import { importJWK } from 'jose'
import { app, args, play } from './lib/play.mjs'
import { configured, granted } from './lib/openid_client.mjs'

const pair = async ({ d, ...open }) => ({
  privateKey: await importJWK({ ...open, d }, open.alg),
  publicKey: await importJWK(open, open.alg, { extractable: true }),
})

await play(async () => {
  const config = await configured(app.certificate ? { metadata: { use_mtls_endpoint_aliases: true } } : {})
  const DPoP = args.holder && client.getDPoPHandle(config, await pair(args.holder))
  return granted(config, DPoP ? { options: { DPoP } } : {})
})
