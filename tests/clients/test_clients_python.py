"""Authlib's three clients and requests-oauthlib, each as the app of a developer who uses it."""

import importlib.util

import pytest
from clients_world import Robot, World
from play import Plays, Stumble
from stories import check_whole


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is missing: make venv")


APPS = ["public", "basic", "signed"]


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("library", ["httpx", pytest.param("requests", marks=needs("requests"))])
def test_authlib(world: World, plays: Plays, library: str, name: str) -> None:
    seen = plays("authlib_client.py", world.app(name), library=library, introspects=name != "public")
    check_whole(world, seen, public=name == "public")


@pytest.mark.parametrize("name", APPS)
def test_authlib_awaited(world: World, plays: Plays, name: str) -> None:
    seen = plays("authlib_async.py", world.app(name), introspects=name != "public")
    check_whole(world, seen, public=name == "public")


@needs("requests_oauthlib")
@pytest.mark.parametrize("name", ["public", "basic"])
def test_requests_oauthlib(world: World, plays: Plays, name: str) -> None:
    seen = plays("requests_oauthlib_session.py", world.app(name), introspects=name != "public")
    check_whole(world, seen, public=name == "public")


@needs("requests_oauthlib")
def test_requests_oauthlib_in_its_own_way(world: World, plays: Plays) -> None:
    seen = plays("requests_oauthlib_session.py", world.app("unpushed"), introspects=False, pushes=False)
    check_whole(world, seen, public=True)


@pytest.mark.parametrize(
    ("script", "parameter", "error"),
    [
        ("authlib_async.py", "iss", "mixed_up"),
        pytest.param("requests_oauthlib_session.py", "iss", "mixed_up", marks=needs("requests_oauthlib")),
        pytest.param("requests_oauthlib_session.py", "state", "mismatching_state", marks=needs("requests_oauthlib")),
        ("authlib_async.py", "state", "mismatching_state"),
    ],
)
def test_an_answer_that_mallory_mixed_up_is_refused(
    world: World, plays: Plays, alice: Robot, script: str, parameter: str, error: str
) -> None:
    with pytest.raises(Stumble) as stumble:
        plays(script, world.app("basic"), visits=alice.mixed_up(parameter, "https://mallory.example"), introspects=True)
    assert stumble.value.error["error"] == error
