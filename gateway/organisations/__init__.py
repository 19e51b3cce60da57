"""Organisations: who holds data, how to reach them, and who has linked her account with them.

It owns the declarations (one TOML file each), the links a person made, the credentials
that came with them (sealed) and the person's own download. It knows nothing of apps and
of what was agreed: a link says *how* to ask an organisation about a person, never that
anybody may.

The one invariant: a credential of an organisation leaves this room only towards that
organisation, through the connector, for the person who linked it. No call is ever made
while a transaction is open.
"""
