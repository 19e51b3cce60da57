// openid-client: the app proves who it is by its certificate, and tokens are bound to that (RFC 8705). Endpoints are those
// of mtls_endpoint_aliases. No reading without the certificate, or with another.
import * as client from 'openid-client'
import { createHash, X509Certificate } from 'node:crypto'
import { decodeJwt } from 'jose'
import { app, args, play } from './lib/play.mjs'
import { configured, granted, read } from './lib/openid_client.mjs'
import { showing } from './lib/certificate.mjs'

const status = async (token, shown) => {
  try {
    const answer = await showing(shown)(args.data, { headers: { authorization: `Bearer ${token}` } })
    return answer.status
  } catch (error) {
    return String(error.code ?? error.cause?.code ?? error) // a certificate that nobody knows ends the handshake
  }
}

await play(async () => {
  const config = await configured({ metadata: { use_mtls_endpoint_aliases: true } })
  const tokens = await granted(config)
  const thumbprint = createHash('sha256').update(new X509Certificate(app.certificate).raw).digest('base64url')
  return {
    metadata: config.serverMetadata(),
    tokens,
    thumbprint,
    bound: args.opaque ? thumbprint : decodeJwt(tokens.access_token).cnf?.['x5t#S256'],
    data: await read(config, tokens.access_token),
    renewed: await client.refreshTokenGrant(config, tokens.refresh_token),
    without: await status(tokens.access_token),
    withOther: await status(tokens.access_token, args.other),
  }
})
