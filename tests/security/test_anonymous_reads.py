"""A stranger who only looks leaves nothing behind: no door that answers a GET adds a row for her."""

import re
import time

from security_world import APP, World, detail, settle
from sqlmodel import SQLModel

from gateway.app import doors


def sizes(world: World) -> dict[str, int]:
    return {name: world.rows(f"SELECT count(*) FROM {name}")[0][0] for name in SQLModel.metadata.tables}


def the_log_has_begun(world: World) -> None:
    """Its first beat, shortly after the start, writes the row that keeps its name."""
    until = time.monotonic() + 10
    while not world.rows("SELECT 1 FROM logname"):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_strangers_get_writes_nothing_at_any_door(world: World) -> None:
    settle(world)
    opened = world.request("budget", [detail("harbour-bank", ["bank.accounts"])])
    paths = sorted({door.path for door in doors(world.house) if "GET" in door.methods})
    assert "/sign-in/passkey" in paths and "/authorize" in paths
    the_log_has_begun(world)
    before = sizes(world)
    stranger = world.browser()
    for path in paths:
        for filled in ("harbour-bank", "x" * 43):
            for query in ("", "?next=/account", f"?client_id={APP}&state=x&code=x", "?lang=fr&theme=dark"):
                answer = stranger.get(re.sub(r"\{[^}]*\}", filled, path) + query)
                assert answer.status_code < 500 or path == "/readyz", (path, answer.status_code)
    stranger.get(opened)
    stranger.get("/data/harbour-bank/accounts")
    grown = {name: (size, before[name]) for name, size in sizes(world).items() if size != before[name]}
    assert grown == {}
