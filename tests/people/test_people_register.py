"""Opening an account: what is asked, what is refused, and that it tells nobody who has one."""

from datetime import UTC, date, datetime

import pytest
from people_world import PASSWORD, Browser, World

from gateway.ground.calendar.ages import age
from gateway.people import accounts, passwords, seeding
from gateway.people.tables import Person

FORM = {"name": "Chloé Petit", "email": "chloe@example.org", "password": "three calm herons"}


def test_chloe_opens_an_account_and_signs_in(world: World, browser: Browser) -> None:
    answer = browser.submit("/register?next=/mine", **FORM)
    assert answer.status_code == 303
    page = browser.get(answer.headers["location"])
    assert "Thank you. You can now sign in." in page.text
    answer = browser.submit(answer.headers["location"], email=FORM["email"], password=FORM["password"])
    assert answer.headers["location"] == "/mine"
    assert browser.get("/mine").text == "Chloé Petit"


def test_a_taken_address_gets_the_same_answer_and_keeps_its_password(
    world: World, alice: Person, browser: Browser
) -> None:
    free = browser.submit("/register", **FORM)
    taken = world.browser().submit("/register", **{**FORM, "email": alice.email, "name": "Mallory"})
    assert (free.status_code, free.headers["location"]) == (taken.status_code, taken.headers["location"])
    assert world.row(alice).name == "Alice Martin"
    assert world.browser().signs_in(alice, FORM["password"]).status_code == 400
    assert world.browser().signs_in(alice).status_code == 303


def test_the_account_speaks_the_language_it_was_opened_in(world: World) -> None:
    french = world.browser("fr")
    french.submit("/register", **FORM)
    french.submit("/sign-in", email=FORM["email"], password=FORM["password"])
    elsewhere = world.browser("en")
    elsewhere.submit("/sign-in", email=FORM["email"], password=FORM["password"])
    assert "Bonjour Chloé Petit" in elsewhere.get("/").text


def test_what_is_wrong_is_said_beside_each_field_and_what_was_written_stays(world: World, browser: Browser) -> None:
    answer = browser.submit(
        "/register", name="<b>Chloé</b> \u202e", email="chloe", password="password1", birth_date="2999-01-01"
    )
    assert answer.status_code == 400
    text = answer.text
    for field in ("name", "email", "password", "birth_date"):
        assert f'href="#{field}"' in text and f'id="{field}-wrong"' in text
    assert "<title>Error: open an account" in text
    assert "&lt;b&gt;Chloé&lt;/b&gt;" in text and "<b>Chloé" not in text
    assert "password1" not in text


def test_an_under_age_account_is_told_plainly_that_a_guardian_decides(world: World) -> None:
    child = world.person("Chloé Petit", born=date(2014, 6, 1))
    hers = world.browser()
    hers.signs_in(child)
    assert "You are under age: you cannot share data until a parent or guardian" in hers.get("/").text
    assert "You are under age" in hers.get("/account").text


def test_with_a_guardian_both_see_each_other(world: World, alice: Person) -> None:
    child = world.person("Chloé Petit", born=date(2014, 6, 1), guardian_email=alice.email)
    assert child.guardian_id == alice.id
    hers, theirs = world.browser(), world.browser()
    hers.signs_in(child)
    theirs.signs_in(alice)
    assert "your guardian decides with you" in hers.get("/").text
    assert "Alice Martin" in hers.get("/account").text
    assert "Chloé Petit" in theirs.get("/account").text


def test_who_comes_of_age_in_the_zone_of_the_gateway_may_be_a_guardian_from_then_on(world: World) -> None:
    world.clock.now = datetime(2026, 5, 31, 23, 30, tzinfo=UTC)  # in Paris it is the first of June
    older = world.person("Zoé Petit", born=date(2011, 6, 1))
    child = world.person("Chloé Petit", born=date(2014, 6, 1), guardian_email=older.email)
    assert child.guardian_id == older.id


