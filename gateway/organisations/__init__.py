"""Organisations: who holds data, how to reach them, and which people have linked their accounts with them.

It owns the declarations (one TOML file each), people's links, their credentials (encrypted)
and the person's own download. It knows nothing of apps and of what was agreed: a link says
*how* to ask an organisation about a person, not that an app may.

One that has no API gives files instead: they are kept here, sealed by customer, and read as if it had answered
(`files`, `file_codes`, `folders`).

    connections  what a declaration may say: how the gateway proves itself, how a person is matched
    proofs       the first of these, on a call     linking   the second, step by step
    placing      where a call names the customer

The one invariant: a credential from an organisation, or the gateway's own for it, is only sent
to that organisation, through the connector; a person's only for the person who linked it. No
call is made while a transaction is open.
"""
