"""Agree, narrow, pause, resume, stop, agree again, run out, read, refresh: in any order, against the terms as oracle.

No read succeeds that the terms do not allow, every read they allow succeeds, and nothing withheld is ever in an answer.
Some steps happen while a call is out at the organisation: what was agreed when the entry is written is what counts.
The quick profile runs with all tests; TORTURE=1 makes it 2,000 runs of 50 steps.
"""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from security_world import APP, BASE, INSIDE, Bank, Page, World, detail, moves_in, natives, settle, told, transactions
from sqlmodel import select

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.events import digest
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent, ConsentEvent
from gateway.consent.terms import sha256
from gateway.ground.keys import KeyRing
from tests.tokens import claims

RUNS, STEPS = (2000, 50) if os.environ.get("TORTURE") else (30, 30)

# ---- the oracle: what the terms allow, worked out once more and as plainly as possible

ZONE = ZoneInfo("Europe/Paris")
LIMITS = (("hour", 3), ("day", 12), ("month", 200))  # what the app asks, and the caps of the purpose beside it
GRACE = timedelta(seconds=30)  # in which a lost answer to a refresh is given again
LENGTH = {"once": timedelta(hours=24), "d30": timedelta(days=30), "d90": timedelta(days=90)}


def window(per: str, now: datetime) -> str:
    """The calendar window of an instant, as a person would name it."""
    form = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}
    return now.astimezone(ZONE).strftime(form[per])


@dataclass
class Family:
    """What descends from one code."""

    refresh: str
    lives: bool = True
    spent: list[str] = field(default_factory=list)
    spent_at: datetime | None = None  # the last of them

    def goes_on(self, successor: str, now: datetime) -> None:
        self.spent.append(self.refresh)
        self.refresh, self.spent_at = successor, now

    def gives_again(self, token: str, now: datetime) -> bool:
        """The last spent token, while its successor is unused and the grace runs."""
        return self.spent_at is not None and token == self.spent[-1] and now < self.spent_at + GRACE


@dataclass
class Token:
    text: str
    expires: datetime
    family: Family


@dataclass
class Agreement:
    id: str
    granted: set[str]
    accounts: list[str]
    until: datetime
    once: bool
    state: str = "active"
    reason: str = ""
    used: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    families: list[Family] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    def is_over(self, now: datetime) -> bool:
        return now >= self.until

    # ---- what people do

    def ends(self, reason: str, now: datetime) -> bool:
        if self.state not in ("active", "paused"):
            return False
        self.state, self.reason = "ended", "expired" if self.is_over(now) else reason
        return True

    def toggles(self, needed: str, state: str, now: datetime) -> None:
        if self.state == needed and not self.is_over(now):
            self.state = state

    def keeps(self, kept: set[str], now: datetime) -> None:
        if self.state not in ("active", "paused") or self.is_over(now):
            return
        if not self.granted & kept:
            self.ends("withdrawn", now)
        else:
            self.granted &= kept

    # ---- what apps get

    def read(self, token: Token, dataset: str, account: str | None, now: datetime) -> tuple[int, str]:
        """(status, reason). Changes nothing."""
        if now >= token.expires or not token.family.lives:
            return 401, ""
        if self.state == "paused":
            return 403, "paused"
        if self.state == "ended":
            return 403, "max_uses" if self.reason == "used_up" else "ended"
        if self.is_over(now):
            return 403, "ended"
        if dataset not in self.granted:
            return 403, "dataset"
        if account is not None and account not in self.accounts:
            return 403, "account"
        if any(self.used[dataset, per, window(per, now)] >= times for per, times in LIMITS):
            return 429, "frequency"
        return 200, ""

    def has_read(self, dataset: str, now: datetime) -> None:
        for per, _ in LIMITS:
            self.used[dataset, per, window(per, now)] += 1
        if self.once:
            self.state, self.reason = "ended", "used_up"

    def refreshes(self, family: Family, token: str, now: datetime) -> int:
        """The status a refresh gets. A token used before ends its family, unless its answer is given again."""
        if self.is_over(now) or not family.lives or self.state not in ("active", "paused"):
            return 400
        if self.state == "paused":
            return 403
        if token in family.spent and not family.gives_again(token, now):
            family.lives = False
            return 400
        return 200


