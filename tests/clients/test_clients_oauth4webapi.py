"""oauth4webapi: every answer is checked by the letter of its RFC."""

import pytest
from clients_world import World
from play import Plays
from stories import check_whole


@pytest.mark.parametrize("name", ["public", "basic", "signed"])
def test_an_app_goes_step_by_step(world: World, plays: Plays, name: str) -> None:
    seen = plays("oauth4webapi_code.mjs", world.app(name), introspects=name != "public")
    check_whole(world, seen, public=name == "public")
    assert seen["resource"]["authorization_servers"] == [world.gateway] == [seen["metadata"]["issuer"]]
    assert seen["pushed"]["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    claims = seen["claims"]  # of a token that the library has verified
    assert claims["client_id"] == name and claims["grant_id"] == seen["tokens"]["grant_id"]
    assert (seen["replayed"]["status"], seen["replayed"]["error"]) == (400, "invalid_grant")
