"""A cookie of ours is exactly the bytes we set; whatever only looks like one signs nobody in."""

from pathlib import Path

import pytest
from starlette.requests import Request
from web_world import World

from examples.cookies import cookie
from gateway.ground.web import cookies

OURS = cookies.SIGN_IN.encode()
ROOT = Path(__file__).parents[2]
DISGUISES = [
    b"\xa0%s", b"\x85%s", b"%s\xa0", b"%s\x85", b"\xc2\xa0%s", b"\t%s", b"%s\t", b"\x0b%s", b"\x1f%s", b"\x00%s",
    b"\x7f%s", b"__Host-\xadaval-sign-in",
]  # fmt: skip


def _sees(world: World, *headers: bytes) -> str:
    answer = world.visitor().get("/mine", headers=[(b"cookie", value) for value in headers])
    return answer.text.split()[0] if answer.status_code == 200 else "nobody"


def _spelled(disguise: bytes) -> bytes:
    return disguise % OURS if b"%s" in disguise else disguise


@pytest.mark.parametrize(
    "header",
    [b"%s=alice", b"a=b; %s=alice", b"%s=alice; a=b", b"%s=alice;a=b", b"a; %s=alice", b"%s=alice; go\xfbt=sal\xe9"],
)
def test_her_own_cookie_signs_her_in(world: World, header: bytes) -> None:
    assert _sees(world, header % OURS) == "Alice"


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_a_disguised_name_is_not_ours_alone_nor_beside_the_true_one(world: World, disguise: bytes) -> None:
    planted = _spelled(disguise) + b"=mallory"
    assert _sees(world, planted) == "nobody"
    assert _sees(world, OURS + b"=alice; " + planted) == "nobody"
    assert _sees(world, planted + b"; " + OURS + b"=alice") == "nobody"


@pytest.mark.parametrize(
    "headers",
    [(OURS + b"=alice; " + OURS + b"=mallory",), (OURS + b"=alice; " + OURS + b"=alice",),
     (OURS + b"=alice", OURS + b"=mallory"), (OURS + b"=alice; " + OURS,)],
)  # fmt: skip
def test_a_name_given_twice_signs_nobody_in(world: World, headers: tuple[bytes, ...]) -> None:
    assert _sees(world, *headers) == "nobody"


@pytest.mark.parametrize("value", [b'"alice"', b"alice\xa0", b"\x85alice", b"ali\tce", b"alice\x00", b"a" * 513, b""])
def test_a_value_we_would_never_set_signs_nobody_in(world: World, value: bytes) -> None:
    assert _sees(world, OURS + b"=" + value) == "nobody"


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_the_language_switch_is_read_as_strictly(world: World, disguise: bytes) -> None:
    name = cookies.LANGUAGE.encode()
    disguised = disguise % name if b"%s" in disguise else disguise.replace(b"sign-in", b"language")
    for said, language in ((name + b"=fr", "fr"), (disguised + b"=fr", "en")):
        page = world.visitor(accept_language="en").get("/says", headers=[(b"cookie", said)])
        assert f'<html lang="{language}"' in page.text


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_the_examples_read_theirs_as_strictly(disguise: bytes) -> None:
    def read(value: bytes) -> str:
        return cookie(Request({"type": "http", "headers": [(b"cookie", value)]}), cookies.SIGN_IN)

    assert read(b"a=b; " + OURS + b"=alice") == "alice"
    assert read(_spelled(disguise) + b"=mallory") == ""
    assert read(OURS + b"=alice; " + _spelled(disguise) + b"=mallory") == ""
    assert read(OURS + b"=alice; " + OURS + b"=mallory") == ""


def test_nothing_reads_cookies_by_the_forgiving_parser() -> None:
    sources = [path for folder in ("gateway", "examples") for path in (ROOT / folder).rglob("*.py")]
    assert sources and [str(path) for path in sources if "request.cookies" in path.read_text()] == []
