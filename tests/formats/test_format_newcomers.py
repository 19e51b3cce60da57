"""What newcomers write first, and what first answers have: it is understood, or told with its place."""

import tomllib
from typing import Any

import pytest

from gateway.catalogue import datasets, format_files
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.organisations import owned
from tests.formats.flat_calls import cut, declaration, document, faults, one, planned

ALL = ("line", "month", "code", "band", "about", "cut", "noted", "area")


def form_of(text: str) -> Any:
    found: list[str] = []
    form = format_files.read(FileTable("file", tomllib.loads(text)["format"], found), "")
    assert not found, found
    return form


def wrong(text: str) -> list[str]:
    form, own = owned.read(tomllib.loads(text))
    assert form is not None
    return [f"{key}: {right}" for _, key, right in registry.form_faults(form, own)]


# ---- CSV


@pytest.mark.parametrize(("said", "mark"), [("tab", "\t"), ("\\t", "\t"), (";", ";"), ("|", "|")])
def test_a_tab_is_a_separator_by_its_name_too(said: str, mark: str) -> None:
    text = declaration("csv").replace('separator = ";"', f'separator = "{said}"')
    assert form_of(text).separator == mark


def test_what_separates_is_told_by_words_that_can_be_read() -> None:
    [told] = faults(declaration("csv").replace('separator = ";"', 'separator = "#"'))
    assert "one of ,, ;, tab, |" in told


# ---- words


def test_the_member_of_a_time_is_one_text_and_a_list_is_told() -> None:
    found: list[str] = []
    table = tomllib.loads(declaration("json").replace('find = "Call/at" }', 'find = ["Call/at"] }', 1))
    datasets.dataset(FileTable("file", table["datasets"][0], found), "telecom", "")
    assert any("time.find" in each and "as a text" in each for each in found)
    form, own = owned.read(table)
    assert form is not None
    list(registry.form_faults(form, own))  # and nothing breaks


# ---- XML


def test_a_namespace_that_xml_does_not_take_is_told() -> None:
    text = declaration("xml").replace("[format.shapes]", '[format.namespaces]\nc = "%"\n[format.shapes]')
    assert any(each.startswith("namespaces.c: write the address") for each in wrong(text))


def test_pages_are_looked_for_where_calls_have_some() -> None:
    """A second kind of answer, without pages, is no fault; with them it is told what to say."""
    more = """[[format.calls]]
name = "single"
dataset = "blurred.calls"
records = "Call"
path = "/lines/{account}/single"
at = "Other.Call"
envelope = "Answer2"
%s
[[format.calls]]"""
    text = declaration("xml").replace("[[format.calls]]", more % "pages = false", 1)
    text = text.replace('Answer = "', 'Answer2 = "Other:Other"\nOther = "Call:Call*"\nAnswer = "', 1)
    assert wrong(text) == []
    assert any("pages = false" in each for each in wrong(text.replace("pages = false", "")))


NIL = b' xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="%b"'


@pytest.mark.parametrize(("said", "nil"), [(b"true", True), (b"1", True), (b"false", False)])
def test_an_element_that_says_it_has_no_value_says_so_to_the_app(said: bytes, nil: bool) -> None:
    text = declaration("xml").replace("made = { keep = 2 }\n", "").replace("round", "round")
    its = planned(text.replace('place"]\n', 'place"]\nstructural = true\n', 1), "blurred.calls", ALL)
    body = document("xml", [one(place="home")]).replace(b"<place>home</place>", b"<place%b></place>" % (NIL % said))
    found = cut(its, "xml", "calls", body)
    assert (b'xsi:nil="true"' in found.body) == nil and b"<place" in found.body and found.counts.records == 1


MONEY = 'Call = "at:s line:s partner:s length:i price:Money @tax:d @note:x place:s"\nMoney = "@currency:s .:n"\n'


@pytest.mark.parametrize("given", [True, False])
def test_that_there_is_no_value_is_told_to_whom_the_value_would_be(given: bool) -> None:
    text = declaration("xml").replace('find = ["Call/line"]', 'find = ["Call/line", "Call/price", "Money/@currency"]')
    text = text.replace('find = ["Call/price"]\nmade = { round = "0.5" }', 'find = ["Money/."]')
    start, end = text.index('Call = "'), text.index('Total = "')
    text = text[:start] + MONEY + text[end:]
    text = text.replace('of = "price"', 'of = "length"')
    its = planned(text, "blurred.calls", ALL if given else [each for each in ALL if each != "about"])
    price = b'<price currency="EUR"%b></price>'
    bodies = [document("xml", [one()]).replace(b"<price>1</price>", price % nil) for nil in (NIL % b"true", b"")]
    nil, empty = (cut(its, "xml", "calls", body).body for body in bodies)
    assert (b"xsi:nil" in nil) == given and b"xsi:nil" not in empty
    assert given or nil == empty


# ---- downloads


def test_a_persons_copy_has_single_records_where_a_type_of_data_has_no_list() -> None:
    text = declaration("json")
    single = text.replace('Answer = "items:Call*', 'Single = "items:Call"\nAnswer = "items:Call*', 1)
    row = '[[format.calls]]\nname = "calls"\n'
    newest = (
        row.replace('calls"', 'newest"')
        + """dataset = "blurred.calls"
records = "Call"
path = "/lines/{account}/newest"
envelope = "Single"
one = true
"""
    )
    assert form_of(text).download == ("calls", "monthly")
    assert form_of(single.replace(row, newest + row, 1)).download == ("calls", "monthly"), (
        "the list, wherever it stands"
    )
    alone = single.replace(row, newest + row, 1).replace(
        'dataset = "blurred.calls"\n', 'dataset = "blurred.newest"\n', 1
    )
    assert set(form_of(alone).download) == {"newest", "calls", "monthly"}
