"""The OAuth 2.0 authorization server: it turns a person's agreement into tokens for exactly what was agreed.

It owns pushed requests, codes, token families and refresh tokens, and the one dispatcher
`/authorize`. It does not decide what may be shared: terms and life cycle are the consent
room's, and what a token says is read from the terms when the token is made.

The one invariant: token → family → consent. A token is valid only while its family and its consent are. Ending one
of these two rows ends every token below it, so no list of tokens has to be kept or cleaned up.

    endpoints    each endpoint's steps, in their order        steps, calls      the steps; what they hand on
    parameters   what each endpoint takes, once each          checks, details   what each parameter must be
    clients, assertions, binding   who calls, holding what    request_objects   requests that the app has signed
    requests     a request, from first sight to spent code    dispatch          what comes next for it
    pages, going_on   /authorize; what follows from it        returning, responses   its end; the answer to the app
    polling      answers that the app polls for               devices           apps without a browser
    asked        of a person who is not there, by:            backchannel, deferring   CIBA; a refresh for more
    families     what descends from one code                  tokens, client_tokens, exchange   access tokens
    grants, unclaimed   as apps see and end them; or forget   access_tokens, disclosing   resources of our own
    openid, scopes, smart   scopes and claims as details      id_tokens, hints  who signed in, signed; coming back
    logout, logout_pages   who signed out; because an app asks   subjects, spending   its sub for a person; used once
    registering, reading   apps that register themselves      server, adapter   Authlib, untyped
    narrowing, telling, plain_calls   for less; what one is worth; at once   api, protocol, tabled, metadata   the doors
"""
