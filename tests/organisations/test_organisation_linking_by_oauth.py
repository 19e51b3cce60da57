"""Linking through the organisation's own sign-in, with City Energy as a real process."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from organisations_world import DECLARATIONS, SECRET, Browser, Running, World, agrees_there
from sqlmodel import Session

from examples.data.people import PEOPLE
from gateway.errors import NotKnownYet, Unavailable
from gateway.ground.http.connector import ConnectorError
from gateway.ground.pools import DUTIES
from gateway.house import House
from gateway.organisations import declare, linking, links, moving, telling, tokens
from gateway.organisations.links import Credentials
from gateway.organisations.oauth import Ends
from gateway.organisations.token_endpoint import GrantRefused
from tests.databases import everything

NUMBER, PASSWORD = PEOPLE[0].energy, PEOPLE[0].energy_password


def linked(world: World, browser: Browser) -> Credentials | None:
    link = world.link(browser, "city-energy")
    return links.credentials(world.house.keys, link) if link else None


def ends(world: World) -> Ends:
    with world.house.store.read() as session:
        return tokens.ends_of(session, world.house, "city-energy", "")


def replaces(world: World, base_url: str = "https://energy.example") -> None:
    """Another organisation takes the place of the one that people have linked with."""
    elsewhere = declare.read(
        DECLARATIONS / "city-energy.toml",
        world.house.catalogue,
        base_url=base_url,
        environ={"CITY_ENERGY_CLIENT_SECRET": SECRET},
    )
    with world.house.store.write() as session:
        declare.add(session, world.house, elsewhere, world.now, moved=False)


def test_alice_links_at_the_organisation_and_comes_back(world: World, energy: Running, alice: Browser) -> None:
    done = alice.links_by_oauth(NUMBER, PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, "/organisations")
    held = linked(world, alice)
    assert held and held.refresh_token and held.resource
    page = alice.get("/organisations").text
    assert "Linked since" in page and "Not read yet" not in page
    assert [event.kind for event in world.events(alice)] == ["linked"]


def test_the_page_between_names_the_host_and_needs_no_script(world: World, energy: Running, alice: Browser) -> None:
    answer = alice.post("/organisations/city-energy/link")
    assert f"Continue to {urlsplit(energy.url).netloc}" in answer.text
    assert 'http-equiv="refresh"' in answer.text and "<script" not in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert not world.connector.calls


def test_the_request_carries_a_challenge_and_a_state_kept_as_hash(
    world: World, energy: Running, alice: Browser
) -> None:
    query = {key: value[0] for key, value in parse_qs(urlsplit(alice.leaves_for("city-energy")).query).items()}
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    assert query["redirect_uri"] == f"{world.url}/organisations/city-energy/linked"
    assert query["scope"].startswith("FB=4_5_15;")
    stored = everything(world.house.store)
    assert query["state"].encode() not in stored


def test_tokens_are_sealed_at_rest(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    held = linked(world, alice)
    assert held and held.refresh_token
    stored = everything(world.house.store)
    for token in (held.access_token, held.refresh_token, "of the tests: +"):
        assert token.encode() not in stored
    assert held.access_token not in repr(held)
    connection = world.house.store.connect()
    found = links.for_call(connection, world.house.keys, alice.person, "city-energy")
    connection.close()
    assert found and (found.kind, found.access_token) == ("oauth", held.access_token)
    assert found.resource == held.resource and held.access_token not in repr(found)


def test_a_pending_request_is_resumed_after_linking(world: World, energy: Running, alice: Browser) -> None:
    done = alice.links_by_oauth(NUMBER, PASSWORD, next="/authorize?request_uri=urn%3Ax")
    assert done.headers["location"] == "/authorize?request_uri=urn%3Ax"


def test_saying_no_there_is_an_ordinary_answer_here(world: World, energy: Running, alice: Browser) -> None:
    page = alice.links_by_oauth(NUMBER, PASSWORD, decision="no")
    assert page.status_code == 200 and "You chose not to link" in page.text
    assert linked(world, alice) is None
    assert not world.connector.calls


def test_a_state_works_once(world: World, energy: Running, alice: Browser) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    assert alice.get(back).status_code == 303
    first = linked(world, alice)
    again = alice.get(back)
    assert again.status_code == 409 and "already been used" in again.text
    assert linked(world, alice) == first


def test_browsers_coming_back_at_once_link_once_and_the_later_ones_do_not_wait(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    at_once = int(DUTIES["page"].each)  # any more of one person would be told that the organisation is busy
    answers: list[int] = []
    later_ones_answered = threading.Event()

    def hold(path: str) -> None:
        if path.startswith("/oauth/token"):
            assert later_ones_answered.wait(20)

    def come_back() -> None:
        answers.append(alice.get(back).status_code)
        if len(answers) == at_once - 1:
            later_ones_answered.set()

    world.connector.before = hold
    threads = [threading.Thread(target=come_back) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [409] * (at_once - 1) + [303]
    assert world.connector.calls.count("POST /oauth/token") == 1


def test_mallory_cannot_come_back_with_alices_state(
    world: World, energy: Running, alice: Browser, mallory: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    assert mallory.get(back).status_code == 404
    assert linked(world, mallory) is None
    assert alice.get(back).status_code == 303  # and it was not spent by her trying


def test_alice_cannot_be_linked_to_mallorys_account(
    world: World, energy: Running, alice: Browser, mallory: Browser
) -> None:
    back = agrees_there(mallory.leaves_for("city-energy"), PEOPLE[1].energy, PEOPLE[1].energy_password)
    assert alice.get(back).status_code == 404
    assert linked(world, alice) is None


@pytest.mark.parametrize("query", ["", "code=x", "state=", "state=unknown&code=x", "state=a&state=b&code=x"])
def test_coming_back_with_nothing_of_ours_is_refused(world: World, energy: Running, alice: Browser, query: str) -> None:
    assert alice.get(f"/organisations/city-energy/linked?{query}").status_code in (400, 404)
    assert not world.connector.calls


def test_a_state_expires(world: World, energy: Running, alice: Browser) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    world.passes(minutes=16)
    assert alice.get(back).status_code == 410
    assert linked(world, alice) is None


def test_a_code_of_somebody_elses_flow_is_refused_by_pkce(
    world: World, energy: Running, alice: Browser, mallory: Browser
) -> None:
    hers = parse_qs(urlsplit(agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)).query)["code"][0]
    state = parse_qs(urlsplit(mallory.leaves_for("city-energy")).query)["state"][0]
    answer = mallory.get(f"/organisations/city-energy/linked?state={state}&code={hers}")
    assert answer.status_code == 502 and "refused the request" in answer.text
    assert linked(world, mallory) is None


@pytest.mark.parametrize(("mode", "status"), [("down", 502), ("html", 502), ("oversized", 502), ("wrong_type", 502)])
def test_a_token_answer_in_trouble_links_nothing(
    world: World, energy: Running, alice: Browser, mode: str, status: int
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    energy.fault(mode, prefix="/oauth/token")
    answer = alice.get(back)
    assert answer.status_code == status and "Nothing was changed" in answer.text or "larger" in answer.text
    assert linked(world, alice) is None
    assert world.events(alice) == []


@pytest.mark.parametrize(
    ("found", "put"),
    [(b'"access_token"', b'"access_token": "planted", "access_token"'),
     (b'"token_type"', b'"x": "\\ud800", "token_type"'),
     (b'"token_type"', b'"x": 1e999, "token_type"')],
)  # fmt: skip
def test_a_token_answer_with_two_meanings_links_nothing(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, found: bytes, put: bytes
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    ask, changed = world.connector.ask, []

    def doubled(*given: Any, **named: Any) -> Any:
        status, headers, body = ask(*given, **named)
        changed.append(body.replace(found, put, 1))
        return status, headers, changed[-1]

    monkeypatch.setattr(world.connector, "ask", doubled)
    assert alice.get(back).status_code == 502
    assert put in changed[0] and linked(world, alice) is None


# ---- renewing


def test_a_token_near_its_end_is_renewed_and_the_rotated_one_kept(
    world: World, energy: Running, alice: Browser
) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, before = world.link(alice, "city-energy"), linked(world, alice)
    assert link and before
    same = tokens.refreshed(world.house, link.id, world.now)
    assert same and same.access_token == before.access_token
    later = tokens.refreshed(world.house, link.id, world.now + timedelta(seconds=280))
    after = linked(world, alice)
    assert later and after and later.access_token == after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token and after.resource == before.resource
    assert later.generation == link.generation + 1


class Failing:
    """From the token call on, so many transactions fail: undone, or committed without an answer."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, times: int, *, committed: bool = False) -> None:
        self.world, self.write = world, world.house.store.write
        self.times, self.committed, self.left = times, committed, 0
        world.connector.before = self.arm
        world.connector.calls.clear()
        monkeypatch.setattr(world.house.store, "write", self.fails)
        monkeypatch.setattr(tokens, "AGAIN_SECONDS", 0.01)

    def arm(self, path: str) -> None:
        if path.startswith("/oauth/token"):
            self.left = self.times

    @contextlib.contextmanager
    def fails(self) -> Iterator[Session]:
        failing = self.left > 0
        self.left -= failing
        with self.write() as session:
            yield session
            if failing and not self.committed:
                raise Unavailable("the database went away")
        if failing:
            raise NotKnownYet("the commit is not answered")