# ---- people and an app at the real doors, in any order; after every step the answers are compared with the terms

DATASETS = ("bank.accounts", "bank.transactions", "bank.balances")
GIVEN = {
    "bank.accounts": {"AccountId", "Currency"},
    "bank.transactions": {"AccountId", "CreditDebitIndicator", "Status", "BookingDateTime", "Amount"},
    "bank.balances": {"AccountId", "CreditDebitIndicator", "Type", "DateTime", "Amount"},
}
ASKED = [detail("harbour-bank", DATASETS, frequency={"times": 3, "per": "hour"})]
# event → state; None: as before
FOLD = {
    "requested": "requested", "granted": "active", "narrowed": None, "paused": "paused", "resumed": "active",
    "ended": "ended", "lapsed": "ended", "continued": "ended", "refused": "refused",
}  # fmt: skip

# refresh tokens of one family in the order in which they are shown: 0 the current one, 1 the last spent one, …
SHOWN = ((0,), (0, 1), (0, 1, 1, 0), (0, 0, 1), (0, 0, 2), (1,), (2,))

subsets = st.sets(st.sampled_from(DATASETS))
places = st.integers(0, 10**6)  # the how-manieth of what there is then
kinds = st.sampled_from(DATASETS)


class Lives(RuleBasedStateMachine):
    """`world` and `bank` are given by the test: one gateway for all runs, a new Alice for each."""

    world: World
    bank: Bank

    @initialize()
    def alice_and_mallory_arrive(self) -> None:
        self.world.clock.passes(minutes=1)  # unsigned requests are counted per minute
        self.alice, self.mallory = self.world.person("Alice"), self.world.person("Mallory")
        moves_in(self.world, self.bank, self.alice, f"canary-{self.alice[:8]}")
        self.agreements: list[Agreement] = []
        self.hers, self.his = self.world.browser(self.alice), self.world.browser(self.mallory)
        self._agrees(set(DATASETS), False, "d30", True)

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    def _awake(self) -> None:
        """A sign-in ends by itself when nobody comes."""
        self.world.signs_in(self.hers)
        self.world.signs_in(self.his)

    def _one(self, place: int) -> Agreement:
        return self.agreements[place % len(self.agreements)]

    # ---- time

    @rule(minutes=st.sampled_from([1, 4, 5, 7, 20, 61, 60 * 9, 60 * 24 * 3, 0]), seconds=st.sampled_from([-1, 0, 1]))
    def time_passes(self, minutes: int, seconds: int) -> None:
        """None at all: the clock stands just before, on, or just after the end of the newest agreement."""
        edge = self.agreements[-1].until + timedelta(seconds=seconds)
        self.world.clock.now = self.now + timedelta(minutes=minutes) if minutes else max(self.now, edge)

    # ---- the person

    @rule(
        ticked=subsets,
        one_account=st.booleans(),
        duration=st.sampled_from(["d30", "d30", "d90", "once"]),
        redeems=st.booleans() | st.just(True),
    )
    def alice_agrees(self, ticked: set[str], one_account: bool, duration: str, redeems: bool) -> None:
        self._agrees(ticked, one_account, duration, redeems)

    def _agrees(self, ticked: set[str], one_account: bool, duration: str, redeems: bool) -> None:
        self._awake()
        screen = self.hers.get(self.world.request("budget", ASKED) + "&change=1")
        page = Page(screen.text)
        offered = page.offered("accounts:harbour-bank")
        refs = offered[:1] if one_account else offered
        form = page.form("/consent/") | {"decision": "allow", "duration": duration, "accounts:harbour-bank": refs}
        form = {name: value for name, value in form.items() if not name.startswith("item:")}
        form |= {f"item:harbour-bank:{name}": "yes" for name in ticked}
        where = re.findall(r'action="(/consent/([^"]+))"', screen.text)[0]
        answer = self.hers.post(where[0], form)
        assert answer.status_code == 303, answer.text[:500]
        for old in self.agreements:
            old.ends("replaced", self.now)
        granted = ticked | {"bank.accounts"}  # the required one has no box
        made = Agreement(where[1], granted, refs, self.now + LENGTH[duration], duration == "once")
        self.agreements.append(made)
        code = told(self.hers.get(answer.headers["location"]))["code"]
        if redeems:
            self._keeps(made, self.world.redeem(code, "budget"))

    @rule()
    def alice_goes_on_with_what_she_agreed_to(self) -> None:
        """The same request again: one page when the agreement lives, else the whole screen."""
        self._awake()
        last = self.agreements[-1]
        page = Page(self.hers.get(self.world.request("budget", ASKED)).text)
        lives = last.state == "active" and not last.is_over(self.now)
        assert page.has_form("/authorize/continue") == lives
        if lives:
            answer = self.hers.post("/authorize/continue", page.form("/authorize/continue"))
            code = told(self.hers.get(answer.headers["location"]))["code"]
            self._keeps(last, self.world.redeem(code, "budget"))

    def _keeps(self, agreement: Agreement, answer: Any, family: Family | None = None, shown: str = "") -> None:
        """A token response, to a code or to the refresh token `shown` of a family."""
        assert answer.status_code == 200, answer.text
        body = answer.json()
        told = {name for row in body["authorization_details"] for name in row["datatypes"]}
        assert told == agreement.granted and body["grant_id"] == agreement.id
        expires = datetime.fromtimestamp(claims(body["access_token"])["exp"], self.now.tzinfo)
        assert expires <= min(agreement.until, self.now + timedelta(minutes=5))
        if family is None:
            family = Family(body["refresh_token"])
            agreement.families.append(family)
        elif shown in family.spent:
            assert body["refresh_token"] == family.refresh
        else:
            assert body["refresh_token"] not in (family.refresh, *family.spent)
            family.goes_on(body["refresh_token"], self.now)
        agreement.tokens.append(Token(body["access_token"], expires, family))

    @rule(place=places, act=st.sampled_from(["pause", "resume", "resume", "remove", "stop"]), removed=subsets)
    def alice_changes_her_mind(self, place: int, act: str, removed: set[str]) -> None:
        self._awake()
        agreement = self._one(place)
        form = {"remove": [f"item:harbour-bank:{name}" for name in sorted(removed)]} if act == "remove" else {}
        nothing_ticked = act == "remove" and not removed  # an error to be mended, unless it is over anyway
        answers = (422, 303) if nothing_ticked else (303,)
        assert self.hers.post(f"/sharings/{agreement.id}/{act}", form).status_code in answers
        match act:
            case "pause":
                agreement.toggles("active", "paused", self.now)
            case "resume":
                agreement.toggles("paused", "active", self.now)
            case "remove":
                agreement.keeps(set(DATASETS) - removed, self.now)
            case "stop":
                agreement.ends("withdrawn", self.now)

    # ---- the app

    @precondition(lambda self: any(one.tokens for one in self.agreements))
    @rule(place=places, dataset=kinds, account=st.sampled_from(["first", "second", "foreign", "all"]),
          times=st.integers(1, 4))  # fmt: skip
    def the_app_reads(self, place: int, dataset: str, account: str, times: int) -> None:
        """With the newest token, renewed when it has run out, as apps do."""
        self._renewed()
        for _ in range(times):
            agreement, token, ref, path = self._chosen(place, dataset, account, False)
            expected = agreement.read(token, dataset, ref, self.now)
            self._reads(agreement, token, path, dataset, ref, expected)

    @precondition(lambda self: any(one.tokens for one in self.agreements))
    @rule(place=places, dataset=kinds, account=st.sampled_from(["first", "second", "foreign", "all"]))
    def the_app_reads_with_any_token_it_ever_had(self, place: int, dataset: str, account: str) -> None:
        agreement, token, ref, path = self._chosen(place, dataset, account, True)
        self._reads(agreement, token, path, dataset, ref, agreement.read(token, dataset, ref, self.now))

    def _renewed(self) -> None:
        agreement = [one for one in self.agreements if one.tokens][-1]
        token = agreement.tokens[-1]
        if self.now >= token.expires and agreement.state == "active":
            self._refreshes(agreement, token.family, token.family.refresh)

    @precondition(lambda self: any(one.tokens for one in self.agreements))
    @rule(place=places, dataset=kinds, act=st.sampled_from(["stop", "pause", "narrow", "narrow other"]))
    def alice_acts_while_a_read_is_out(self, place: int, dataset: str, act: str) -> None:
        self._renewed()
        agreement, token, ref, path = self._chosen(place, dataset, "first", False)
        if agreement.read(token, dataset, ref, self.now)[0] != 200:
            return
        now = self.now
        kept = set(DATASETS) - {dataset} if act == "narrow" else {dataset}

        def happens() -> None:
            with self.world.house.store.write() as session:
                row = session.get_one(Consent, agreement.id)
                alice = herself(row.person_id)
                if act == "stop":
                    deciding.end(session, self.world.house.log, row, alice, EndReason.WITHDRAWN, now)
                elif act == "pause":
                    deciding.pause(session, self.world.house.log, row, alice, now)
                elif act.startswith("narrow"):
                    keep = frozenset(("harbour-bank", name) for name in kept)
                    deciding.keep_only(session, self.world.house.log, row, alice, keep, now)

        self.world.organisations.during = happens
        if act == "stop":
            agreement.ends("withdrawn", now)
        elif act == "pause":
            agreement.toggles("active", "paused", now)
        elif act.startswith("narrow"):
            agreement.keeps(kept, now)
        expected = agreement.read(token, dataset, ref, now)
        self._reads(agreement, token, path, dataset, ref, expected)
        assert self.world.organisations.during is None

    def _chosen(self, place: int, dataset: str, account: str, old: bool) -> tuple[Agreement, Token, str | None, str]:
        with_tokens = [one for one in self.agreements if one.tokens]
        agreement = with_tokens[place % len(with_tokens)] if old else with_tokens[-1]
        token = agreement.tokens[place % len(agreement.tokens)] if old else agreement.tokens[-1]
        keys = self.world.house.keys
        refs = [keys.mac("account", "budget", self.alice, "harbour-bank", each)[:22] for each in natives(self.alice)]
        foreign = keys.mac("account", "budget", self.mallory, "harbour-bank", natives(self.alice)[0])[:22]
        ref = {"first": refs[0], "second": refs[1], "foreign": foreign, "all": None}[account]
        tail = {"bank.accounts": "", "bank.transactions": "/transactions", "bank.balances": "/balances"}[dataset]
        if ref is None:
            return agreement, token, None, f"/data/harbour-bank{BASE}" + (tail or "/accounts")
        return agreement, token, ref, transactions(ref).removesuffix("/transactions") + tail

    def _reads(
        self, agreement: Agreement, token: Token, path: str, dataset: str, ref: str | None, expected: tuple[int, str]
    ) -> None:
        answer = self.world.read(token.text, path)
        assert f"canary-{self.alice[:8]}" not in answer.text and "native-" not in answer.text
        problem = answer.json()
        assert (answer.status_code, problem.get("reason", "")) == expected, (answer.text[:300], expected)
        if answer.status_code != 200:
            assert "Data" not in problem
            return
        (records,) = problem["Data"].values()
        whose = [ref] if ref else agreement.accounts
        assert {row["AccountId"] for row in records} == set(whose)
        assert len(records) == len(whose) * (INSIDE if dataset == "bank.transactions" else 1)
        assert all(row.keys() <= GIVEN[dataset] for row in records)
        agreement.has_read(dataset, self.now)

    @precondition(lambda self: any(one.families for one in self.agreements))
    @rule(place=places, act=st.sampled_from(["refresh", "refresh", "refresh", "replay", "give back"]))
    def the_app_refreshes(self, place: int, act: str) -> None:
        with_families = [one for one in self.agreements if one.families]
        agreement = with_families[place % len(with_families)]
        family = agreement.families[place % len(agreement.families)]
        if act == "give back":
            assert self.world.oauth("/revoke", {"token": family.refresh}, "budget").status_code == 200
            family.lives = False
            return
        token = family.spent[place % len(family.spent)] if act == "replay" and family.spent else family.refresh
        self._refreshes(agreement, family, token)

    @rule(shown=st.sampled_from(SHOWN), seconds=st.sampled_from([0, 10, 29, 30]))
    def the_app_loses_answers_or_a_thief_is_about(self, shown: tuple[int, ...], seconds: int) -> None:
        """With a family that lives: some of its tokens, one after the other, so many seconds apart.

        No precondition: whether one lives depends on the hour at which the run began, and Hypothesis, which tries a run
        again, must find the same rules open.
        """
        if not self._live():
            return
        agreement, family = self._live()[-1]
        for back in shown:
            self.world.clock.passes(seconds=seconds)
            tokens = [*family.spent, family.refresh]
            self._refreshes(agreement, family, tokens[max(0, len(tokens) - 1 - back)])

    def _live(self) -> list[tuple[Agreement, Family]]:
        active = [one for one in self.agreements if one.state == "active" and not one.is_over(self.now)]
        return [(one, family) for one in active for family in one.families if family.lives]

    def _refreshes(self, agreement: Agreement, family: Family, token: str) -> None:
        expected = agreement.refreshes(family, token, self.now)
        answer = self.world.refresh(token, "budget")
        assert answer.status_code == expected, (answer.text, expected)
        if expected == 200:
            self._keeps(agreement, answer, family, token)
        else:
            assert "access_token" not in answer.text

    # ---- Mallory

    @rule(place=places, word=st.sampled_from(["stop", "pause", "resume", "remove"]))
    def mallory_and_another_app_try_what_is_hers(self, place: int, word: str) -> None:
        self._awake()
        agreement = self._one(place)
        assert self.his.post(f"/sharings/{agreement.id}/{word}").status_code == 404
        assert self.his.post(f"/consent/{agreement.id}", {"decision": "allow"}).status_code == 404
        for tail in ("", "/stop", "/stopped", "/seen"):
            assert self.his.get(f"/sharings/{agreement.id}{tail}").status_code == 404
        for token in [token for family in agreement.families[:1] for token in (family.refresh, *family.spent[-1:])]:
            assert self.world.refresh(token, "other").status_code == 400
            assert self.world.oauth("/revoke", {"token": token}, "other").status_code == 200

    # ---- what always holds

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        if not hasattr(self, "agreements"):
            return
        found = dict(self._rows("SELECT id, state || ' ' || reason FROM consent WHERE person_id = ? AND version > 0"))
        assert found == {one.id: f"{one.state} {one.reason}" for one in self.agreements}

    def _rows(self, statement: str) -> list[Any]:
        return self.world.rows(statement, self.alice)

    def teardown(self) -> None:
        if hasattr(self, "agreements"):
            for agreement in self.agreements:
                self._chains(agreement)
            entries = self.world.log(self.alice)
            assert [entry["user_seq"] for entry in entries] == list(range(1, len(entries) + 1))
            assert f"canary-{self.alice[:8]}" not in json.dumps(entries)

    def _chains(self, agreement: Agreement) -> None:
        """State is the fold of the events; terms and events are chained; nothing removed ever comes back."""
        with self.world.house.store.read() as session:
            events = list(
                session.exec(
                    select(ConsentEvent).where(ConsentEvent.consent_id == agreement.id).order_by(ConsentEvent.seq)  # type: ignore[arg-type]
                )
            )
        state, previous = "", "0" * 64
        for number, event in enumerate(events, 1):
            assert (event.seq, event.prev_sha256, event.sha256) == (number, previous, digest(event))
            assert state not in ("ended", "refused")
            state, previous = FOLD[event.type] or state, event.sha256
        assert state == agreement.state
        before, given = None, set(DATASETS)
        statement = "SELECT json, sha256, previous FROM terms WHERE consent_id = ? ORDER BY version"
        for text, hashed, chained in self.world.rows(statement, agreement.id):
            assert sha256(text) == hashed and chained == before
            now_given = {item["dataset"] for item in json.loads(text)["items"] if item["granted"]}
            assert now_given <= given
            before, given = hashed, now_given


@pytest.mark.timeout(6 * 3600 if os.environ.get("TORTURE") else 120)
def test_what_is_read_is_what_the_terms_allow(tmp_path: Path, _ring: KeyRing) -> None:
    with World(tmp_path, _ring).serving() as world:
        bank = settle(world)
        world.app("other", APP)
        machine = type("Here", (Lives,), {"world": world, "bank": bank})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                suppress_health_check=list(HealthCheck),
            ),
        )
