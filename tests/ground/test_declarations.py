"""The engine of declarations: one table of what may be said, every fault at once."""

from typing import Any

import pytest

from gateway.apps.declare import FORM as APPS
from gateway.ground.declarations import REQUIRED, Form, checks, digest
from gateway.organisations.rules import FORM as ORGANISATIONS

FORM = Form(
    tables={
        "": {"id": ("id", REQUIRED), "colour": ("colour", "red"), "contact": ("table", None), "rows": ("rows", [])},
        "contact": {"mail": ("mail", REQUIRED), "office": ("table", None)},
        "contact.office": {"city": ("text", REQUIRED)},
        "rows[]": {"name": ("text", REQUIRED)},
    },
    kinds={
        "id": checks.matches("[a-z]+", "write a-z"),
        "colour": ("red", "green"),
        "table": checks.table,
        "mail": checks.mail,
        "text": checks.text,
        "rows": checks.tables("rows", most=2),
    },
)


def faults(document: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in FORM.faults(document)]


def test_a_good_document_has_no_fault_and_is_filled_with_what_is_absent() -> None:
    document = {"id": "x", "contact": {"mail": "a@b.example", "office": {"city": "Lyon"}}, "rows": [{"name": "n"}]}
    assert faults(document) == []
    assert FORM.filled({"id": "x"}) == {"id": "x", "colour": "red", "contact": None, "rows": []}


def test_every_fault_of_every_table_is_told_at_once_with_its_place() -> None:
    document = {
        "id": "X",
        "color": 1,
        "colour": "gren",
        "contact": {"office": {"city": "", "floor": 2}},
        "rows": [{"name": "n"}, {"nam": "n"}],
    }
    assert faults(document) == [
        "color: is not a key of a declaration; did you mean colour?",
        "id: is not right; write a-z",
        "colour: 'gren' is not known; did you mean green?",
        "contact.mail: is missing; write a mail address",
        "contact.office.floor: is not a key of a declaration; known here: city",
        "contact.office.city: is not right; write a text of 1 to 200 characters",
        "rows[1].nam: is not a key of a declaration; did you mean name?",
        "rows[1].name: is missing; write a text of 1 to 200 characters",
    ]


@pytest.mark.parametrize("value", [1, [], "x", True, [1], {"a": 1}, None, 1e400, [[{}]], [{}] * 3])
def test_nonsense_is_a_fault_and_no_crash(value: object) -> None:
    for key in ("id", "colour", "contact", "rows"):
        FORM.faults({"id": "x", key: value})
    assert FORM.faults({"id": "x", "rows": value}) or value == []


def test_every_kind_that_a_form_names_has_a_check_and_every_table_a_key() -> None:
    for form in (APPS, ORGANISATIONS):
        assert {kind for keys in form.tables.values() for kind, _ in keys.values()} == set(form.kinds)
        for place in form.tables:
            above, _, key = place.removesuffix("[]").rpartition(".")
            assert not place or key in form.tables[above], place


def test_one_document_has_one_digest_whatever_the_order_of_its_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": "é"}}) == digest({"b": {"d": "é", "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