@pytest.mark.parametrize("committed", [False, True])
def test_a_renewed_token_is_kept_though_the_database_fails_for_a_moment(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, before = world.link(alice, "city-energy"), linked(world, alice)
    assert link and before
    Failing(world, monkeypatch, 3, committed=committed)
    later = tokens.refreshed(world.house, link.id, world.now + timedelta(seconds=280))
    held = linked(world, alice)
    assert later and held and later.access_token == held.access_token != before.access_token
    assert world.connector.calls == ["POST /oauth/token"], "asked once, and nothing revoked"
    again = tokens.refreshed(world.house, link.id, world.now + timedelta(seconds=600))
    assert again and again.access_token != held.access_token, "the refresh token that was given is the one that is kept"


@pytest.mark.parametrize("committed", [False, True])
def test_a_renewed_token_that_cannot_be_kept_is_revoked_unless_it_may_have_been(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, before = world.link(alice, "city-energy"), linked(world, alice)
    assert link
    failing = Failing(world, monkeypatch, 10**9, committed=committed)
    monkeypatch.setattr(tokens, "WORK_SECONDS", tokens.DROP_SECONDS + 0.2)
    with pytest.raises(NotKnownYet if committed else Unavailable):
        tokens.refreshed(world.house, link.id, world.now + timedelta(seconds=280))
    failing.left = 0
    revoked = [call for call in world.connector.calls if call == "POST /oauth/revoke"]
    assert len(revoked) == (0 if committed else 2)
    assert (linked(world, alice) == before) is not committed


@pytest.mark.parametrize("committed", [False, True])
def test_a_link_is_made_once_though_the_database_fails_for_a_moment(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    Failing(world, monkeypatch, 3, committed=committed)
    assert alice.get(back).status_code == 303
    assert linked(world, alice) and "POST /oauth/revoke" not in world.connector.calls
    assert [event.kind for event in world.events(alice)] == ["linked"]


def test_whom_she_unlinked_meanwhile_is_not_linked_by_another_try(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link was committed without an answer; she saw it through another process, and was told of its end there."""
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    failing = Failing(world, monkeypatch, 1, committed=True)

    @contextlib.contextmanager
    def fails_then_she_unlinks() -> Iterator[Session]:
        try:
            with failing.fails() as session:
                yield session
        except NotKnownYet:
            link = world.link(alice, "city-energy")
            assert link
            with failing.write() as session:
                links.end(session, link.id, world.now)
            raise

    monkeypatch.setattr(world.house.store, "write", fails_then_she_unlinks)
    assert alice.get(back).status_code == 410
    assert world.link(alice, "city-energy") is None
    assert "POST /oauth/revoke" in world.connector.calls


def test_eight_who_need_a_new_token_at_once_make_one_call(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link = world.link(alice, "city-energy")
    assert link
    world.connector.calls.clear()
    at = world.now + timedelta(seconds=290)
    found: list[str | None] = []

    def one() -> None:
        view = tokens.refreshed(world.house, link.id, at)
        found.append(view.access_token if view else None)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.connector.calls == ["POST /oauth/token"]
    assert len(found) == 8 and len(set(found)) == 1 and found[0]


def test_a_token_the_organisation_turned_down_is_renewed_before_its_date(
    world: World, energy: Running, alice: Browser
) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, held = world.link(alice, "city-energy"), linked(world, alice)
    assert link and held
    renewed = tokens.refreshed(world.house, link.id, world.now, refused=held.access_token)
    assert renewed and renewed.access_token != held.access_token
    # The next who was turned down with the same old token finds the new one.
    again = tokens.refreshed(world.house, link.id, world.now, refused=held.access_token)
    assert again and again.access_token == renewed.access_token


def test_a_link_ended_at_the_organisation_ends_here_and_says_so(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, held = world.link(alice, "city-energy"), linked(world, alice)
    assert link and held
    ends(world).revoke(held)
    assert tokens.refreshed(world.house, link.id, world.now + timedelta(hours=1)) is None
    assert world.link(alice, "city-energy") is None
    assert [(event.kind, event.actor) for event in world.events(alice)][0] == ("unlinked", "organisation")


def test_an_organisation_that_is_down_ends_no_link(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link = world.link(alice, "city-energy")
    assert link
    energy.fault("down", prefix="/oauth/")
    with pytest.raises(ConnectorError, match="organisation_unavailable"):
        tokens.refreshed(world.house, link.id, world.now + timedelta(hours=1))
    energy.fault("none")
    assert tokens.refreshed(world.house, link.id, world.now + timedelta(hours=1))


def test_unlinking_while_a_renewal_is_out_keeps_nothing(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link = world.link(alice, "city-energy")
    assert link

    def unlink_first(path: str) -> None:
        if path == "/oauth/token":
            with world.house.store.write() as session:
                links.end(session, link.id, world.now)

    world.connector.before = unlink_first
    assert tokens.refreshed(world.house, link.id, world.now + timedelta(hours=1)) is None
    assert world.connector.calls[-2:] == ["POST /oauth/revoke"] * 2  # what came back was given back
    assert world.link(alice, "city-energy") is None


def test_reading_accounts_while_a_renewal_is_out_loses_neither(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    link = world.link(alice, "city-energy")
    assert link

    def accounts_first(path: str) -> None:
        if path == "/oauth/token":
            with world.house.store.write() as session:
                links.store_accounts(session, world.house.keys, link.id, [])

    world.connector.before = accounts_first
    renewed = tokens.refreshed(world.house, link.id, world.now + timedelta(hours=1))
    assert renewed and renewed.accounts == ()
    held = linked(world, alice)
    assert held and held.access_token == renewed.access_token


# ---- unlinking


def test_unlinking_revokes_there_and_forgets_here(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    held = linked(world, alice)
    page = alice.get("/organisations/city-energy/unlink")
    assert "Unlink City Energy?" in page.text and "No sharing of yours reads data" in page.text
    done = alice.post("/organisations/city-energy/unlink")
    assert done.status_code == 200 and "has been told" in done.text
    assert linked(world, alice) is None
    assert [event.kind for event in world.events(alice)] == ["unlinked", "linked"]
    with pytest.raises(GrantRefused):
        assert held
        ends(world).renew(held, world.now)


def test_a_second_click_on_unlink_does_nothing_more(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    alice.post("/organisations/city-energy/unlink")
    again = alice.post("/organisations/city-energy/unlink")
    assert (again.status_code, again.headers["location"]) == (303, "/organisations")
    assert [event.kind for event in world.events(alice)] == ["unlinked", "linked"]


def test_unlinking_works_while_the_organisation_is_down_and_it_is_told_later(
    world: World, energy: Running, alice: Browser
) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    held = linked(world, alice)
    assert held
    energy.fault("down", prefix="/oauth/")
    done = alice.post("/organisations/city-energy/unlink")
    assert done.status_code == 200 and "it does not know yet" in done.text
    assert linked(world, alice) is None
    assert telling.tell_pending(world.house, world.now) == (0, 1)
    energy.fault("none")
    assert telling.tell_pending(world.house, world.now) == (1, 0)
    assert telling.tell_pending(world.house, world.now) == (0, 0)
    with pytest.raises(GrantRefused):
        ends(world).renew(held, world.now)


def test_mallory_cannot_unlink_alice(world: World, energy: Running, alice: Browser, mallory: Browser) -> None:
    alice.links_by_oauth(NUMBER, PASSWORD)
    assert mallory.post("/organisations/city-energy/unlink").headers["location"] == "/organisations"
    assert linked(world, alice)


def test_unlinking_by_assertion_is_told_too_and_never_ends_a_newer_link(
    world: World, bank: Running, alice: Browser
) -> None:
    alice.links_by_number(bank, "HB-2001")
    bank.fault("down", prefix="/aval/link/end")
    alice.post("/organisations/harbour-bank/unlink")
    bank.fault("none")
    alice.links_by_number(bank, "HB-2001")
    assert telling.tell_pending(world.house, world.now) == (1, 0)
    assert alice.post("/organisations/harbour-bank/refresh").status_code == 303  # still linked there
    done = alice.post("/organisations/harbour-bank/unlink")
    assert "has been told" in done.text
    assert "POST /aval/link/end" in world.connector.calls


def test_what_is_masked_stays_masked() -> None:
    assert [linking.masked(number) for number in ("HB-2001", "12345", "123")] == ["••• 001", "••• 5", "••• 3"]


@pytest.mark.parametrize("subscription", ["new", "lasting"])
def test_whether_a_subscription_tells_customers_apart_is_declared(
    world: World, energy: Running, alice: Browser, subscription: str
) -> None:
    """City Energy makes a new one at each linking: declared so, her accounts are known again; otherwise, to be safe,
    another subscription is another customer."""
    declared = declare.read(
        DECLARATIONS / "city-energy.toml", world.house.catalogue, environ={"CITY_ENERGY_CLIENT_SECRET": SECRET}
    )
    world.add(energy, oauth={**declared.document["connection"]["oauth"], "subscription": subscription})
    seen = []
    for _ in range(2):
        alice.links_by_oauth(NUMBER, PASSWORD)
        with world.house.store.read() as session:
            found = links.known_to(session, world.house.keys, "meter", alice.person, "city-energy")
        seen.append([ref for ref, _ in found])
        alice.post("/organisations/city-energy/unlink")
    assert seen[0] and (seen[0] == seen[1]) is (subscription == "new")


def test_tokens_of_an_address_that_is_given_up_meanwhile_are_not_kept(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)

    def replaced(path: str) -> None:
        world.connector.before = lambda path: None
        replaces(world)

    world.connector.before = replaced
    world.connector.calls.clear()
    assert alice.get(back).status_code == 410
    assert linked(world, alice) is None and world.events(alice) == []
    assert world.connector.calls == ["POST /oauth/token", "POST /oauth/revoke", "POST /oauth/revoke"]


def is_leaving(world: World) -> None:
    """Links end, a few people at a time, before another organisation is in its place."""
    with world.house.store.write() as session:
        moving._leaving(session, "city-energy", world.now)


def test_nobody_links_any_more_where_another_organisation_is_to_come(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    is_leaving(world)
    world.connector.calls.clear()
    refused = alice.get(back)
    assert refused.status_code == 403 and "is suspended here at the moment" in refused.text
    assert linked(world, alice) is None and world.connector.calls == []


def test_who_was_on_the_way_when_it_began_to_leave_is_not_linked_either(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)

    def leaves(path: str) -> None:
        world.connector.before = lambda path: None
        is_leaving(world)

    world.connector.before = leaves
    world.connector.calls.clear()
    assert alice.get(back).status_code == 410
    assert linked(world, alice) is None and world.events(alice) == []
    assert world.connector.calls == ["POST /oauth/token", "POST /oauth/revoke", "POST /oauth/revoke"]


def test_in_a_suspension_she_comes_back_in_vain_and_after_it_with_the_same_code(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    with world.house.store.write() as session:
        declare.suspend(session, "city-energy", "Quiet.", world.now)
    world.connector.calls.clear()
    assert alice.get(back).status_code == 403 and world.connector.calls == []
    with world.house.store.write() as session:
        declare.resume(session, "city-energy", world.now)
    assert alice.get(back).status_code == 303
    assert linked(world, alice)


def test_what_is_still_to_be_told_is_not_told_to_who_has_taken_the_place(
    world: World, energy: Running, alice: Browser
) -> None:
    """It was listed for telling, with her tokens, before another organisation came to that address."""
    alice.links_by_oauth(NUMBER, PASSWORD)
    energy.fault("down", prefix="/oauth/")
    alice.post("/organisations/city-energy/unlink")
    with world.house.store.read() as session:
        [listed] = links.untold(session)
    energy.fault("none")
    replaces(world)
    world.connector.calls.clear()
    assert linking.tell_end(world.house, listed, world.now) is linking.Ending.NOTHING
    assert world.connector.calls == []


def test_a_renewal_goes_to_who_gave_the_token(
    world: World, energy: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another organisation takes the place after the token was read and before its address is."""
    alice.links_by_oauth(NUMBER, PASSWORD)
    link, asked = world.link(alice, "city-energy"), tokens.ends_of
    assert link

    def replaced_first(session: Session, house: House, organisation: str, whose: str) -> Ends:
        replaces(world)
        return asked(session, house, organisation, whose)

    monkeypatch.setattr(tokens, "ends_of", replaced_first)
    world.connector.targets.clear()
    assert tokens.refreshed(world.house, link.id, world.now + timedelta(seconds=280)) is None
    assert set(world.connector.targets) == {energy.url}


def test_a_code_of_who_was_replaced_is_shown_to_nobody(world: World, energy: Running, alice: Browser) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    replaces(world)
    world.connector.calls.clear()
    assert alice.get(back).status_code == 404
    assert world.connector.calls == []
