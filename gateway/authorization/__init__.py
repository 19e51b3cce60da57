"""The OAuth 2.0 authorization server: it turns a person's agreement into tokens that carry exactly that.

It owns pushed requests, codes, token families and refresh tokens, and the one dispatcher
`/authorize`. It does not decide what may be shared: terms, screen and life cycle are the
consent room's, and what a token says is read from the terms at the moment it is made.

The one invariant: token → family → consent. A token is worth what its family and its
consent are worth *now*; ending either one row ends every token below it, and nothing is
ever swept or deleted.

    requests     an authorization request, from first sight to spent code     steps      what comes next for it
    parameters   what each endpoint takes, once each                          details    authorization_details, strictly
    clients      who calls                                                    assertions   private_key_jwt
    families     what descends from one code                                  tokens     access tokens: made, read
    metadata     what we say about ourselves                                  server, adapter   Authlib, untyped
    pages        /authorize                                                   api        /par /token /revoke …
    protocol     which endpoints and grants there are                         checks     what each parameter must be
"""
