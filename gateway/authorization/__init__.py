"""The OAuth 2.0 authorization server: it turns a person's agreement into tokens for exactly what was agreed.

It owns pushed requests, codes, token families and refresh tokens, and the one dispatcher
`/authorize`. It does not decide what may be shared: terms and life cycle are the consent
room's, and what a token says is read from the terms when the token is made.

The one invariant: token → family → consent. A token is valid only while its family and its
consent are. Ending one of these two rows ends every token below it, so no list of tokens
has to be kept or cleaned up.

    endpoints    each endpoint's steps, in their order        steps, calls      the steps; what they hand on
    parameters   what each endpoint takes, once each          checks, details   what each parameter must be
    clients      who calls                                    assertions        private_key_jwt
    binding      the key that the caller holds                request_objects   requests that the app has signed
    requests     a request, from first sight to spent code    dispatch          what comes next for it
    pages, going_on   /authorize; what follows from it        returning, responses   its end; the answer to the app
    families     what descends from one code                  tokens, client_tokens   access tokens, of either kind
    grants       as apps see and end them                     unclaimed         what no app came for
    openid, scopes   scopes and claims as details             id_tokens, hints  who signed in, signed; coming back
    logout       telling apps of who signed out               logout_pages      signing out because an app asks
    subjects, spending   its sub for a person; used once      registering, reading   apps that register themselves
    disclosing   what is told of an account, recorded         access_tokens     at resources of our own
    devices      apps without a browser                       api, protocol, tabled, metadata   the doors; as tables
    server, adapter   Authlib, untyped
"""
