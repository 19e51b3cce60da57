"""Authlib's OAuth2Client on httpx2, as gateway/docs/apps.md shows it, or its OAuth2Session on requests ("library")."""

import importlib
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import authlib_parts
from playing import APP, ARGUMENTS, answer, checked, details, person, play, refused, verifier_and_challenge

CLIENTS = {"httpx": ("httpx_client", "OAuth2Client"), "requests": ("requests_client", "OAuth2Session")}


def flow() -> dict[str, Any]:
    module, name = CLIENTS[ARGUMENTS["library"]]
    client = getattr(importlib.import_module(f"authlib.integrations.{module}"), name)
    app = client(APP["client_id"], authlib_parts.secret(), **authlib_parts.OPTIONS)
    about = f"{ARGUMENTS['issuer']}/.well-known/oauth-authorization-server"
    server = app.request("GET", about, withhold_token=True).json()
    authlib_parts.signs(app, server)
    proof = app.client_auth(APP["method"])

    verifier, _ = verifier_and_challenge()
    address, state = app.create_authorization_url(
        server["authorization_endpoint"], code_verifier=verifier, authorization_details=details()
    )
    form = authlib_parts.unnamed(dict(parse_qsl(urlsplit(address).query)))
    pushed = app.request("POST", server["pushed_authorization_request_endpoint"], data=form, auth=proof)
    query = urlencode({"client_id": APP["client_id"], "request_uri": pushed.json()["request_uri"]})
    back = checked(person(f"{server['authorization_endpoint']}?{query}"), server["issuer"])
    tokens = dict(
        app.fetch_token(server["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    )
    data = answer(app.get(ARGUMENTS["data"]))
    renewed = dict(app.refresh_token(server["token_endpoint"], refresh_token=tokens["refresh_token"]))
    again = answer(app.get(ARGUMENTS["data"]))

    asked = app.introspect_token(server["introspection_endpoint"], token=renewed["access_token"])
    introspected = asked.json() if ARGUMENTS["introspects"] else {"status": asked.status_code}
    kept = renewed.get("refresh_token", tokens["refresh_token"])
    app.revoke_token(server["revocation_endpoint"], token=kept).raise_for_status()
    after = answer(app.get(ARGUMENTS["data"]))
    renewal: dict[str, Any] = {}
    with refused(renewal):
        app.refresh_token(server["token_endpoint"], refresh_token=kept)
    return {
        "tokens": tokens, "data": data, "renewed": renewed, "again": again,
        "introspected": introspected, "after": after, "renewal": renewal,
    }  # fmt: skip


play(flow)
