"""Two windows at the sign-in: the second one goes on too. And cancelling on the way keeps what an app asks for."""

from people_world import HOME, PASSWORD, Browser, World, forms

from gateway.people.tables import Person

NEXT = "/mine?a=1"
SIGN_IN = "/sign-in?next=%2Fmine%3Fa%3D1"


def form_of(browser: Browser, path: str, to: str) -> tuple[str, dict[str, str]]:
    return next((action, fields) for action, fields in forms(browser.get(path).text) if action.startswith(to))


def test_the_second_window_goes_on_when_she_has_signed_in_in_the_first(alice: Person, browser: Browser) -> None:
    action, second = form_of(browser, SIGN_IN, "/sign-in")
    browser.signs_in(alice)
    answer = browser.send(action, {**second, "email": alice.email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, NEXT)
    assert browser.get("/mine").text == "Alice Martin"


def test_who_gave_another_address_there_does_not_go_on_as_alice(world: World, alice: Person, browser: Browser) -> None:
    world.person("Bob Blanc")
    action, second = form_of(browser, SIGN_IN, "/sign-in")
    browser.signs_in(alice)
    assert browser.send(action, {**second, "email": "bob@example.org", "password": PASSWORD}).status_code == 403


def test_a_form_of_an_earlier_visit_is_answered_with_one_that_works(alice: Person, browser: Browser) -> None:
    """As after two windows that opened at once: the browser keeps the visit of one of them."""
    action, first = form_of(browser, SIGN_IN, "/sign-in")
    browser.client.cookies.clear()
    answer = browser.send(action, {**first, "email": alice.email, "password": PASSWORD})
    assert answer.status_code == 403 and "out of date" in answer.text
    assert PASSWORD not in answer.text
    [again] = [fields for to, fields in forms(answer.text) if to == action and "password" in fields]
    assert again["email"] == alice.email
    sent = browser.send(action, {**again, "password": PASSWORD})
    assert (sent.status_code, sent.headers["location"]) == (303, NEXT)


def test_a_form_from_elsewhere_signs_nobody_in_and_leads_nowhere(alice: Person, browser: Browser) -> None:
    form = {"csrf": "x", "email": alice.email, "password": PASSWORD}
    assert browser.send(SIGN_IN, form, origin="https://evil.example").status_code == 403
    assert browser.send(SIGN_IN, form, origin=HOME).status_code == 403
    assert browser.get("/mine").status_code == 303


def test_a_code_page_without_a_sign_in_is_too_old(browser: Browser) -> None:
    browser.get("/sign-in")
    assert browser.send("/sign-in/second", {"csrf": "x", "code": "123456"}).status_code == 403
