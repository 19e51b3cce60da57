// oauth4webapi: the same flow step by step. Each answer is checked by the RFC that defines it: status, media type, types of
// members, iss, the access token (RFC 9068) with the server's keys, and the metadata of the data (RFC 9728).
import * as oauth from 'oauth4webapi'
import { app, args, person, play, privateKey, refused, tracing, wanted } from './lib/play.mjs'

const using = { [oauth.customFetch]: tracing }
const AUTHENTICATION = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(app.secret),
  private_key_jwt: async () => oauth.PrivateKeyJwt({ key: await privateKey(), kid: app.key.kid }),
}

await play(async () => {
  const resource = await oauth.processResourceDiscoveryResponse(
    new URL(args.resource),
    await oauth.resourceDiscoveryRequest(new URL(args.resource), using),
  )
  const issuer = new URL(resource.authorization_servers[0])
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...using }),
  )
  const client = { client_id: app.client_id }
  const proof = await AUTHENTICATION[app.method]()

  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const parameters = wanted({
    response_type: 'code',
    redirect_uri: app.redirect_uri,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const pushed = await oauth.processPushedAuthorizationResponse(
    server,
    client,
    await oauth.pushedAuthorizationRequest(server, client, proof, parameters, using),
  )
  const address = new URL(server.authorization_endpoint)
  address.searchParams.set('client_id', app.client_id)
  address.searchParams.set('request_uri', pushed.request_uri)
  const back = await person(address)

  const redeem = async () =>
    oauth.processAuthorizationCodeResponse(
      server,
      client,
      await oauth.authorizationCodeGrantRequest(
        server,
        client,
        proof,
        oauth.validateAuthResponse(server, client, back, state),
        app.redirect_uri,
        verifier,
        using,
      ),
    )
  const tokens = await redeem()
  const read = async (token) => {
    const answer = await oauth.protectedResourceRequest(token, 'GET', new URL(args.data), undefined, null, using)
    return { status: answer.status, type: answer.headers.get('content-type'), body: (await answer.text()).slice(0, 200) }
  }
  const data = await read(tokens.access_token)
  const call = new Request(args.data, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(server, call, args.resource, using)

  const renew = async (token) =>
    oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, proof, token, using),
    )
  const renewed = await renew(tokens.refresh_token)
  const again = await read(renewed.access_token)

  const introspect = async () =>
    oauth.processIntrospectionResponse(
      server,
      client,
      await oauth.introspectionRequest(server, client, proof, renewed.access_token, using),
    )
  const introspected = args.introspects ? await introspect() : await refused(introspect)
  const kept = renewed.refresh_token ?? tokens.refresh_token
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, proof, kept, using))
  const after = await refused(() => read(renewed.access_token))
  const renewal = await refused(() => renew(kept))
  const replayed = await refused(redeem)
  return {
    resource, metadata: server, pushed, tokens, data, claims, renewed, again, introspected, after, renewal, replayed,
  }
})
