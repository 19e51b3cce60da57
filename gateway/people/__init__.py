"""People: their accounts, and how they sign in.

It owns accounts, passwords, passkeys, one-time codes and sign-ins, and the pages for these.
It refuses to know what a person shares: it counts consents and accesses for the home page
and leaves the rest to their rooms. A person is known inside by an opaque id that no app and
no organisation ever sees. Every sign-in is a row: its cookie is a secret of which only the
hash is kept, it ends by itself, and the person can end it.

    accounts    names, addresses, dates: checked and stored   sign_ins   rows of sign-ins, who the caller is
    passwords   argon2id, and which passwords are too easy    throttle   limits on tries
    passkeys    WebAuthn                                      seeding    people added by the operator
    totp        one-time codes and recovery codes             steps      what several doors begin with
    *_pages     the doors; `pages` lists them                 words      texts chosen here, translated later

The one invariant: what an unknown address gets back, and how long it takes, is what a known
one with a wrong password gets.
"""
