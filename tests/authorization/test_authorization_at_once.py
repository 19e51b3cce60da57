"""Answer, poll and take back at one moment, in all orders: one lock order, so that nobody waits for who waits."""

import os
import threading
import time
from collections import Counter
from functools import partial

import pytest
from authorization_world import Page
from waiting_requests import BANK, CIBA

ROUNDS = 8


def deadlocks(world):
    time.sleep(1.2)  # the statistics are written once a second
    sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return world.house.store.connect().execute(sql).fetchone()[0]


def at_once(works):
    """The status of each, and by which name."""
    seen, start = Counter(), threading.Barrier(len(works))

    def one(name, work):
        start.wait()
        seen[name, work().status_code] += 1

    threads = [threading.Thread(target=one, args=each) for each in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


@pytest.mark.skipif(os.environ.get("ENGINE") != "postgres", reason="SQLite has one writer at a time")
def test_answer_poll_and_take_back_at_once(world):
    world.register("till", **BANK)
    seen = Counter()
    for _ in range(ROUNDS):
        world.clock.passes(days=1)
        form = {"scope": "openid", "login_hint": "alice@example.org", "binding_message": "W4"}
        told = world.post("/bc-authorize", form, "till").json()
        waiting = "SELECT id FROM consent WHERE state = 'requested' AND person_id = 'alice' ORDER BY created_at"
        ids = world.house.store.connect().execute(waiting).fetchall()
        browser = world.browser("alice")
        address = browser.get(f"/requests/{ids[-1][0]}").headers["location"]
        page = Page(browser.get(address + "&change=1").text)
        allow = partial(browser.post, page.action, data={**page.fields, "decision": "allow"})
        poll = partial(world.post, "/token", {"grant_type": CIBA, "auth_req_id": told["auth_req_id"]}, "till")
        revoke = partial(world.post, "/revoke", {"token": told["auth_req_id"]}, "till")
        back = partial(browser.get, address)
        works = [("allow", allow), *[("poll", poll)] * 3, ("page", back), ("revoke", revoke)]
        seen += at_once(works)
    assert not [key for key in seen if key[1] >= 500], seen
    assert deadlocks(world) == 0
