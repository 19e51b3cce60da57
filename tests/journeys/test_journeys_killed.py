"""The gateway is killed in the middle of traffic, again and again: nothing that was acknowledged is lost.

KILLS=1000 in the long run. Eight clients at once: two people's, who pause, resume, agree and stop; their apps' reads
and refreshed tokens.
"""

import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import Amiss
from gateway.cli.demo_visitor import WebForm
from tests.postgres import until
from tests.worlds.demo import READING, Resident, newcomer, relaunch, started

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KILLS", "3"))
OF_ONE_PAIR = 40  # cycles: then two others, whose logs are short again
BANK = "/open-banking/v4.0/aisp/accounts"

pytestmark = pytest.mark.timeout(max(300, 30 * KILLS))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("killed")
    policies = shutil.copytree(ROOT / "policies", folder / "policies")
    purpose = policies / "purposes" / "household-budget.toml"
    often = purpose.read_text(encoding="utf-8").replace("{ times = 12,", "{ times = 100000,")
    purpose.write_text(often.replace("{ times = 200,", "{ times = 1000000,"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVAL_POLICIES_DIR", str(policies))
        patch.setenv("AVAL_PERSON_CALLS_PER_MINUTE", "0")  # killed processes count as living for a while
        demo = started(folder / "demo")
        yield demo
        demo_setup.stop(demo)


Act = Callable[["Traffic", httpx2.Client], object]


class Traffic:
    """What clients of one person do until the gateway is gone, and what of it was acknowledged."""

    def __init__(self, who: Resident, app: str, *acts: Act) -> None:
        """`app`: the one that refreshes its tokens."""
        self.who, self.turns, self.reads, self.refreshed, self.over = who, 0, 0, 0, False
        self.reading, self.refreshing = who.story.grants["clear-budget"], who.story.grants[app]
        self.client = who.story._client(app)
        self.agreed: list[tuple[str, str]] = []  # consents and their tokens
        self.stopped: list[tuple[str, str]] = []
        self.failed: list[Exception] = []
        self._threads = [threading.Thread(target=self._go_on, args=(act,)) for act in acts]
        for thread in self._threads:
            thread.start()

    def _go_on(self, act: Act) -> None:
        with httpx2.Client(timeout=10) as client:
            while not self.over:
                try:
                    act(self, client)
                except (httpx2.HTTPError, Amiss, LookupError) as error:
                    if not self.over:
                        self.failed.append(error)
                    return

    def end(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self.failed, self.failed


def turns(traffic: Traffic, _client: httpx2.Client | None = None) -> str:
    """Pause, or resume what is paused. Returns what was done."""
    who, address = traffic.who, f"/sharings/{traffic.refreshing.consent}"
    page = who.visitor.get(who.gateway + address)
    verb = "pause" if f"{address}/pause" in page.body else "resume"
    after = who.visitor.submit(page, WebForm(f"{address}/{verb}", "post", page.form("/sign-out").fields))
    traffic.turns += after.status == 200
    return verb


def reads(traffic: Traffic, client: httpx2.Client) -> None:
    answer = client.get(f"{traffic.who.gateway}/data/harbour-bank{BANK}", headers=bearer(traffic.reading.token))
    if answer.status_code == 200:
        traffic.reads += 1
    elif not traffic.over:
        raise Amiss(f"{answer.status_code} {answer.text[:300]}")


def refreshes(traffic: Traffic, client: httpx2.Client) -> None:
    """A public app's refresh token is spent with each use; what it gets is what it has from then on."""
    held = traffic.refreshing
    form = {**traffic.client["form"], "grant_type": "refresh_token", "refresh_token": held.refresh}
    answer = client.post(f"{traffic.who.gateway}/token", data=form, auth=traffic.client["auth"])
    given = answer.json()
    if answer.status_code == 200:
        held.token, held.refresh = given["access_token"], given.get("refresh_token", held.refresh)
        traffic.refreshed += 1
    elif given.get("reason") != "paused":
        raise Amiss(f"{answer.status_code} {answer.text[:300]}")


def lives(traffic: Traffic, client: httpx2.Client) -> None:
    """A whole sharing: asked for, agreed, used, stopped."""
    story = traffic.who.story
    grant = story._obtain("watt-coach", [asked(traffic.who.gateway, "city-energy", "energy.electricity.usage")], 1, ())
    traffic.agreed.append((grant.consent, grant.token))
    story.stop_sharing()
    traffic.stopped.append((grant.consent, grant.token))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def asked(gateway: str, organisation: str, dataset: str) -> dict[str, Any]:
    return {
        "type": "data_access",
        "locations": [f"{gateway}/data/{organisation}"],
        "datatypes": [dataset],
        "actions": ["read"],
        "purpose": "household-budget" if organisation == "harbour-bank" else "energy-advice",
        "period": {"history": "P3M", "future": True},
        "valid_for": "P6M",
        "retention": "P1M",
    }


def settled(demo: Demo, name: str) -> Resident:
    who = newcomer(demo, name)
    who.links("city-energy", "harbour-bank")
    who.story.agree_energy()
    bank = [asked(who.gateway, "harbour-bank", "bank.accounts")]
    who.story.grants["clear-budget"] = who.story._obtain("clear-budget", bank, 1, ())
    return who


def accesses_of(who: Resident) -> int:
    """How many her log has, over all its pages. Her sign-in lives on."""
    count, before = 0, ""
    while True:
        page = who.visitor.get(f"{who.gateway}/log/export.json?badge=access{before}")
        rows = json.loads(page.body)
        if not rows:
            return count
        count, before = count + len(rows), f"&before={rows[-1]['number']}"


def is_kept(traffic: Traffic, before: dict[str, int]) -> None:
    """All that was acknowledged before the gateway was killed is there. `before`: of the cycles before, updated."""
    who = traffic.who
    page = who.visitor.get(f"{who.gateway}/sharings/{traffic.refreshing.consent}")
    told = page.text.count("You paused") + page.text.count("You resumed")
    assert told >= before["turns"] + traffic.turns, "a change that was acknowledged is gone"
    accesses = accesses_of(who)
    assert accesses >= before["reads"] + traffic.reads, "data left without an entry"
    before["turns"], before["reads"] = told, accesses
    with httpx2.Client(timeout=10) as client:
        for consent, token in traffic.agreed[-3:]:
            answer = client.get(f"{who.gateway}/data/city-energy{READING}", headers=bearer(token))
            before["reads"] += answer.status_code == 200
            if (consent, token) in traffic.stopped:
                assert (answer.status_code, answer.json()["reason"]) == (403, "ended"), "a stop is gone"
            else:
                assert answer.status_code in (200, 403), answer.text[:300]  # its stop was perhaps on its way
        if traffic.refreshing is not traffic.reading:
            before["turns"] += 1
            if turns(traffic) == "pause":
                turns(traffic)
                before["turns"] += 1
        refreshes(traffic, client)  # what was given last is what counts


def has_all(one: Traffic, other: Traffic) -> bool:
    return bool(one.turns and one.refreshed and other.reads and other.stopped)


def test_killed_in_the_middle_of_traffic_nothing_acknowledged_is_lost(town: Demo) -> None:
    acknowledged = {"turns": 0, "reads": 0, "refreshed": 0, "stopped": 0}
    for cycle in range(KILLS):
        if cycle % OF_ONE_PAIR == 0:
            pair = [settled(town, f"Carol {cycle}"), settled(town, f"Dora {cycle}")]
            before = [{"turns": 0, "reads": 0}, {"turns": 0, "reads": 0}]
        one = Traffic(pair[0], "watt-coach", turns, reads, reads, refreshes)
        other = Traffic(pair[1], "clear-budget", lives, reads, reads, refreshes)
        if cycle == 0:
            until(partial(has_all, one, other), "each has been acknowledged")
        time.sleep(random.uniform(0.2, 1.5))
        one.over = other.over = True
        gateway = town.processes["gateway"]
        gateway.kill()
        gateway.wait(10)
        one.end()
        other.end()
        began = time.monotonic()
        relaunch(town)
        assert time.monotonic() - began < 20
        for traffic, kept in zip((one, other), before, strict=True):
            is_kept(traffic, kept)
            acknowledged["turns"] += traffic.turns
            acknowledged["reads"] += traffic.reads
            acknowledged["refreshed"] += traffic.refreshed
            acknowledged["stopped"] += len(traffic.stopped)
    assert all(acknowledged.values()), acknowledged
    print(f"{KILLS} kills, acknowledged and kept: {acknowledged}")
    demo_setup.stop(town)
    report = json.loads(demo_setup.aval(town, "log", "verify", "--json"))
    assert report["whole"] is True, report
