// oidc-client-ts as most single-page apps use it: the request in the address, tokens and data by fetch.
import { UserManager } from '/lib/oidc-client-ts.js'

const manager = (settings) =>
  new UserManager({
    authority: settings.issuer,
    metadataUrl: `${settings.issuer}/.well-known/oauth-authorization-server`,
    client_id: settings.client_id,
    redirect_uri: settings.redirect_uri,
    scope: 'data_access',
    automaticSilentRenew: false,
  })

export async function begin(settings) {
  const extraQueryParams = { authorization_details: JSON.stringify(settings.details) }
  await manager(settings).signinRedirect({ extraQueryParams })
}

export async function end(settings) {
  const user = await manager(settings).signinCallback()
  const read = async (token) => {
    const answer = await fetch(settings.data, { headers: { authorization: `Bearer ${token}` } })
    return { status: answer.status, type: answer.headers.get('content-type'), body: (await answer.text()).slice(0, 200) }
  }
  const data = await read(user.access_token)
  const renewed = await manager(settings).signinSilent()
  const again = await read(renewed.access_token)
  await manager(settings).revokeTokens(['refresh_token'])
  return { data, again, rotated: renewed.refresh_token !== user.refresh_token, after: await read(renewed.access_token) }
}
