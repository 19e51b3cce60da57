"""One's own account: only one's own, only with a sign-in of the last minutes where it matters."""

from datetime import timedelta

import pytest
from people_world import PASSWORD, Browser, World
from sqlmodel import select

from gateway.ground.web import cookies
from gateway.log import Event
from gateway.people.tables import Passkey, Person, SignIn

PAGES = ["/account", "/account/details", "/account/password", "/account/codes", "/account/passkeys/add"]
POSTS = [
    "/account/details",
    "/account/password",
    "/account/codes",
    "/account/codes/off",
    "/account/passkeys/add",
    "/account/passkeys/remove",
    "/account/sign-ins/end",
]
SENSITIVE = [path for path in POSTS if path not in ("/account/details", "/account/sign-ins/end")]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_sign_in(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=%2Faccount")


@pytest.mark.parametrize("path", POSTS)
def test_every_change_needs_a_form_of_ours(signed_in: Browser, path: str) -> None:
    assert signed_in.send(path, {}).status_code == 403
    assert signed_in.send(path, {"csrf": signed_in.csrf()}, sec_fetch_site="cross-site").status_code == 403


@pytest.mark.parametrize("path", SENSITIVE)
def test_what_changes_how_she_signs_in_needs_a_recent_sign_in(world: World, signed_in: Browser, path: str) -> None:
    world.clock.goes_on(minutes=11)
    answer = signed_in.send(path, {"csrf": signed_in.csrf()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Faccount&again=1")


def test_and_comes_back_to_what_she_wanted(world: World, signed_in: Browser) -> None:
    world.clock.goes_on(minutes=11)
    away = signed_in.get("/account/password").headers["location"]
    assert away == "/sign-in?next=%2Faccount%2Fpassword&again=1"
    assert signed_in.submit(away, password=PASSWORD).headers["location"] == "/account/password"
    assert signed_in.get("/account/password").status_code == 200


# ---- password


def test_alice_changes_her_password_and_is_signed_out_everywhere_else(
    world: World, alice: Person, signed_in: Browser
) -> None:
    other = world.browser()
    other.signs_in(alice)
    answer = signed_in.submit("/account/password", old=PASSWORD, password="three calm herons")
    assert answer.headers["location"] == "/account?done=password"
    assert "signed out everywhere else" in signed_in.get("/account?done=password").text
    assert signed_in.get("/mine").status_code == 200
    assert other.get("/mine").status_code == 303
    assert world.browser().signs_in(alice).status_code == 400
    assert world.browser().signs_in(alice, "three calm herons").status_code == 303
    assert "password_changed" in world.events(alice)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("wrong wrong", "three calm herons", "This is not your present password."),
        (PASSWORD, "short", "Use at least 8 characters."),
        (PASSWORD, "AliceMartin99", "made of your name"),
    ],
)
def test_a_password_is_not_changed_without_both_being_right(
    world: World, alice: Person, signed_in: Browser, old: str, new: str, says: str
) -> None:
    answer = signed_in.submit("/account/password", old=old, password=new)
    assert answer.status_code == 400 and says in answer.text
    assert world.browser().signs_in(alice).status_code == 303


def test_guessing_the_old_password_is_slowed_down_too(signed_in: Browser) -> None:
    form = {"csrf": signed_in.csrf(), "old": "a guess", "password": "three calm herons"}
    assert [signed_in.send("/account/password", form).status_code for _ in range(11)] == [400] * 10 + [429]


# ---- details


def test_she_changes_her_name_and_language(world: World, alice: Person, signed_in: Browser) -> None:
    answer = signed_in.submit("/account/details", name="Alice  Durand", language="fr", birth_date="")
    assert answer.headers["location"] == "/account?done=details"
    assert "Vos coordonnées sont enregistrées." in signed_in.get("/account?done=details").text
    assert (world.row(alice).name, world.row(alice).language) == ("Alice Durand", "fr")


def test_nothing_else_can_be_slipped_in(world: World, alice: Person, bob: Person, signed_in: Browser) -> None:
    form = {"csrf": signed_in.csrf(), "name": "Alice", "language": "en", "email": "x@example.org", "id": bob.id}
    signed_in.send("/account/details", {**form, "guardian_id": bob.id, "password_hash": "x"})
    row = world.row(alice)
    assert (row.email, row.guardian_id, row.password_hash) == (alice.email, None, alice.password_hash)
    assert world.row(bob).name == "Bob Leroy"


def test_a_birth_date_is_set_once(world: World, alice: Person, signed_in: Browser) -> None:
    signed_in.submit("/account/details", name="Alice", language="en", birth_date="2014-06-01")
    assert str(world.row(alice).birth_date) == "2014-06-01"
    assert 'name="birth_date"' not in signed_in.get("/account/details").text
    signed_in.send(
        "/account/details", {"csrf": signed_in.csrf(), "name": "A", "language": "en", "birth_date": "1980-01-01"}
    )
    assert str(world.row(alice).birth_date) == "2014-06-01"


@pytest.mark.parametrize(
    "form", [{"language": "de"}, {"language": ""}, {"name": "\u202e"}, {"birth_date": "yesterday"}]
)
def test_bad_details_are_refused(world: World, alice: Person, signed_in: Browser, form: dict[str, str]) -> None:
    sent = {"csrf": signed_in.csrf(), "name": "Alice", "language": "en", **form}
    assert signed_in.send("/account/details", sent).status_code == 400
    assert world.row(alice).name == "Alice Martin"


# ---- own sign-ins


def test_she_sees_her_sign_ins_and_ends_one(world: World, alice: Person, signed_in: Browser) -> None:
    other = world.browser()
    other.client.headers["user-agent"] = "Mozilla/5.0 (iPhone; <script>) Version/17 Mobile Safari/604"
    other.signs_in(alice)
    page = signed_in.get("/account").text
    assert "Safari, iPhone" in page and "Firefox, Linux" in page and "<script>" not in page
    assert signed_in.submit("/account", to="/account/sign-ins/end").headers["location"] == "/account?done=sign_in"
    assert other.get("/mine").status_code == 303
    assert signed_in.get("/mine").status_code == 200


def test_she_ends_all_others_at_once(world: World, alice: Person, signed_in: Browser) -> None:
    others = [world.browser() for _ in range(3)]
    for other in others:
        other.signs_in(alice)
    signed_in.send("/account/sign-ins/end", {"csrf": signed_in.csrf(), "sign_in": "others"})
    assert [other.get("/mine").status_code for other in others] == [303] * 3
    assert signed_in.get("/mine").status_code == 200


def test_mallory_cannot_end_alices_sign_in(world: World, bob: Person, signed_in: Browser) -> None:
    mallory = world.browser()
    mallory.signs_in(bob)
    with world.house.store.read() as session:
        rows = session.exec(select(SignIn)).all()
    from gateway.people.sign_ins import handle

    for row in rows:
        for name in (row.id, handle(world.house.keys, row)):
            if row.person_id != bob.id:
                answer = mallory.send("/account/sign-ins/end", {"csrf": mallory.csrf(), "sign_in": name})
                assert answer.status_code == 404
    assert signed_in.get("/mine").status_code == 200


def test_the_hash_of_a_secret_is_on_no_page(world: World, signed_in: Browser) -> None:
    with world.house.store.read() as session:
        ids = [row.id for row in session.exec(select(SignIn))]
    assert all(id not in signed_in.get("/account").text for id in ids)


# ---- passkeys, as far as no authenticator is needed


def _passkey(world: World, person: Person, id: str) -> None:
    with world.house.store.write() as session:
        session.add(
            Passkey(credential_id=id, person_id=person.id, public_key=b"x", name="<i>key", created_at=world.clock.now)
        )


def test_she_removes_a_passkey_and_it_is_in_the_log(world: World, alice: Person, signed_in: Browser) -> None:
    _passkey(world, alice, "AAAA")
    assert "&lt;i&gt;key" in signed_in.get("/account").text
    answer = signed_in.submit("/account", to="/account/passkeys/remove")
    assert answer.headers["location"] == "/account?done=passkey_removed"
    assert world.events(alice)[-1] == "passkey_removed"


def test_mallory_cannot_remove_alices_passkey(world: World, alice: Person, bob: Person) -> None:
    _passkey(world, alice, "AAAA")
    mallory = world.browser()
    mallory.signs_in(bob)
    answer = mallory.send("/account/passkeys/remove", {"csrf": mallory.csrf(), "passkey": "AAAA"})
    assert answer.status_code == 404
    with world.house.store.read() as session:
        assert session.get(Passkey, "AAAA")


def test_the_last_way_in_is_not_thrown_away(world: World, alice: Person, signed_in: Browser) -> None:
    _passkey(world, alice, "AAAA")
    with world.house.store.write() as session:
        row = session.get_one(Person, alice.id)
        row.password_hash = None
        session.add(row)
    answer = signed_in.submit("/account", to="/account/passkeys/remove")
    assert answer.status_code == 400 and "your only way to sign in" in answer.text


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", "{", '{"id": 1}', '{"id":"AAAA","rawId":"AAAA"}', "x" * 20_000]
)
def test_nonsense_is_no_passkey(world: World, alice: Person, signed_in: Browser, browser: Browser, answer: str) -> None:
    _passkey(world, alice, "AAAA")
    assert browser.submit("/sign-in/passkey", answer=answer).status_code == 400
    assert signed_in.submit("/account/passkeys/add", answer=answer).status_code == 400
    assert browser.get("/mine").status_code == 303


# ---- preferences


def test_the_switch_of_language_keeps_the_address_and_the_account(
    world: World, alice: Person, signed_in: Browser
) -> None:
    page = signed_in.get("/sign-in?again=1&next=/mine%3Fa%3D1")
    assert 'name="next" value="/sign-in?again=1&amp;next=/mine%3Fa%3D1"' in page.text
    form = {"csrf": signed_in.csrf(), "language": "fr", "next": "/sign-in?again=1&next=/mine%3Fa%3D1"}
    answer = signed_in.send("/language", form)
    assert answer.headers["location"] == form["next"]
    assert "Confirmez que c’est bien vous" in signed_in.get(form["next"]).text
    assert world.row(alice).language == "fr"


def test_a_visitor_switches_language_too_but_only_to_ours(browser: Browser) -> None:
    form = {"csrf": browser.csrf("/"), "next": "/register"}
    assert browser.send("/language", {**form, "language": "fr"}).headers["location"] == "/register"
    assert '<html lang="fr"' in browser.get("/register").text
    assert browser.send("/language", {**form, "language": "../etc"}).status_code == 400
    away = browser.send("/language", {**form, "language": "en", "next": "//evil.example"})
    assert away.headers["location"] == "/"


def test_the_theme_is_rendered_by_the_server(browser: Browser) -> None:
    assert "data-theme" not in browser.get("/").text
    form = {"csrf": browser.csrf("/"), "next": "/"}
    browser.send("/theme", {**form, "theme": "dark"})
    assert 'data-theme="dark"' in browser.get("/").text
    browser.send("/theme", {**form, "theme": "device"})
    assert "data-theme" not in browser.get("/").text
    browser.client.cookies.set(cookies.THEME, '"><script>', domain="gateway.test")
    assert "data-theme" not in browser.get("/").text


# ---- home


def test_home_counts_nothing_for_a_new_account_and_says_what_to_do(signed_in: Browser) -> None:
    page = signed_in.get("/").text
    assert page.count("<strong>0</strong>") == 3
    for path in ("/sharings?status=active", "/log?badge=access", "/organisations"):
        assert f'href="{path}"' in page
    assert "Link your first organisation" in page


def test_home_tells_how_often_her_data_were_read_in_thirty_days(
    world: World, signed_in: Browser, alice: Person, bob: Person
) -> None:
    def told() -> int:
        return int(signed_in.get("/").text.partition('href="/log?badge=access"><strong>')[2].partition("<")[0])

    with world.house.store.write() as session:
        for at, kind in ((31, "access"), (30, "access"), (29, "access"), (2, "denied"), (1, "access_outcome")):
            then = world.house.clock() - timedelta(days=at)
            for person in (alice.id, bob.id):
                for _ in range(150):
                    world.house.log.record(session, Event(kind, person, then, "app", {"client": "watt-coach"}))
    assert told() == 300
    world.clock.goes_on(seconds=1)
    assert told() == 150


def test_data_sharing_is_one_click_from_every_page(signed_in: Browser) -> None:
    for path in ("/", "/account", "/account/details", "/nowhere"):
        assert 'href="/sharings"' in signed_in.get(path).text
