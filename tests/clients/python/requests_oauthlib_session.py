"""requests-oauthlib: it knows neither pushed requests nor introspection nor revocation, so the app posts those itself.

Its own way is the request in the address, taken when the app need not push (`"pushes": false`).
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from playing import APP, ARGUMENTS, answer, checked, details, person, play, refused
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session


def flow() -> dict[str, Any]:
    server = requests.get(f"{ARGUMENTS['issuer']}/.well-known/oauth-authorization-server", timeout=30).json()
    public = APP["method"] == "none"
    proof = None if public else HTTPBasicAuth(APP["client_id"], APP["secret"])
    named = {"client_id": APP["client_id"]} if public else {}

    def post(endpoint: str, **form: str) -> requests.Response:
        return requests.post(server[endpoint], data=named | form, auth=proof, timeout=30)

    app = OAuth2Session(APP["client_id"], redirect_uri=APP["redirect_uri"], pkce="S256")
    address, _ = app.authorization_url(server["authorization_endpoint"], authorization_details=details())
    if ARGUMENTS.get("pushes", True):
        pushed = post("pushed_authorization_request_endpoint", **dict(parse_qsl(urlsplit(address).query)))
        pushed.raise_for_status()
        query = {"client_id": APP["client_id"], "request_uri": pushed.json()["request_uri"]}
        address = f"{server['authorization_endpoint']}?{urlencode(query)}"
    back = checked(person(address), server["issuer"])
    redeeming = {"include_client_id": public, "auth": proof}
    tokens = dict(app.fetch_token(server["token_endpoint"], authorization_response=back, **redeeming))
    data = answer(app.get(ARGUMENTS["data"]))
    renewed = dict(app.refresh_token(server["token_endpoint"], auth=proof, **named))
    again = answer(app.get(ARGUMENTS["data"]))

    asked = post("introspection_endpoint", token=renewed["access_token"])
    introspected = asked.json() if ARGUMENTS["introspects"] else {"status": asked.status_code}
    kept = renewed.get("refresh_token", tokens["refresh_token"])
    post("revocation_endpoint", token=kept).raise_for_status()
    after = answer(app.get(ARGUMENTS["data"]))
    renewal: dict[str, Any] = {}
    with refused(renewal):
        app.refresh_token(server["token_endpoint"], refresh_token=kept, auth=proof, **named)
    return {
        "tokens": tokens, "data": data, "renewed": renewed, "again": again,
        "introspected": introspected, "after": after, "renewal": renewal,
    }  # fmt: skip


play(flow)
