"""Apps that register themselves, and what they serve at addresses of their own."""

import json

from authorization_world import ISSUER

from gateway.ground.http.connector import ConnectorError
from tests.callers import TestClient

SITE = "https://site.example"
PLAIN = {"redirect_uris": [f"{SITE}/callback"], "client_name": "Corner Shop"}


class Elsewhere:
    """A connector to what apps serve. `pages`: address → the document, its bytes, (fields, bytes), a status, or None:
    nothing answers."""

    def __init__(self, **pages):
        self.pages, self.asked = {}, []

    def ask(self, request, limit):
        url = request.target.base_url + request.path
        self.asked.append(url)
        found = self.pages.get(url)
        if isinstance(found, int):
            return found, [(b"location", b"https://10.0.0.1/")], b"{}"
        if found is None:
            raise ConnectorError("organisation_unavailable", "connect")
        fields, body = found if isinstance(found, tuple) else ([], found)
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if len(body) > limit:
            raise ConnectorError("too_large")
        return 200, fields, body


def opened(world, **settings):
    world.setting(**{"dynamic_registration": "open", **settings})
    world.elsewhere = Elsewhere()
    object.__setattr__(world.house, "connector", world.elsewhere)
    return world


def send(world, members, method="POST", path="/apps", token=None, **headers):
    headers = {"content-type": "application/json", **headers}
    if token:
        headers["authorization"] = f"Bearer {token}"
    client = TestClient(world.app, base_url=ISSUER, follow_redirects=False)
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return client.request(method, path, content=None if method in ("GET", "DELETE") else body, headers=headers)


def registered(world, token=None, **members):
    """The answer to a registration that is accepted; its secret is used from then on."""
    answer = send(world, {**PLAIN, **members}, token=token)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    if "client_secret" in said:
        world.secrets[said["client_id"]] = said["client_secret"]
    return said


def manage(world, said, method="GET", members=None, token=None):
    path = said["registration_client_uri"].removeprefix(ISSUER)
    return send(world, members, method, path, token or said["registration_access_token"])


def refused(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert set(said) <= {"error", "error_description"}
    assert all(" " <= char <= "~" and char not in '"\\' for char in said["error_description"])
    return said["error"]