@pytest.mark.parametrize(
    ("guardian", "born"), [("chloe@example.org", date(2014, 6, 1)), ("nobody@example.org", date(2014, 6, 1))]
)
def test_not_everybody_can_be_a_guardian(world: World, guardian: str, born: date) -> None:
    with pytest.raises(ValueError, match="guardian"):
        world.person("Chloé Petit", born=born, guardian_email=guardian)


def test_a_grown_up_needs_no_guardian_and_a_child_is_none(world: World, alice: Person) -> None:
    with pytest.raises(ValueError, match="not one of a child"):
        world.person("Bob Leroy", guardian_email=alice.email)
    child = world.person("Chloé Petit", born=date(2014, 6, 1))
    with pytest.raises(ValueError, match="under age"):
        world.person("Zoé Blanc", born=date(2015, 1, 1), guardian_email=child.email)


def test_the_operator_gets_a_reason_for_what_will_not_do() -> None:
    with pytest.raises(ValueError, match="email: .*password: "):
        seeding.prepare(name="Bob", email="bob", password="12345678", today=date(2026, 5, 4))


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        (date(2011, 5, 4), date(2026, 5, 4), 15),
        (date(2011, 5, 5), date(2026, 5, 4), 14),
        (date(2012, 2, 29), date(2027, 2, 28), 14),
        (date(2012, 2, 29), date(2027, 3, 1), 15),
    ],
)
def test_age_in_whole_years(born: date, on: date, years: int) -> None:
    assert age(born, on) == years


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Alice@Example.org", "alice@example.org"),
        (" a.b+c@sub.example.co ", "a.b+c@sub.example.co"),
        ("zoé@example.org", None),
        ("a@exämple.org", "a@xn--exmple-cua.org"),
        ("a@b", None),
        ("a b@example.org", None),
        ("a@example.org\r\nBcc: x@example.org", None),
        ("<a@example.org>", None),
        ("a@@example.org", None),
        ("@example.org", None),
        ("a@.org", None),
        ("a@-x.org", None),
        ("a.@example.org", None),
        ("a@127.0.0.1", None),
        ("x" * 65 + "@example.org", None),
        ("a@" + "x" * 300 + ".org", None),
        ("", None),
    ],
)
def test_addresses(written: str, kept: str | None) -> None:
    assert accounts.clean_email(written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Zoe\u0301  Blanc", "Zoé Blanc"),
        ("Анна", "Анна"),
        ("李小龍", "李小龍"),
        ("O'Neil-Smith", "O'Neil-Smith"),
        ("Alice\u202eecilA", None),
        ("Al\u200bice", None),
        ("Alice\x00", None),
        ("   ", None),
        ("12345", None),
        ("x" * 101, None),
    ],
)
def test_names(written: str, kept: str | None) -> None:
    assert accounts.clean_name(written) == kept


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password",
        "Password1!",
        "p4ssw0rd123",
        "azerty123",
        "motdepasse2026",
        "Été2026!",
        "12345678",
        "87654321",
        "aaaaaaaa",
        "abababab",
        "abcdefgh",
        "azertyuiop",
        "2026-05-04",
        "martin1985",
        "Alice.Martin",
        "martinalice!",
        "alice@example.org",
        "x" * 129,
    ],
)
def test_passwords_that_will_not_do(password: str) -> None:
    assert passwords.weakness(password, ("Alice Martin", "alice@example.org"))


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "three calm herons",
        "x7$kq!Pz",
        "日本語の長い合言葉",
        "p" + "é" * 3 + "rolling stone",
        "y" * 3 + "abc" * 41,
    ],
)
def test_passwords_that_will(password: str) -> None:
    assert passwords.weakness(password, ("Alice Martin", "alice@example.org")) is None


def test_the_same_password_typed_on_another_keyboard_is_the_same() -> None:
    kept = passwords.hash_("cafe\u0301 au lait")
    assert passwords.verify(kept, "café au lait")
    assert not passwords.verify(kept, "cafe au lait")
    assert not passwords.verify("not a hash", "café au lait")
    assert not passwords.verify(None, "no account has this password")
