"""Real OAuth clients at a running gateway."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients_world import Robot, World
from play import Plays, need_node, played
from reference import Reference

pytest.register_assert_rewrite("stories")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("clients")).serving() as started:
        yield started


@pytest.fixture(scope="session")
def linked(world: World) -> Iterator[Robot]:
    robot = world.person()
    yield robot
    robot.visitor._client.close()


@pytest.fixture
def alice(linked: Robot) -> Robot:
    """She agrees, whatever she answered in the test before."""
    linked.decision = "allow"
    linked.seen.clear()
    return linked


@pytest.fixture
def plays(world: World, alice: Robot) -> Plays:
    """plays("script.mjs", app, …): the result of that flow, with Alice at the browser."""

    def play(script: str, app: Any, *, visits: Any = None, **more: Any) -> dict[str, Any]:
        if script.endswith(".mjs"):
            need_node()
        return played(script, world.arguments(app, **more), visits or alice.visits, world.root.file)

    return play


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    need_node()
    with Reference(tmp_path_factory.mktemp("reference")).serving() as started:
        yield started
