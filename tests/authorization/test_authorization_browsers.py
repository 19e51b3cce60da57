"""Apps that run in a browser (CORS, negative case B17): registered origins may call and read, and nobody else."""

import pytest
from authorization_world import BUDGET, CALLBACK

HERE = "http://localhost:8411"
ELSEWHERE = "https://mallory.example"
OPEN = ["/par", "/token", "/revoke", "/userinfo"]


def asked(world, path, origin, method="POST"):
    headers = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "dpop"}
    return world.browser().options(path, headers=headers)


@pytest.mark.parametrize("path", OPEN)
def test_a_page_of_a_registered_app_may_call(world, path):
    answer = asked(world, path, HERE)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert {"DPoP", "Authorization", "Content-Type"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://localhost:8412", f"{HERE}/", HERE.upper(), "*"])
def test_no_other_page_may(world, path, origin):
    answer = asked(world, path, origin)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    posted = world.post(path, {"token": "x"}, "meter", origin=origin)
    assert not [name for name in posted.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", OPEN)
def test_errors_can_be_read_too(world, path):
    answer = world.post(path, {"token": "x"}, None, origin=HERE)
    assert answer.status_code in (400, 401)
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/authorize", "/introspect", "/sign-in"])
def test_nowhere_else(world, path):
    answer = asked(world, path, HERE)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_whose_origins_count(world):
    by_secret = {"token_endpoint_auth_method": "client_secret_basic"}
    world.register("server", redirect_uris=["https://server.example/cb"], **by_secret)
    world.register("phone", redirect_uris=["com.example.native:/callback"], application_type="native")
    world.register("page", redirect_uris=["https://page.example/cb", "https://other.page.example/cb"])
    for origin, may in (("https://server.example", False), ("com.example.native://", False),
                        ("https://page.example", True), ("https://other.page.example", True)):  # fmt: skip
        assert ("access-control-allow-origin" in asked(world, "/token", origin).headers) is may
    world.register("page", redirect_uris=["https://page.example/cb"])
    assert "access-control-allow-origin" not in asked(world, "/token", "https://other.page.example").headers
    world.suspend("page")
    assert "access-control-allow-origin" not in asked(world, "/token", "https://page.example").headers


def test_an_origin_is_as_browsers_write_it(world):
    world.register("ported", token_endpoint_auth_method="none", redirect_uris=["https://ported.example:443/cb"])
    assert asked(world, "/token", "https://ported.example").status_code == 204
    known = asked(world, "/token", "https://ported.example").headers["access-control-allow-origin"]
    assert known == "https://ported.example"
    assert "access-control-allow-origin" not in asked(world, "/token", "https://ported.example:444").headers


def test_a_whole_flow_is_readable(world):
    answer = world.post("/par", world.request(), "meter", origin=HERE)
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == HERE
    assert CALLBACK.startswith(HERE) and BUDGET["redirect_uris"]
