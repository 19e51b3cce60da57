"""Files of apps and of organisations are judged alike where people read what they say, or follow it."""

import pytest

from gateway.apps.declare import FORM as APPS
from gateway.ground.declarations import texts
from gateway.organisations.rules import FORM as ORGANISATIONS

INVISIBLE = ["\x00", "\x7f", "\x85", "\u061c", "\u200b", "\u202e", "\u2028", "\u2066", "\ufeff", "\ue000", "\U000e0041"]
KINDS = (APPS.kinds, ORGANISATIONS.kinds)


@pytest.mark.parametrize("char", INVISIBLE)
def test_invisible_characters_are_found_in_both(char: str) -> None:
    assert texts.hidden(f"a{char}b") == f"U+{ord(char):04X}"
    for checks in KINDS:
        assert checks["text"](f"a{char}b") == f"leave out the invisible character U+{ord(char):04X}"


@pytest.mark.parametrize("text", ["Été – l'énergie, 5 € « ici » 👍", "x", "x" * 200])
def test_what_people_can_read_is_taken_in_both(text: str) -> None:
    assert all(checks["text"](text) is None for checks in KINDS)


@pytest.mark.parametrize("text", ["", " ", " x", "x ", "\u00a0", "x" * 201, 7, None, ["x"]])
def test_what_is_no_text_is_refused_in_both(text: object) -> None:
    assert all(checks["text"](text) for checks in KINDS)


@pytest.mark.parametrize("address", ["https://a.example", "https://a.example/x?y=1#z", "https://a.example:8443/"])
def test_a_website_is_taken_in_both(address: str) -> None:
    assert all(checks["website"](address) is None for checks in KINDS)


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example",
        "javascript:alert(1)",
        "https://",
        "https://u@a.example",
        "https://:p@a.example",
        "https://a.example/ x",
        'https://a.example/"x',
        "https://a.example/<x>",
        "https://a.example\\@b.example",
        "https://a.example/`x`{y}",
        "https://[",
        "https://a.example:99999",
        "https://a.example:x",
        "https://é.example",
        "https://a.example/\n",
        7,
        None,
    ],
)
def test_what_is_no_website_is_refused_in_both(address: object) -> None:
    assert [checks["website"](address) for checks in KINDS] == ["write an https address"] * 2


@pytest.mark.parametrize("mail", ["a@b.example", "a.b+c@b.example"])
def test_a_mail_address_is_taken_in_both(mail: str) -> None:
    assert ORGANISATIONS.kinds["mail"](mail) is None and APPS.kinds["contact"](mail) is None


@pytest.mark.parametrize("mail", ["a", "a@", "a b@c.example", "<a@b.example>", 7])
def test_what_is_no_mail_address_is_refused_in_both(mail: object) -> None:
    assert ORGANISATIONS.kinds["mail"](mail) and APPS.kinds["contact"](mail)
