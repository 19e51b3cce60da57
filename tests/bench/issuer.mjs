// oidc-provider as the authorization server that is asked at each use: one client, client credentials, opaque tokens
// in memory, introspection (RFC 7662). node issuer.mjs <port> <client id> <client secret>
import Provider from 'oidc-provider'

const [port, id, secret] = process.argv.slice(2)
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  }],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
  },
  ttl: { ClientCredentials: 3600 },
})

// nginx looks at the status alone, so "not active" has to be one that refuses.
provider.use(async (ctx, next) => {
  await next()
  if (ctx.path === '/token/introspection' && ctx.body?.active === false) ctx.status = 401
})

provider.listen(Number(port), '127.0.0.1')
