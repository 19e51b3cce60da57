"""Signing in by password and out: what works, what Mallory tries."""

from people_world import HOME, PASSWORD, Browser, World

from gateway.people.tables import Person
from gateway.web import cookies


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
