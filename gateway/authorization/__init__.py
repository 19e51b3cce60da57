"""The OAuth 2.0 authorization server: it turns a person's agreement into tokens for exactly what was agreed.

It owns pushed requests, codes, token families and refresh tokens, and the one dispatcher
`/authorize`. It does not decide what may be shared: terms and life cycle are the consent
room's, and what a token says is read from the terms when the token is made.

The one invariant: token → family → consent. A token is valid only while its family and its
consent are. Ending one of these two rows ends every token below it, so no list of tokens
has to be kept or cleaned up.

    requests     an authorization request, from first sight to spent code     steps      what comes next for it
    parameters   what each endpoint takes, once each                          details    authorization_details, strictly
    clients      who calls                                                    assertions   private_key_jwt
    families     what descends from one code                                  tokens     access tokens: made, read
    metadata     what we say about ourselves                                  server, adapter   Authlib, untyped
    pages        /authorize                                                   api        /par /token /revoke …
    protocol     which endpoints and grants there are                         checks     what each parameter must be
"""
