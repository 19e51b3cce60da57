"""Signing in by password and out: what works, what Mallory tries."""

from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher, extract_parameters
from people_world import HOME, PASSWORD, Browser, World

from gateway.ground.web import cookies
from gateway.people import passwords
from gateway.people.tables import Person
from tests.databases import everything


def test_alice_signs_in_and_is_greeted(world: World, alice: Person, browser: Browser) -> None:
    answer = browser.signs_in(alice)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = browser.get("/")
    assert "Hello Alice Martin" in page.text
    assert world.events(alice) == ["registered", "sign_in"]


def test_she_goes_on_to_where_she_was_going(alice: Person, browser: Browser) -> None:
    first = browser.get("/mine?a=1&b=%2F")
    assert first.headers["location"] == "/sign-in?next=%2Fmine%3Fa%3D1%26b%3D%252F"
    answer = browser.submit(first.headers["location"], email=alice.email, password=PASSWORD)
    assert answer.headers["location"] == "/mine?a=1&b=%2F"
    assert browser.get("/mine").text == "Alice Martin"


def test_a_wrong_password_says_neither_what_nor_who(alice: Person, browser: Browser) -> None:
    wrong = browser.signs_in(alice, "not her password")
    assert wrong.status_code == 400
    assert "The address or the password is not right." in wrong.text
    assert wrong.text.count('value="alice@example.org"') == 1
    assert "not her password" not in wrong.text
    assert browser.get("/mine").status_code == 303


def test_a_passwordless_account_and_an_unknown_address_answer_the_same(world: World, browser: Browser) -> None:
    world.person("Zoe Blanc", password=None)
    answers = [
        browser.submit("/sign-in", email=email, password=PASSWORD)
        for email in ("zoe@example.org", "nobody@example.org")
    ]
    assert {answer.status_code for answer in answers} == {400}
    pages = {answer.text.replace("zoe@", "nobody@") for answer in answers}
    assert len(pages) == 1
    assert {tuple(answer.headers.get_list("set-cookie")) for answer in answers} == {()}


