"""Every `type` of a problem leads to a page that says what to do."""

import pytest
from starlette.applications import Starlette
from web_world import World

from gateway import errors
from gateway.ground.web import problems
from gateway.ground.web.doors import route
from tests.callers import TestClient


@pytest.fixture
def visitor(world: World) -> TestClient:
    house = world.house
    app = Starlette(routes=[route(door, house, lambda *_: None) for door in problems.DOORS])
    return TestClient(app, base_url=house.settings.public_url)


@pytest.mark.parametrize(
    "code", [*errors.REASONS, *problems.OTHERS, "invalid_request", "not_found", "temporarily_unavailable"]
)
def test_a_problem_is_explained(visitor: TestClient, code: str) -> None:
    page = visitor.get(f"/problems/{code}")
    assert page.status_code == 200 and code in page.text and "What to do" in page.text
    if code in errors.REASONS:
        assert str(errors.REASONS[code][0]) in page.text


def test_an_unknown_problem_is_not_found(visitor: TestClient) -> None:
    assert visitor.get("/problems/none").status_code == 404


def test_advice_is_given_for_known_reasons_only_and_for_each_that_the_app_can_do_something_about() -> None:
    known = {**errors.REASONS, **problems.OTHERS}
    assert set(problems.ADVICE) <= set(known)
    assert {reason for reason, (status, _) in known.items() if status < 500} <= set(problems.ADVICE)
