"""Policies that change under a running gateway: what is on the screen is what is agreed to, and what is read is what
they say now."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from security_world import APP, Browser, Page, World, detail, transactions, with_alice

from gateway import rereading
from gateway.ground.keys import KeyRing
from gateway.settings import shipped_policies

PURPOSE = "purposes/household-budget.toml"
NARRATIVE = 'id = "transaction.narrative"'
SENSE = 'of it." }\nsensitivity = "sensitive"'  # of the balances
ALL = ["bank.accounts", "bank.transactions", "bank.balances"]
PATIENCE = 20  # a busy machine is no fault


class Policies:
    """The folder of the policies, and when what it says is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world: World

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, name
        (self.folder / name).write_text(text.replace(old, new))

    def taken(self, name: str, old: str, new: str) -> None:
        before = self.world.house.latest
        self.change(name, old, new)
        until(lambda: self.world.house.latest is not before)

    def refused(self, name: str, old: str, new: str) -> str:
        """Why."""
        self.change(name, old, new)
        fault = self.world.application.rereading.policies.fault
        until(lambda: bool(fault()))
        return fault()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    return Policies(shutil.copytree(shipped_policies(), tmp_path / "policies"))


@pytest.fixture
def world(tmp_path: Path, policies: Policies, _ring: KeyRing) -> Iterator[World]:
    with World(tmp_path / "data", _ring, policies_dir=policies.folder).serving() as built:
        policies.world = built
        watched = built.application.rereading.policies
        until(lambda: watched._done is not None)
        yield built


def asked(world: World, **terms: Any) -> tuple[str, Browser, str]:
    """Alice, who has her screen open: its page, her browser, the address of the request."""
    _, alice = with_alice(world)
    browser = world.browser(alice)
    address = world.request("budget", [detail("harbour-bank", ALL, **terms)])
    return browser.get(address).text, browser, address


def allow(browser: Browser, page: str) -> Any:
    """Press Allow on this page with everything ticked."""
    screen = Page(page)
    form = screen.form("/consent/") | {"decision": "allow"}
    form |= {name: screen.offered(name) for name in screen.boxes()}
    [action] = {form.action for form in screen.document.forms if form.action.startswith("/consent/")}
    return browser.post(action, form)


def states(world: World) -> list[str]:
    return [state for (state,) in world.rows("SELECT state FROM consent")]


def test_a_change_is_noticed_within_a_second() -> None:
    assert 2 * rereading.LOOK_SECONDS <= 0.5, "seen, seen once more, and read"


def test_a_purpose_with_new_words_has_them_on_the_screen_and_in_what_is_agreed(
    world: World, policies: Policies
) -> None:
    page, browser, address = asked(world)
    title = world.house.catalogue.purposes["household-budget"].title["en"]
    assert title in page
    began = time.monotonic()
    policies.change(PURPOSE, title, "Look at all that I spend")
    until(lambda: "Look at all that I spend" in browser.get(address).text)
    took = time.monotonic() - began
    assert took < 5, took  # half a second on a machine that has nothing else to do
    assert allow(browser, browser.get(address).text).status_code == 303
    [(text,)] = world.rows("SELECT json FROM terms")
    assert "Look at all that I spend" in text and title not in text


def test_what_was_shown_under_old_words_is_not_agreed_to_under_new_ones(world: World, policies: Policies) -> None:
    page, browser, _ = asked(world)
    title = world.house.catalogue.purposes["household-budget"].title["en"]
    policies.taken(PURPOSE, title, "Sell all that I spend")
    answer = allow(browser, page)
    assert answer.status_code == 422
    assert "has changed since you opened it" in answer.text and "Sell all that I spend" in answer.text
    assert states(world) == ["requested"]
    assert allow(browser, answer.text).status_code == 303, "read and answered"
    assert states(world) == ["active"]


def test_a_limit_that_is_put_up_meanwhile_is_not_agreed_to_unseen(world: World, policies: Policies) -> None:
    page, browser, _ = asked(world)
    caps = world.house.catalogue.purposes["household-budget"].caps
    times, per = caps.frequency[0]
    policies.taken(PURPOSE, f"times = {times}", f"times = {times * 10}")
    assert allow(browser, page).status_code == 422
    assert states(world) == ["requested"]


