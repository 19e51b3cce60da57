"""Data calls of an app that runs in a browser: its own origin may read the answer, refusals too; no other may."""

import time

from gateway.apps.tables import App, AppOrigin
from tests.proxy.bank import Bank

ELSEWhere = "https://mallory.example"


def registered(bank: Bank) -> str:
    origin = f"https://{bank.app}.example"
    with bank.world.house.store.write() as session:
        session.add(AppOrigin(origin=origin, client_id=bank.app))
    time.sleep(1.1)  # what was read a moment ago is not asked again
    return origin


def test_the_origin_of_a_registered_app_reads_and_asks_before(bank: Bank) -> None:
    here = registered(bank)
    found = bank.reads(Origin=here)
    assert (found.status, found.headers["access-control-allow-origin"]) == (200, here)
    assert "access-control-allow-credentials" not in found.headers
    refused = bank.reads(token="x", Origin=here)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, here)
    asked = bank.reads(method="OPTIONS", Authorization="", Origin=here, Access_Control_Request_Method="GET")
    assert (asked.status, asked.headers["access-control-allow-methods"]) == (204, "GET, HEAD")


def test_no_other_origin_does(bank: Bank) -> None:
    here = registered(bank)
    for origin in (ELSEWhere, "null", "*", here + ".mallory.example"):
        found = bank.reads(Origin=origin)
        assert found.status == 200  # the browser keeps it from the page
        assert not [name for name in found.headers if name.startswith("access-control")]
        asked = bank.reads(method="OPTIONS", Origin=origin, Access_Control_Request_Method="GET")
        assert asked.status == 405
    assert bank.reads(method="OPTIONS").status == 405


def test_a_suspended_app_has_no_origin(bank: Bank) -> None:
    here = registered(bank)
    with bank.world.house.store.write() as session:
        session.get_one(App, bank.app).status = "suspended"
    time.sleep(1.1)
    assert "access-control-allow-origin" not in bank.reads(Origin=here).headers
