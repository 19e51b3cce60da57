"""A stranger who only looks leaves nothing behind: no door that answers a GET adds a row for her."""

import re

from bank import APP, settle
from fortress import Fort, detail
from sqlmodel import SQLModel

from gateway.app import doors


def sizes(fort: Fort) -> dict[str, int]:
    """Of every table but the one row with which the log's own first beat, whenever it comes, keeps its name."""
    tables = set(SQLModel.metadata.tables) - {"logname"}
    return {name: fort.rows(f"SELECT count(*) FROM {name}")[0][0] for name in tables}


def test_a_strangers_get_writes_nothing_at_any_door(fort: Fort) -> None:
    settle(fort)
    opened = fort.request("budget", [detail("harbour-bank", ["bank.accounts"])])
    paths = sorted({door.path for door in doors(fort.house) if "GET" in door.methods})
    assert "/sign-in/passkey" in paths and "/authorize" in paths
    before = sizes(fort)
    stranger = fort.browser()
    for path in paths:
        for filled in ("harbour-bank", "x" * 43):
            for query in ("", "?next=/account", f"?client_id={APP}&state=x&code=x", "?lang=fr&theme=dark"):
                answer = stranger.get(re.sub(r"\{[^}]*\}", filled, path) + query)
                assert answer.status_code < 500 or path == "/readyz", (path, answer.status_code)
    stranger.get(opened)
    stranger.get("/data/harbour-bank/accounts")
    grown = {name: (size, before[name]) for name, size in sizes(fort).items() if size != before[name]}
    assert grown == {}