def test_what_has_nothing_to_do_with_the_request_changes_nothing_for_it(world: World, policies: Policies) -> None:
    page, browser, _ = asked(world)
    policies.taken("purposes/energy-advice.toml", "Understand and lower my energy use", "Understand it")
    policies.taken("datasets/energy.toml", "[[dataset]]", "[[dataset]]  # one")
    assert allow(browser, page).status_code == 303
    assert states(world) == ["active"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (PURPOSE, 'validity = "P12M"', 'validity = "P1M"'),
        (PURPOSE, "times = 12, ", "times = 3, "),
        (PURPOSE, '"bank.transactions", ', ""),
        ("datasets/bank.toml", "transaction.amount", "transaction.sum"),
        ("datasets/bank.toml", NARRATIVE, f"{NARRATIVE}\nstructural = true"),
        ("datasets/bank.toml", SENSE, SENSE.replace('= "sensitive', '= "special')),
    ],
    ids=["validity", "frequency", "not for this purpose", "a field is gone", "a field always comes along", "sensitive"],
)
def test_a_request_that_would_not_be_made_so_any_more_cannot_be_answered(
    world: World, policies: Policies, name: str, old: str, new: str
) -> None:
    page, browser, address = asked(world, frequency={"times": 12, "per": "day"})
    policies.taken(name, old, new)
    assert browser.get(address).status_code == 410
    assert allow(browser, page).status_code == 410
    assert states(world) == ["ended"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (PURPOSE, 'validity = "P12M"', 'validity = "P6M"'),
        (PURPOSE, '"health.coverage", ', ""),
        ("datasets/bank.toml", "transaction.narrative", "transaction.words"),
    ],
    ids=["a cap that it keeps", "other data", "a field that was not asked for"],
)
def test_a_request_that_would_still_be_made_is_answered(
    world: World, policies: Policies, name: str, old: str, new: str
) -> None:
    page, browser, _ = asked(world)
    policies.taken(name, old, new)
    assert allow(browser, page).status_code == 303
    assert states(world) == ["active"]


def test_an_agreement_reads_by_the_policies_as_they_are(world: World, policies: Policies) -> None:
    _, alice = with_alice(world, "canary")
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    path = transactions(body["authorization_details"][0]["accounts"][0])

    def read() -> Any:
        return world.read(body["access_token"], path)

    assert "BankTransactionCode" not in read().text and "narrative" not in read().text
    given = read().json()["Data"]["Transaction"]
    rule = """
@id("no-more-budgets")
forbid (principal, action == Action::"read", resource is Sharing)
when { resource.purpose == "household-budget" };
"""
    policies.taken("aval.cedar", "// The fixed", f"{rule}// The fixed")
    assert read().status_code == 403 and read().json()["reason"] == "policy"
    policies.taken("aval.cedar", f"{rule}// The fixed", "// The fixed")
    assert read().json()["Data"]["Transaction"] == given
    policies.taken(
        "datasets/bank.toml", '"Transaction/ValueDateTime"', '"Transaction/ValueDateTime", "Transaction/AddressLine"'
    )
    assert "address-canary" in read().text, "the field of the date is that as well from now on"
    policies.taken("datasets/bank.toml", NARRATIVE, f"{NARRATIVE}\nstructural = true")
    assert read().status_code == 200 and "narrative" not in read().text, "it was on nobody's screen"


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (PURPOSE, "version = 1", "version = one", "purposes/household-budget.toml: "),
        (
            PURPOSE,
            "version = 1",
            "version = 0",
            "purposes/household-budget.toml: version: write a whole number above 0",
        ),
        ("aval.cedar", "forbid", "forbit", "policies: "),
        ("data_access.schema.json", "{", "[", "data_access.schema.json: "),
        ("datasets/bank.toml", '"Transaction/Amount"', '"Transaction/Amuont"', "'Transaction/Amuont' is no member"),
    ],
)
def test_what_has_a_fault_is_not_taken_is_told_once_and_the_old_goes_on(
    world: World, policies: Policies, name: str, old: str, new: str, fault: str
) -> None:
    told: list[tuple[str, Any]] = []
    before, text = world.house.latest, (policies.folder / name).read_text()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rereading, "logger", lambda: _Lines(told))
        why = policies.refused(name, old, new)
        assert (str(policies.folder) if fault == "policies: " else fault) in why
        time.sleep(4 * rereading.LOOK_SECONDS)
        assert [level for level, _ in told] == ["error"] and told[0][1]["faults"]
        assert world.house.latest is before
        ready = world.http.get("/readyz")
        assert ready.status_code == 200 and ready.json()["checks"]["policies"] == "degraded"
        (policies.folder / name).write_text(text)
        until(lambda: not world.application.rereading.policies.fault())
        assert [level for level, _ in told] == ["error", "info"]
    assert world.house.latest is before, "it says what it said"
    assert world.http.get("/readyz").json()["checks"]["policies"] == "ok"


class _Lines:
    def __init__(self, told: list[tuple[str, Any]]) -> None:
        self._told = told

    def error(self, event: str, **more: Any) -> None:
        self._told.append(("error", more))

    def info(self, event: str, **more: Any) -> None:
        self._told.append(("info", more))


def test_a_folder_that_is_emptied_is_not_taken(world: World, policies: Policies) -> None:
    before = world.house.latest
    policies.folder.rename(policies.folder.with_name("moved"))
    fault = world.application.rereading.policies.fault
    until(lambda: bool(fault()))
    policies.folder.mkdir()
    shutil.copy(shipped_policies() / "data_access.schema.json", policies.folder)
    shutil.copy(shipped_policies() / "schema.cedarschema", policies.folder)
    until(lambda: "no file in purposes/" in fault())
    assert world.house.latest is before
    shutil.copytree(shipped_policies(), policies.folder, dirs_exist_ok=True)
    until(lambda: not fault())
    assert APP and world.house.latest is before
