// oauth4webapi in the browser: a pushed request, so that what is asked is in no address.
import * as oauth from '/lib/oauth4webapi.js'

const found = async (settings) => {
  const issuer = new URL(settings.issuer)
  const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' })
  return oauth.processDiscoveryResponse(issuer, answer)
}

export async function begin(settings) {
  const server = await found(settings)
  const client = { client_id: settings.client_id }
  const kept = { verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState() }
  sessionStorage.setItem('kept', JSON.stringify(kept))
  const parameters = {
    response_type: 'code',
    redirect_uri: settings.redirect_uri,
    state: kept.state,
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier),
    code_challenge_method: 'S256',
    authorization_details: JSON.stringify(settings.details),
  }
  const answer = await oauth.pushedAuthorizationRequest(server, client, oauth.None(), parameters)
  const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, answer)
  location.href = `${server.authorization_endpoint}?${new URLSearchParams({ client_id: settings.client_id, request_uri })}`
}

export async function end(settings) {
  const server = await found(settings)
  const client = { client_id: settings.client_id }
  const { verifier, state } = JSON.parse(sessionStorage.getItem('kept'))
  const back = oauth.validateAuthResponse(server, client, new URL(location.href), state)
  const tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), back, settings.redirect_uri, verifier),
  )
  const read = async (token) => {
    const answer = await fetch(settings.data, { headers: { authorization: `Bearer ${token}` } })
    return { status: answer.status, type: answer.headers.get('content-type'), body: (await answer.text()).slice(0, 200) }
  }
  const data = await read(tokens.access_token)
  const renewed = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, oauth.None(), tokens.refresh_token),
  )
  const again = await read(renewed.access_token)
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, oauth.None(), renewed.refresh_token),
  )
  const rotated = renewed.refresh_token !== tokens.refresh_token
  return { data, again, rotated, after: await read(renewed.access_token) }
}
