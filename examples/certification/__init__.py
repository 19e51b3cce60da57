"""What a run of the OpenID Foundation's conformance suite against a gateway needs, written into a folder.

    python -m examples.certification FOLDER --gateway https://… --mtls https://… --suite https://…

`plans` is the table: which apps a plan of the suite is played with, and what the suite is told of them. `files` makes
keys and certificates, of this run alone, and writes for each plan the declarations of its apps (for `aval apps add`)
and one JSON (for the suite); besides, the gateway's settings, its certificate, and an example organisation with a
scope. gateway/docs/certification.md says what to do with all of it.
"""
