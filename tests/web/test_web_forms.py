"""Forms count only from our own pages, and one transaction covers one request."""

import pytest
from web_world import CLASHED, HOME, World, csrf

from gateway.ground.web import cookies

OURS = {"origin": HOME, "sec-fetch-site": "same-origin"}


def test_a_form_from_our_page_is_taken(world: World) -> None:
    alice = world.visitor("alice")
    answer = alice.post("/note", data={"csrf": csrf(alice), "text": "hello"}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/says")
    assert world.notes() == ["hello"]


def test_a_form_without_a_token_is_refused(world: World) -> None:
    alice = world.visitor("alice")
    assert alice.post("/note", data={"text": "x"}, headers=OURS).status_code == 403
    assert world.notes() == []


def test_a_token_of_before_signing_in_is_stale(world: World) -> None:
    visitor = world.visitor()
    token = csrf(visitor)
    visitor.cookies.set("__Host-aval-sign-in", "alice")
    assert visitor.post("/note", data={"csrf": token, "text": "x"}, headers=OURS).status_code == 403
    assert world.notes() == []


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("alice", "Revenez en arrière, rechargez la page et envoyez le formulaire depuis celle-ci."),
        ("mallory", "Go back, load the page again and send the form from there."),
    ],
)
def test_a_stale_form_says_what_to_do(world: World, who: str, told: str) -> None:
    answer = world.visitor(who).post("/note", data={"csrf": "old", "text": "x"}, headers=OURS)
    assert answer.status_code == 403 and told in answer.text


def test_mallorys_token_is_worth_nothing_with_alices_cookie(world: World) -> None:
    token = csrf(world.visitor("mallory"))
    assert world.visitor("alice").post("/note", data={"csrf": token, "text": "x"}, headers=OURS).status_code == 403
    assert world.notes() == []


def test_a_visitor_has_a_token_of_her_own_before_signing_in(world: World) -> None:
    one, other = world.visitor(), world.visitor()
    assert csrf(one) == csrf(one) != csrf(other)
    assert one.post("/note", data={"csrf": csrf(one), "text": "x"}, headers=OURS).status_code == 303
    assert one.post("/note", data={"csrf": csrf(other), "text": "y"}, headers=OURS).status_code == 403
    assert world.notes() == ["x"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://gateway.test"},
        {"origin": "https://gateway.test.evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": HOME, "sec-fetch-site": "cross-site"},
        {"origin": HOME, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_the_right_token(world: World, headers: dict[str, str]) -> None:
    alice = world.visitor("alice")
    assert alice.post("/note", data={"csrf": csrf(alice), "text": "x"}, headers=headers).status_code == 403
    assert world.notes() == []


@pytest.mark.parametrize("headers", [{}, {"origin": HOME}, {"origin": "null", "sec-fetch-site": "same-origin"}])
def test_what_honest_browsers_send_is_taken(world: World, headers: dict[str, str]) -> None:
    """The last: Chromium and Firefox, because our pages say `Referrer-Policy: no-referrer`."""
    alice = world.visitor("alice")
    assert alice.post("/note", data={"csrf": csrf(alice), "text": "x"}, headers=headers).status_code == 303


def test_an_answer_with_an_error_status_commits(world: World) -> None:
    alice = world.visitor("alice")
    assert alice.post("/note/refused", data={"csrf": csrf(alice), "text": "kept"}, headers=OURS).status_code == 403
    assert world.notes() == ["kept"]


def test_a_fault_rolls_back_and_shows_no_detail(world: World) -> None:
    alice = world.visitor("alice")
    answer = alice.post("/note/failed", data={"csrf": csrf(alice), "text": "lost"}, headers=OURS)
    assert answer.status_code == 500
    assert "nobody may see" not in answer.text
    assert world.notes() == []


@pytest.mark.parametrize("clashes", [1, 2])
def test_what_was_undone_for_anothers_sake_is_done_again_once(world: World, clashes: int) -> None:
    CLASHED.clear()
    alice = world.visitor("alice")
    form = {"csrf": csrf(alice), "text": "kept", "clashes": str(clashes)}
    answer = alice.post("/note/in-the-way", data=form, headers=OURS)
    assert answer.status_code == 303 and len(CLASHED) == clashes
    assert world.notes() == ["kept"]
    assert [line.partition(";")[0].partition("=")[2] for line in answer.headers.get_list("set-cookie")] == [
        f"try-{clashes}"
    ]


def test_whoever_is_always_in_anothers_way_is_told_to_come_again(world: World) -> None:
    CLASHED.clear()
    alice = world.visitor("alice")
    form = {"csrf": csrf(alice), "text": "lost", "clashes": "9"}
    answer = alice.post("/note/in-the-way", data=form, headers=OURS)
    assert answer.status_code == 503 and "retry-after" in answer.headers and len(CLASHED) == 3
    assert world.notes() == [] and "set-cookie" not in answer.headers


def test_work_for_later_that_was_in_anothers_way_is_answered_to_come_again(world: World) -> None:
    """It may have asked another party by then: it is not done twice."""
    answer = world.visitor().get("/later/in-the-way")
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert world.notes() == [] and cookies.SIGN_IN not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("path", ["/tells?a=%00", "/tells?%00=a"])
def test_what_no_database_keeps_is_no_text(world: World, path: str) -> None:
    assert world.visitor().get(path).status_code == 400
    assert world.visitor().post("/tells", data={"a": "x\0y"}).status_code == 400
    assert world.visitor().post("/tells", data={"a": ["\0", "b"]}).status_code == 400


def test_fields_given_twice_are_told_apart_from_others(world: World) -> None:
    answer = world.visitor().post("/tells?a=1&b=2", data={"b": "3", "c": "4"})
    assert answer.json() == {"repeated": ["b"], "form": {"b": "3", "c": "4"}, "query": {"a": "1", "b": "2"}}


def test_too_large_a_body_is_refused_and_not_read(world: World) -> None:
    answer = world.visitor().post("/tells", data={"a": "x" * 70_000})
    assert answer.status_code == 400


def test_more_fields_than_any_form_of_ours_count_as_none(world: World) -> None:
    answer = world.visitor().post("/tells", data={f"f{i}": "1" for i in range(150)})
    assert answer.json()["form"] == {}


def test_a_compressed_body_is_refused(world: World) -> None:
    assert world.visitor().post("/tells", content=b"x", headers={"content-encoding": "gzip"}).status_code == 400


def test_broken_utf8_and_other_media_are_no_form(world: World) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert world.visitor().post("/tells", content=b"a=%ff\xfe", headers=form).status_code == 200
    answer = world.visitor().post("/tells", content=b"a=1", headers={"content-type": "text/plain"})
    assert answer.json()["form"] == {}
