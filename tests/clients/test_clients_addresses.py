"""Addresses that a developer gets nearly right, at a gateway behind TLS."""

import httpx2
import pytest
from clients_world import World

PATHS = ["/token/", "/par/", "/authorize/", "/.well-known/oauth-authorization-server/", "/log/"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/token/", "/par/", "/authorize/", "/.well-known/oauth-authorization-server/", "/log/"]
)
def test_a_slash_too_many_leads_nowhere(world: World, method: str, path: str) -> None:
    """Never to the same address on plain http, where a form would be sent again with the app's secret."""
    app = world.app("basic")
    assert app.secret
    with httpx2.Client(verify=world.trust, auth=(app.client_id, app.secret)) as client:
        form = {"grant_type": "refresh_token", "refresh_token": "a"} if method == "POST" else None
        answer = client.request(method, world.gateway + path, data=form)
    assert answer.status_code == 404 and "location" not in answer.headers
