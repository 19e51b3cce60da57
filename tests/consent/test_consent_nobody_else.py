"""Nobody agrees in a person's place: there is one door to it, and it is hers or her guardian's."""

import ast
from collections.abc import Iterator
from pathlib import Path

from gateway.cli import app
from gateway.screen import pages

GATEWAY = Path(__file__).parents[2] / "gateway"
AGREEING = {("deciding", "agree"), ("amending", "amend")}  # what makes an agreement, or makes one wider
ACTS = {("Act", name) for name in ("GRANTED", "EXTENDED", "CHANGED", "RENEWED")}


def naming(what: set[tuple[str, str]]) -> Iterator[str]:
    """The modules that name one of these."""
    for path in GATEWAY.rglob("*.py"):
        if "__compiled__" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if (node.value.id, node.attr) in what:
                        yield str(path.relative_to(GATEWAY))


def test_only_the_consent_screen_makes_an_agreement() -> None:
    assert set(naming(AGREEING)) == {"screen/pages.py"}
    assert {name.split("/")[0] for name in naming(ACTS)} == {"consent"}, "and nothing else writes that there is one"


def test_its_door_is_for_whoever_has_signed_in_on_a_page_of_ours() -> None:
    [door] = [door for door in pages.doors(None, None) if door.path == "/consent/{id}"]  # type: ignore[arg-type]
    assert door.person and door.csrf and door.kind == "page" and door.methods == ("POST",)


def test_no_command_of_the_operator_agrees() -> None:
    named = {one.name for one in app.registered_groups} | {
        one.name or (one.callback.__name__ if one.callback else "") for one in app.registered_commands
    }
    words = " ".join(str(name) for name in named)
    assert "doctor" in words and not any(word in words for word in ("consent", "agree", "sharing", "grant"))


def test_mallory_cannot_allow_what_alice_is_asked(world, alice, mallory):  # type: ignore[no-untyped-def]
    asked = world.asks(alice)
    before = world.events(asked)
    answer = mallory.posts(f"/consent/{asked}", {"csrf": mallory.csrf(), "decision": "allow"})
    assert answer.status in (403, 404) and world.events(asked) == before
