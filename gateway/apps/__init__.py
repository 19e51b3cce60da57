"""Apps: who may ask people for data, and what each declared about itself.

It owns the declaration (one TOML file each, or what an app registered by itself), the app's
secret (as a hash), its logo (served from our own address, never loaded by people from
theirs) and its standing: active, suspended or deleted. It
knows nothing of consents and tokens: an app's registration says what it *may ask for*, not
what it may read.

The one invariant: what an app declared is stored as one document with one hash. Any later
change of its name, purposes, data or of where it leads people changes the hash, so that
agreements made before and after the change can be told apart; its keys may change (`agreed`).

    declare, described   a file: checked; its keys in words   verbs   register, suspend, resume, verify
    addresses, logos   rules for parts of the file            views   what other rooms see of an app
    profiles   which rules an app keeps as a client           registration   what it registered as a client
    origins    from where browser apps may call               certificates   TLS certificates of apps
    signing    our keys by which something is signed for apps
    members    metadata of apps that register themselves      dynamic    … their rows, and the tokens for them
    elsewhere  keys, logos, sectors at addresses of theirs    documents  … that are a client_id
    statements   what trusted issuers say of software         agreed     what of it people agree to
"""
