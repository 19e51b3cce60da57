"""Headers on every page, errors in the caller's own form, redirects to our own pages only."""

import pytest
from web_world import ALICE, NOTED, World

from gateway.ground.web import cookies
from gateway.ground.web.answers import own_path


@pytest.mark.parametrize("path", ["/says", "/nowhere", "/raises/forbidden", "/mine", "/raises/down"])
def test_every_page_carries_the_headers_errors_and_redirects_too(world: World, path: str) -> None:
    headers = world.visitor().get(path).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy and "base-uri 'none'" in policy
    assert "unsafe" not in policy and policy.startswith("default-src 'none'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"].startswith("max-age=63072000")


def test_on_plain_http_nothing_is_said_of_https(tmp_path: object) -> None:
    from pathlib import Path

    world = World(Path(str(tmp_path)), "http://localhost:8400")
    assert "strict-transport-security" not in world.visitor().get("/says").headers
    world.house.store.close()


def test_our_cookies_are_host_only_secure_and_not_for_scripts(world: World) -> None:
    cookie = world.visitor().get("/says").headers["set-cookie"]
    assert cookie.startswith("__Host-")
    words = {word.strip().lower() for word in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= words
    assert not any(word.startswith("domain") for word in words)


@pytest.mark.parametrize(
    ("how", "status", "code"), [("forbidden", 403, "forbidden"), ("down", 503, "temporarily_unavailable")]
)
def test_an_api_answers_with_a_problem(world: World, how: str, status: int, code: str) -> None:
    answer = world.visitor().get(f"/api/raises/{how}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{code}"
    assert "private detail" not in answer.text


def test_oauth_answers_as_oauth_does(world: World) -> None:
    answer = world.visitor().get("/oauth/raises/busy")
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "7"
    assert "private detail" not in answer.text


def test_a_page_says_it_in_the_persons_language_and_no_detail(world: World) -> None:
    answer = world.visitor("alice").get("/raises/forbidden")
    assert answer.status_code == 403
    assert "Vous ne pouvez pas faire cela." in answer.text and '<html lang="fr"' in answer.text
    assert answer.headers["content-language"] == "fr"
    assert "private detail" not in answer.text
    assert world.visitor().get("/raises/down").headers["retry-after"] == "5"


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(world: World) -> None:
    page = world.visitor("alice").get("/nowhere")
    assert page.status_code == 404
    assert "Il n’y a rien à cette adresse." in page.text and "Mes partages de données" in page.text
    answer = world.visitor(accept="application/json").get("/nowhere")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_wrong_method_says_which_are_right(world: World) -> None:
    answer = world.visitor().delete("/says")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("who", "told"),
    [("alice", "Cette adresse ne s’ouvre pas comme une page."), ("", "This address cannot be opened like a page.")],
)
def test_the_address_of_a_form_opened_like_a_page_is_told_in_words(world: World, who: str, told: str) -> None:
    answer = world.visitor(who).get("/note", headers={"accept": "text/html", "accept-language": "en"})
    assert answer.status_code == 405 and told in answer.text and answer.headers["allow"] == "POST"
    program = world.visitor(accept="application/json").get("/note")
    assert program.json()["title"] == "The request is not of the form this address takes."


def test_whatever_is_reflected_is_escaped(world: World) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    text = world.visitor().get("/says", params={"say": attack}).text
    assert "<script>alert" not in text and "<img src=x" not in text
    assert "&lt;script&gt;" in text


def test_no_page_asks_anything_of_another_origin(world: World) -> None:
    text = world.visitor().get("/says").text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert "style=" not in text and " onclick" not in text and "<script" not in text


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(world: World) -> None:
    answer = world.visitor().get("/mine?a=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fmine%3Fa%3D1")
    assert world.visitor().get("/api/mine").status_code == 401


def test_a_sign_in_that_ends_while_another_party_is_asked_is_asked_for_again(world: World) -> None:
    answer = world.visitor("alice").get("/later")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Flater")


def test_what_is_rolled_back_sets_no_cookie_but_the_one_its_forms_need(world: World) -> None:
    answer = world.visitor().get("/cookie/refused")
    assert answer.status_code == 403
    [(name, _)] = answer.cookies.items()
    assert name == cookies.VISIT


def test_a_post_that_needs_signing_in_leads_back_home_not_to_the_post(world: World) -> None:
    assert world.visitor().post("/mine").headers["location"] == "/sign-in?next=%2F"


def test_who_is_signed_in_gets_the_page(world: World) -> None:
    assert world.visitor("alice").get("/mine").text == f"{ALICE.name} fr True"
    assert world.visitor("mallory").get("/mine").text == "Mallory en False"
    assert world.visitor("nobody").get("/mine").status_code == 303


def test_a_sign_in_in_use_is_noted_after_the_answer(world: World) -> None:
    NOTED.clear()
    world.visitor("unnoted").get("/says")
    assert NOTED == ["seen"]


def test_a_door_that_opens_no_session_has_none(world: World) -> None:
    assert world.visitor().get("/no-session").status_code == 500


@pytest.mark.parametrize(
    "path", ["/", "/sharings", "/sharings/abc?x=1&y=%2F", "/authorize?redirect_uri=https%3A%2F%2Fapp.example", "/a//b"]
)
def test_our_own_paths_are_followed(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/%09/evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/%2f/evil.example",
        "/%5cevil.example",
        " /x",
        "/é",
        "x",
        "",
    ],
)
def test_nothing_else_is(path: str) -> None:
    assert own_path(path) == "/"


def test_an_answer_to_a_program_sets_no_cookie(world):
    assert "set-cookie" not in world.visitor().get("/api/mine").headers
    assert "set-cookie" in world.visitor().get("/says").headers
