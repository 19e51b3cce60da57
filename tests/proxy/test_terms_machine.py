"""Any order of agreeing, narrowing, pausing, resuming, stopping, waiting and reading: the terms are the oracle."""

import http.client
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from tests.proxy.bank import BASE, NATIVE, PATHS
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation, answer, transactions

# (operation's path, dataset, field that may be withheld, what of it is seen in an answer)
TRANSACTIONS, ACCOUNTS = "bank.transactions", "bank.accounts"
FIELDS = {TRANSACTIONS: ["transaction.date", "transaction.amount"], ACCOUNTS: ["account.kind"]}
ACCOUNT = (
    b'{"Data":{"Account":[{"AccountId":"00012345","Currency":"EUR","AccountCategory":"Personal",'
    b'"AccountTypeCode":"CACC","Nickname":"canary-narrative"}]},"Links":{"Self":"/a"},"Meta":{}}'
)
_names = itertools.count(1)


class Terms:
    """What was agreed, kept by the test beside the gateway."""

    def __init__(self, consent: str, once: bool, daily: int, until: datetime) -> None:
        self.consent, self.once, self.daily, self.until = consent, once, daily, until
        self.state = "active"
        self.granted = {TRANSACTIONS, ACCOUNTS}
        self.used: dict[tuple[str, str], int] = {}

    def allows(self, dataset: str, now: datetime) -> bool:
        day = now.date().isoformat()  # windows of this test are of UTC
        left = self.used.get((dataset, day), 0) < self.daily
        return self.state == "active" and now < self.until and dataset in self.granted and left

    def spend(self, dataset: str, now: datetime) -> None:
        day = now.date().isoformat()
        self.used[dataset, day] = self.used.get((dataset, day), 0) + 1
        if self.once:
            self.state = "ended"


class Sharing(RuleBasedStateMachine):
    world: World
    organisation: RawOrganisation

    @initialize(once=st.booleans(), daily=st.integers(1, 4), days=st.sampled_from([1, 2, 30]))
    def alice_agrees(self, once: bool, daily: int, days: int) -> None:
        number = next(_names)
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        world = type(self).world
        world.clock = lambda: self.now
        self.person, self.bank, self.app = f"alice-{number}", "bank", f"app-{number}"
        world.app(self.app)
        world.person(self.person)
        world.link(self.person, self.bank, [NATIVE])
        world.run("UPDATE link SET credentials_sealed = NULL")  # no credential that could expire: assertions
        self.ref = world.ref(self.app, self.person, self.bank, NATIVE)
        limit = {"times": daily, "per": "day", "zone": "UTC"}
        items = [world.item(self.bank, name, fields, [self.ref], frequency=[limit]) for name, fields in FIELDS.items()]
        consent = world.consent(self.person, self.app, items, once=once, days=days)
        self.terms = Terms(consent, once, daily, self.now + timedelta(days=days))
        self.given = 0

    def _decides(self, verb, *rest) -> None:  # type: ignore[no-untyped-def]
        world = type(self).world
        with world.house.store.write() as session:
            consent = session.get_one(Consent, self.terms.consent)
            verb(session, world.house.log, consent, herself(consent.person_id), *rest, self.now)

    @precondition(lambda self: self.terms.state == "active" and self.now < self.terms.until)
    @rule()
    def pauses(self) -> None:
        self._decides(deciding.pause)
        self.terms.state = "paused"

    @precondition(lambda self: self.terms.state == "paused" and self.now < self.terms.until)
    @rule()
    def resumes(self) -> None:
        self._decides(deciding.resume)
        self.terms.state = "active"

    @precondition(lambda self: self.terms.state != "ended" and self.now < self.terms.until)
    @rule(kept=st.sampled_from([TRANSACTIONS, ACCOUNTS]))
    def narrows(self, kept: str) -> None:
        if kept in self.terms.granted:
            self._decides(deciding.keep_only, frozenset({(self.bank, kept)}))
            self.terms.granted &= {kept}

    @precondition(lambda self: self.terms.state != "ended")
    @rule(sure=st.integers(0, 3))
    def stops(self, sure: int) -> None:
        if sure == 0:
            self._decides(deciding.end, EndReason.WITHDRAWN)
            self.terms.state = "ended"

    @rule(hours=st.sampled_from([1, 7, 13, 24, 100]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(dataset=st.sampled_from([TRANSACTIONS, ACCOUNTS]), fails=st.sampled_from([False, False, False, True]))
    def app_reads(self, dataset: str, fails: bool) -> None:
        world = type(self).world
        allowed = self.terms.allows(dataset, self.now)

        async def behave(exchange: Exchange) -> None:
            assert allowed, "the organisation was asked for what was not agreed to"
            good = (
                ACCOUNT
                if exchange.target.split("?")[0].endswith("accounts")
                else transactions(NATIVE, day="2026-02-01")
            )
            await exchange.say(answer(b"broken" if fails else good))

        type(self).organisation.behaviour = behave
        token = world.token(self.terms.consent, [self.bank], self.app)
        path = f"{BASE}/accounts" + (f"/{self.ref}/transactions" if dataset == TRANSACTIONS else "")
        connection = http.client.HTTPConnection("localhost", world.port, timeout=20)
        connection.request("GET", f"/data/{self.bank}{path}", headers={"Authorization": f"Bearer {token}"})
        found = connection.getresponse()
        body = found.read()
        connection.close()
        expected = {False: (403, 429), True: (502,) if fails else (200,)}[allowed]
        assert found.status in expected, body
        assert b"canary" not in body and NATIVE.encode() not in body
        if found.status == 200:
            self.terms.spend(dataset, self.now)
            self.given += 1

    @invariant()
    def every_answer_has_its_entry(self) -> None:
        if hasattr(self, "terms"):
            assert type(self).world.kinds(self.person).count("access") == self.given


def test_no_order_of_events_leaks(organisation: RawOrganisation) -> None:
    """A few runs here; the long ones belong to `make torture` (RUNS=2000)."""
    organisation.reset()
    with TemporaryDirectory() as folder:
        world = World(Path(folder), log_fsync=False)
        world.organisation("bank", "bank", organisation.url, PATHS, kind="assertion")
        with world.serving():
            Sharing.world, Sharing.organisation = world, organisation
            runs = int(os.environ.get("RUNS", "25"))
            Sharing.TestCase.settings = settings(
                max_examples=runs,
                stateful_step_count=50 if runs >= 2000 else 30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            machine = Sharing.TestCase("runTest")
            machine.runTest()


pytestmark = pytest.mark.timeout(600)