def test_an_unknown_address_costs_the_same_work_as_a_wrong_password(
    world: World, alice: Person, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly all of the time is the one argon2 check: as many of them, and as dear ones, for either address."""
    done: list[tuple[int, int, int]] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            kept = extract_parameters(hash if isinstance(hash, str) else hash.decode())
            done.append((kept.time_cost, kept.memory_cost, kept.parallelism))
            return super().verify(hash, password)

    costs = {name: getattr(passwords._hasher, name) for name in ("time_cost", "memory_cost", "parallelism")}
    monkeypatch.setattr(passwords, "_hasher", Counting(**costs))
    work = {}
    for email in (alice.email, "nobody@example.org"):
        done.clear()
        assert browser.submit("/sign-in", email=email, password="wrong wrong").status_code == 400
        work[email] = list(done)
    assert work[alice.email] == work["nobody@example.org"] == [tuple(costs.values())]


def test_the_address_may_be_written_as_people_write_it(alice: Person, browser: Browser) -> None:
    assert browser.submit("/sign-in", email="  Alice@Example.ORG ", password=PASSWORD).status_code == 303


def test_the_cookie_is_host_only_secure_and_long_enough(alice: Person, browser: Browser) -> None:
    answer = browser.signs_in(alice)
    line = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(cookies.SIGN_IN))
    words = {word.strip().lower() for word in line.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= words and not any("domain" in word for word in words)
    assert len(browser.sign_in_cookie) >= 43  # 256 bit


def test_the_database_holds_no_secret_of_a_sign_in(world: World, signed_in: Browser) -> None:
    assert signed_in.sign_in_cookie.encode() not in everything(world.house.store)


def test_a_secret_set_by_mallory_before_is_not_the_one_after(alice: Person, browser: Browser, world: World) -> None:
    mallory = world.browser()
    world.person("Mallory Noir")
    mallory.submit("/sign-in", email="mallory@example.org", password=PASSWORD)
    planted = mallory.sign_in_cookie
    browser.holds(planted)
    browser.submit("/sign-in?again=1", password="wrong wrong")
    browser.holds("made-up")
    browser.signs_in(alice)
    assert browser.sign_in_cookie not in (planted, "made-up", "")
    assert mallory.get("/mine").text == "Mallory Noir"


def test_signing_in_again_ends_the_sign_in_of_before(signed_in: Browser, alice: Person, world: World) -> None:
    old = signed_in.sign_in_cookie
    world.clock.goes_on(minutes=30)
    page = signed_in.get("/sign-in?again=1&next=/mine")
    assert "alice@example.org" in page.text and "Confirm that it is you" in page.text
    answer = signed_in.submit("/sign-in?again=1&next=/mine", password=PASSWORD)
    assert answer.headers["location"] == "/mine"
    assert signed_in.sign_in_cookie != old
    thief = world.browser()
    thief.holds(old)
    assert thief.get("/mine").status_code == 303


def test_again_is_for_the_same_person_only(signed_in: Browser, bob: Person) -> None:
    answer = signed_in.submit("/sign-in?again=1", password=PASSWORD, email=bob.email)
    assert answer.status_code == 303
    assert signed_in.get("/mine").text == "Alice Martin"


def test_who_is_signed_in_is_not_asked_again(signed_in: Browser) -> None:
    assert signed_in.get("/sign-in?next=/mine").headers["location"] == "/mine"
    assert signed_in.get("/sign-in/passkey?next=/mine").headers["location"] == "/mine"


def test_after_signing_out_the_cookie_is_dead_and_gone(world: World, alice: Person, signed_in: Browser) -> None:
    old = signed_in.sign_in_cookie
    answer = signed_in.submit("/", to="/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert signed_in.sign_in_cookie == ""
    assert signed_in.get("/mine").status_code == 303
    signed_in.holds(old)
    assert signed_in.get("/mine").status_code == 303
    assert world.events(alice)[-1] == "signed_out"


def test_not_you_leads_back_to_the_same_request(signed_in: Browser) -> None:
    form = {"csrf": signed_in.csrf(), "next": "/mine?request=7"}
    assert signed_in.send("/sign-out", form).headers["location"] == "/mine?request=7"


def test_a_get_signs_nobody_out(signed_in: Browser) -> None:
    assert signed_in.get("/sign-out").status_code == 405
    assert signed_in.get("/mine").status_code == 200


def test_mallory_cannot_sign_alice_out_from_her_site(signed_in: Browser) -> None:
    form = {"csrf": signed_in.csrf()}
    assert signed_in.send("/sign-out", form, origin="https://evil.example").status_code == 403
    assert signed_in.send("/sign-out", {}).status_code == 403
    assert signed_in.get("/mine").status_code == 200


@pytest.mark.parametrize(
    "evil",
    ["//evil.example", "/\\evil.example", "https:evil.example", "javascript:alert(1)", "/%09/evil.example", "\t//e.x"],
)
def test_the_way_on_is_only_ever_ours(alice: Person, browser: Browser, evil: str) -> None:
    answer = browser.submit(f"/sign-in?{urlencode({'next': evil})}", email=alice.email, password=PASSWORD)
    assert answer.headers["location"] == "/"


def test_a_sign_in_ends_when_idle_and_at_last_whatever_happens(world: World, signed_in: Browser) -> None:
    for _ in range(11):
        world.clock.goes_on(minutes=59)
        assert signed_in.get("/mine").status_code == 200
    world.clock.goes_on(minutes=61)
    assert signed_in.get("/mine").status_code == 303


def test_a_sign_in_does_not_outlive_its_hours(world: World, signed_in: Browser) -> None:
    for _ in range(24):
        world.clock.goes_on(minutes=30)
        last = signed_in.get("/mine").status_code
    assert last == 303


def test_a_closed_account_opens_nothing(world: World, alice: Person, signed_in: Browser, browser: Browser) -> None:
    with world.house.store.write() as session:
        row = session.get_one(Person, alice.id)
        row.closed_at = world.clock.now
        session.add(row)
    assert signed_in.get("/mine").status_code == 303
    assert browser.signs_in(alice).status_code == 400


def test_an_old_way_of_hashing_is_renewed_at_the_next_sign_in(world: World, alice: Person, browser: Browser) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with world.house.store.write() as session:
        row = session.get_one(Person, alice.id)
        row.password_hash = weaker
        session.add(row)
    assert browser.signs_in(alice).status_code == 303
    assert "m=19456,t=2,p=1" in str(world.row(alice).password_hash)
    assert world.browser().signs_in(alice).status_code == 303


def test_pages_of_signing_in_need_no_script(browser: Browser) -> None:
    for path in ("/sign-in", "/register", "/"):
        assert "<script" not in browser.get(path).text


def test_the_issuer_of_the_form_is_this_gateway(alice: Person, browser: Browser) -> None:
    form = {"csrf": browser.csrf("/sign-in"), "email": alice.email, "password": PASSWORD}
    assert browser.send("/sign-in", form, origin="https://evil.example").status_code == 403
    assert browser.send("/sign-in", {**form, "csrf": ""}, origin=HOME).status_code == 403
