// openid-client's DPoP handle (RFC 9449) through a whole grant: dpop_jkt or a proof at the pushed request, tokens bound to
// the key, nonces that the server hands out at the authorization server and at the data, and no reading without the key.
import * as client from 'openid-client'
import { decodeJwt } from 'jose'
import { args, exchanged, play, refused } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'

const status = async (step) => {
  const wrong = await refused(async () => { passed = await step() })
  return wrong ? wrong.status : passed.status
}
let passed

await play(async () => {
  const config = await configured()
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const tokens = await granted(config, { options: { DPoP } })
  const thumbprint = await DPoP.calculateThumbprint()
  const data = await read(config, tokens.access_token, { DPoP })
  const renewed = tokens.refresh_token
    ? await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
    : undefined
  const again = renewed && (await read(config, renewed.access_token, { DPoP }))
  return {
    tokens,
    thumbprint,
    bound: args.opaque ? thumbprint : decodeJwt(tokens.access_token).cnf?.jkt,
    algorithms: config.serverMetadata().dpop_signing_alg_values_supported,
    data,
    renewed,
    again,
    asBearer: await status(() => read(config, tokens.access_token)),
    withOtherKey: await status(() => read(config, tokens.access_token, { DPoP: other })),
    renewedWithOtherKey: tokens.refresh_token
      ? await refused(() => client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: other }))
      : undefined,
    nonces: {
      server: exchanged('').some((step) => step.status === 400 && step.answer.includes('use_dpop_nonce')),
      data: exchanged(new URL(args.data).pathname).some((step) => step.answered['www-authenticate']?.includes('use_dpop_nonce')),
    },
  }
})
