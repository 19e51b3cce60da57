"""Numbers of JSON beyond whatever Python reads: one that nobody asked for stops nothing, one that leads is refused."""

import io
import json
import tomllib
from dataclasses import replace

import pytest
from msgspec import Raw

from gateway.formats import everything, filed, json_values
from gateway.formats.fhir import contained
from gateway.formats.model import FoundAccount, Source, UnknownShape, Upstream
from gateway.organisations import owned
from tests.formats.flat_calls import FIELDS, MINE, cut, declaration, document, exact, one, planned

HUGE = ["1e400", "-1E+400", "1" * 5000, "[1e400]", '{"a": [-1e400, ' + "9" * 5000 + "]}"]
PAGES = """
[format.around]
"Paging/pages" = "only-page"
"Paging/since" = "not-before"
"Paging/until" = "not-after"
"""


def paged(more: str = "") -> str:
    text = exact().replace("next:s owner:s", "paging:Paging", 1).replace('at = "next"', 'at = "paging.next"', 1)
    paging = 'Paging = "next:s pages:i since:s until:s rest:-"\n'
    return text.replace("[format.shapes]\n", f"{more}[format.shapes]\n{paging}", 1)


def beside(paging: str, more: str = "") -> bytes:
    body = document("json", [one()])[:-1] + b',"paging":{%b}}' % paging.encode()
    given = ', "Paging/pages", "Paging/since", "Paging/until"' if more else ""
    text = paged(more).replace('find = ["Call/line"]', f'find = ["Call/line"{given}]', 1)
    return cut(planned(text, "blurred.calls", FIELDS, heard=True), "json", "calls", body).body


@pytest.mark.parametrize("number", HUGE)
def test_a_number_beyond_all_others_is_there(number: str) -> None:
    text = exact().replace("note:x", "note:j", 1)
    body = document("json", [one(note="N")]).replace(b'"N"', number.encode())
    [found] = json.loads(cut(planned(text, "blurred.calls", FIELDS), "json", "calls", body).body)["items"]
    assert found["note"] is True


@pytest.mark.parametrize("value", ["[ ]", "{\n}", '" "', "null"])
def test_what_has_nothing_inside_says_nothing(value: str) -> None:
    text = exact().replace("note:x", "note:j", 1)
    body = document("json", [one(note="N")]).replace(b'"N"', value.encode())
    [found] = json.loads(cut(planned(text, "blurred.calls", FIELDS), "json", "calls", body).body)["items"]
    assert found["note"] is False


@pytest.mark.parametrize("number", HUGE)
def test_a_number_beside_the_next_page_is_withheld(number: str) -> None:
    found = beside(f'"next":"/lines/{MINE.native}/calls?page=2","rest":{number},"unheard":{number}')
    assert b"page_token=" in found and b"rest" not in found


@pytest.mark.parametrize("number", HUGE)
def test_no_such_number_leads_to_a_page(number: str) -> None:
    with pytest.raises(UnknownShape):
        beside(f'"next":{number}')


@pytest.mark.parametrize("number", HUGE[:3])
@pytest.mark.parametrize("member", ["pages", "since", "until"])
def test_where_a_rule_stands_it_is_no_page_and_no_time(member: str, number: str) -> None:
    assert json.loads(beside(f'"{member}":{number}', PAGES))["paging"] == {}


@pytest.mark.parametrize("number", HUGE)
def test_it_names_no_account(number: str) -> None:
    text = exact().replace("[format.shapes]", '[format.around]\n"Answer/owner" = "account"\n[format.shapes]', 1)
    text = text.replace('find = ["Call/line"]', 'find = ["Call/line", "Answer/owner"]', 1)
    its, body = planned(text, "blurred.calls", FIELDS), document("json", [one()])[:-1]
    with pytest.raises(UnknownShape, match="owner"):
        cut(its, "json", "calls", body + b',"owner":%b}' % number.encode())


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("member", ["price", "unheard"])
@pytest.mark.parametrize("driver", ["json", "ndjson"])
def test_a_file_with_it_is_taken(driver: str, member: str, number: str) -> None:
    form, _ = owned.read(tomllib.loads(declaration(driver)))
    assert form is not None
    body = document(driver, [one(price=None)]).replace(b'"at"', b'"%b":%b,"at"' % (member.encode(), number.encode()))
    _, [record] = filed.DRIVERS[driver].opened(form, form.calls["calls"], io.BytesIO(body))
    assert filed.identified(record, ("line",)) == MINE.native
    with pytest.raises(filed.BadFile, match="as a text or a whole number"):
        filed.identified(record, (member,))


def listed(line: str) -> list[FoundAccount]:
    text = declaration("json") + 'Lines = "lines:Line*"\nLine = "line:s balance:-"\n'
    accounts = '[format.accounts]\ncall = "lines"\nnative = "line"\n'
    lines = '[[format.calls]]\nname = "lines"\ndataset = "blurred.calls"\nrecords = "Line"\npath = "/lines"\n'
    records = '[format.records.Line]\nat = "lines"\naccount = "line"\n'
    text = text.replace("[format.records.Call]", f"{accounts}{records}[format.records.Call]", 1)
    text = text.replace("[[format.calls]]", f'{lines}envelope = "Lines"\n[[format.calls]]', 1)
    form, own = owned.read(tomllib.loads(text))
    assert form is not None
    source = Source("b", "telecom", "", "Europe/Paris", "https://gw.example", "https://o.example", forms={"": form})

    def fetch(_: Upstream) -> tuple[str, bytes]:
        return "application/json", b'{"lines":[%b]}' % line.encode()

    return everything.accounts(form, replace(source, known=own), fetch)


@pytest.mark.parametrize("number", HUGE)
def test_a_list_of_accounts_with_it_is_read(number: str) -> None:
    assert [each.native for each in listed(f'{{"line":"line-4711","balance":{number}}}')] == ["line-4711"]


@pytest.mark.parametrize("number", HUGE)
def test_no_account_is_called_so(number: str) -> None:
    with pytest.raises(UnknownShape):
        listed(f'{{"line":{number},"balance":1}}')


@pytest.mark.parametrize("number", HUGE[:2])
def test_no_care_giver_is_called_so(number: str) -> None:
    assert contained._spoken(Raw(number.encode())) == ""


@pytest.mark.parametrize("text", [f'[{"1" * 5000}, "\\ud800"]', f"[{'1' * 5000}, NaN]", "[" * 100_000, '"\\ud800"', ""])
def test_what_is_no_json_is_refused_whatever_numbers_stand_before(text: str) -> None:
    with pytest.raises(ValueError):
        json_values.value(text.encode())
