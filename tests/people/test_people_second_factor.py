"""One-time codes: switched on with proof, asked for after the password, spent once, never skipped."""

import re
from html import unescape

import pyotp
import pytest
from people_world import PASSWORD, Browser, World

from gateway.people.tables import Person
from tests.databases import everything


def _switch_on(world: World, browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """The authenticator, and the recovery codes."""
    page = browser.get("/account/codes")
    assert page.status_code == 200, page.headers
    secret = re.search(r'class="code">([A-Z2-7 ]+)<', page.text)
    assert secret
    totp = pyotp.TOTP(secret[1].replace(" ", ""))
    form = {"csrf": browser.csrf("/account/codes"), "carried": _carried(page.text), "code": _code(world, totp)}
    answer = browser.send("/account/codes", form)
    assert answer.status_code == 200
    return totp, re.findall(r"<li>([a-z2-7-]{19})</li>", answer.text)


def _carried(html: str) -> str:
    found = re.search(r'name="carried" value="([^"]+)"', html)
    assert found
    return unescape(found[1])


def _code(world: World, totp: pyotp.TOTP) -> str:
    return totp.at(world.clock.now)


@pytest.fixture
def authenticator(world: World, signed_in: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Alice has switched on one-time codes; the code she proved it with has passed."""
    made = _switch_on(world, signed_in)
    world.clock.goes_on(minutes=2)
    return made


def test_the_password_alone_opens_nothing(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    browser = world.browser()
    answer = browser.signs_in(alice)
    assert answer.headers["location"] == "/sign-in/second"
    for path in ("/mine", "/account"):
        assert browser.get(path).headers["location"].startswith("/sign-in?next=")
    assert "Hello" not in browser.get("/").text
    assert world.events(alice).count("sign_in") == 1


def test_with_the_code_she_is_in_under_a_new_secret_and_on_her_way(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    totp, _ = authenticator
    browser = world.browser()
    answer = browser.submit("/sign-in?next=/mine", email=alice.email, password=PASSWORD)
    half = browser.sign_in_cookie
    done = browser.submit(answer.headers["location"], code=_code(world, totp))
    assert (done.status_code, done.headers["location"]) == (303, "/mine")
    assert browser.get("/mine").text == "Alice Martin"
    assert browser.sign_in_cookie != half
    thief = world.browser()
    thief.holds(half)
    assert thief.get("/mine").status_code == 303
    assert thief.get("/sign-in/second").headers["location"] == "/sign-in"


def test_a_code_works_once(world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]) -> None:
    totp, _ = authenticator
    code = _code(world, totp)
    one, other = world.browser(), world.browser()
    one.signs_in(alice)
    other.signs_in(alice)
    assert one.submit("/sign-in/second", code=code).status_code == 303
    again = other.submit("/sign-in/second", code=code)
    assert again.status_code == 400 and "This code is not right, or it was used before." in again.text
    assert other.get("/mine").status_code == 303


def test_a_code_older_than_the_last_one_used_is_dead_as_well(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    totp, _ = authenticator
    older = _code(world, totp)
    world.clock.goes_on(seconds=30)
    one, other = world.browser(), world.browser()
    one.signs_in(alice)
    other.signs_in(alice)
    assert one.submit("/sign-in/second", code=_code(world, totp)).status_code == 303
    assert other.submit("/sign-in/second", code=older).status_code == 400


def test_a_clock_half_a_minute_off_is_forgiven_more_is_not(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    totp, _ = authenticator
    code = _code(world, totp)
    browser = world.browser()
    world.clock.goes_on(seconds=30)
    browser.signs_in(alice)
    assert browser.submit("/sign-in/second", code=code[:3] + " " + code[3:]).status_code == 303
    late = _code(world, totp)
    world.clock.goes_on(seconds=90)
    browser = world.browser()
    browser.signs_in(alice)
    assert browser.submit("/sign-in/second", code=late).status_code == 400


def test_a_recovery_code_works_once_however_it_is_typed(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    _, recovery = authenticator
    assert len(set(recovery)) == 10
    browser = world.browser()
    browser.signs_in(alice)
    assert browser.submit("/sign-in/second", code=recovery[0].upper().replace("-", " ")).status_code == 303
    assert "9 recovery codes are left." in browser.get("/account").text
    other = world.browser()
    other.signs_in(alice)
    assert other.submit("/sign-in/second", code=recovery[0]).status_code == 400


def test_mallorys_recovery_code_is_worth_nothing_here(
    world: World, bob: Person, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    bobs = world.browser()
    bobs.signs_in(bob)
    _, his = _switch_on(world, bobs)
    browser = world.browser()
    browser.signs_in(alice)
    assert browser.submit("/sign-in/second", code=his[0]).status_code == 400


def test_guessing_codes_is_slowed_down(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    browser = world.browser()
    browser.signs_in(alice)
    form = {"csrf": browser.csrf("/sign-in/second")}
    statuses = [browser.send("/sign-in/second", {**form, "code": f"{n:06d}"}).status_code for n in range(12)]
    assert statuses == [400] * 10 + [429] * 2


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34", "x" * 10_000])
def test_what_is_no_code_is_refused(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]], code: str
) -> None:
    browser = world.browser()
    browser.signs_in(alice)
    assert browser.submit("/sign-in/second", code=code).status_code == 400


def test_half_a_sign_in_is_forgotten_after_ten_minutes(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    totp, _ = authenticator
    browser = world.browser()
    browser.signs_in(alice)
    form = {"csrf": browser.csrf("/sign-in/second")}
    world.clock.goes_on(minutes=11)
    answer = browser.send("/sign-in/second", {**form, "code": _code(world, totp)})
    assert answer.headers["location"] == "/sign-in"


def test_the_page_of_the_code_without_a_password_leads_back(browser: Browser) -> None:
    assert browser.get("/sign-in/second?next=/mine").headers["location"] == "/sign-in?next=%2Fmine"


def test_codes_are_not_switched_on_without_a_right_one(world: World, alice: Person, signed_in: Browser) -> None:
    page = signed_in.get("/account/codes")
    form = {"csrf": signed_in.csrf(), "carried": _carried(page.text), "code": "000000"}
    answer = signed_in.send("/account/codes", form)
    assert answer.status_code == 400
    assert world.row(alice).totp_sealed is None
    for carried in ("", "AAAA", "%%%", form["carried"][:-4] + "AAAA"):
        assert signed_in.send("/account/codes", {**form, "carried": carried}).status_code == 400


def test_a_secret_shown_to_mallory_cannot_be_put_into_alices_account(
    world: World, alice: Person, signed_in: Browser, bob: Person
) -> None:
    mallory = world.browser()
    mallory.signs_in(bob)
    page = mallory.get("/account/codes").text
    secret = re.search(r'class="code">([A-Z2-7 ]+)<', page)
    assert secret
    code = pyotp.TOTP(secret[1].replace(" ", "")).at(world.clock.now)
    answer = signed_in.send("/account/codes", {"csrf": signed_in.csrf(), "carried": _carried(page), "code": code})
    assert answer.status_code == 400
    assert world.row(alice).totp_sealed is None


def test_the_secret_is_sealed_and_the_recovery_codes_are_not_kept(
    world: World, authenticator: tuple[pyotp.TOTP, list[str]], alice: Person
) -> None:
    totp, recovery = authenticator
    kept = everything(world.house.store)
    assert totp.secret.encode() not in kept
    assert recovery[0].encode() not in kept and recovery[0].replace("-", "").encode() not in kept
    assert world.row(alice).totp_sealed


def test_switching_on_ends_other_sign_ins_and_both_ways_are_in_the_log(
    world: World, alice: Person, signed_in: Browser
) -> None:
    other = world.browser()
    other.signs_in(alice)
    _switch_on(world, signed_in)
    assert other.get("/mine").status_code == 303
    assert signed_in.get("/mine").status_code == 200
    assert signed_in.submit("/account", to="/account/codes/off").headers["location"] == "/account?done=codes_off"
    assert world.events(alice)[-2:] == ["totp_on", "totp_off"]
    assert world.browser().signs_in(alice).headers["location"] == "/"


def test_the_picture_is_the_key(world: World, signed_in: Browser) -> None:
    page = signed_in.get("/account/codes").text
    assert 'src="data:image/svg+xml' in page and 'alt="The key below, as a QR code"' in page


def test_the_second_window_goes_on_when_she_gave_the_code_in_the_first(
    world: World, alice: Person, authenticator: tuple[pyotp.TOTP, list[str]]
) -> None:
    browser, path = world.browser(), "/sign-in/second?next=%2Fmine"
    browser.signs_in(alice)
    sent = {"csrf": browser.csrf(path), "code": _code(world, authenticator[0])}
    browser.submit(path, code=sent["code"])
    answer = browser.send(path, sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/mine")


@pytest.mark.usefixtures("authenticator")
def test_cancelling_at_the_one_time_code_keeps_where_she_was_going(world: World, alice: Person) -> None:
    browser = world.browser()
    wanted = "/sign-in?next=%2Fauthorize%3Fclient_id%3Da%26request_uri%3Db"
    code = browser.submit(wanted, email=alice.email, password=PASSWORD).headers["location"]
    page = browser.get(code).text
    assert 'aria-label="Main navigation"' not in page, "the way out would lose the app's question"
    answer = browser.submit(code, to="/sign-out", next="/authorize?client_id=a&request_uri=b")
    assert answer.headers["location"] == "/authorize?client_id=a&request_uri=b"
