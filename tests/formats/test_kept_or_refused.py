"""A declaration that cannot be kept is refused when it is read, or its answers are: both are right, giving is not."""

import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.catalogue import fields as catalogue
from gateway.catalogue.made import Made
from gateway.formats import paging, registry
from gateway.formats.drift import Seen, told
from gateway.formats.model import Account, Asked, Cut, Denied, Granted, NotThere, Plan, Source, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer
from gateway.organisations import declare, owned

MINE, SECOND = Account("+33600000001", "ref-mine"), Account("+33600000002", "ref-second")
OTHERS = "+33600000003"  # hers, not granted
YEAR = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
AT = "2026-11-01T10:00:00Z"
CALL = """
[[format.calls]]
name = "calls"
dataset = "t.recs"
records = "Rec"
path = "/lines/{account}/calls"
"""
RECORDS = """
[format.records.Rec]
at = "items"
account = "line"
instant = "at"
"""
UNOWNED = '\n[format.records.Rec]\nat = "items"\ninstant = "at"\n'
WORDS = '{ fr = "A", en = "B" }'
Answer = Any


@dataclass
class Declared:
    faults: list[Any]
    plan: Plan | None = None

    def gives(self, answer: Answer, path: str = "/lines/ref-mine/calls", query: str = "", **how: Any) -> bytes:
        """What leaves: nothing where the declaration, the call or the answer is refused. Anything else is a crash."""
        if self.faults or self.plan is None:
            return b""
        found = self.cut(answer, path, query, **how)
        return b"" if found is None else found.body

    def cut(
        self, answer: Answer, path: str, query: str = "", window: Window = YEAR, link: str = "",
        media: str = "application/json",
    ) -> Cut | None:  # fmt: skip
        assert self.plan is not None
        sent = self.plan.request(Asked("GET", path, tuple(parse_qsl(query))), window)
        if isinstance(sent, Denied):
            return None
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            return self.plan.cut(sent, media, body, window, link)
        except (UnknownShape, NotThere):
            return None

    def asks(self, path: str = "/lines/ref-mine/calls", query: str = "") -> Upstream | Denied:
        assert self.plan is not None
        return self.plan.request(Asked("GET", path, tuple(parse_qsl(query))), YEAR)


def declared(
    shapes: str, fields: Mapping[str, list[str]], more: str = "", *, calls: str = CALL, records: str = RECORDS,
    driver: str = "json", time_: str = ', find = "Rec/at"', accounts: tuple[Account, ...] = (MINE,),
    without: str = "",
) -> Declared:  # fmt: skip
    text = 'sector = "telecom"\n[[datasets]]\nid = "t.recs"\ncategory = "communications"\nsensitivity = "sensitive"\n'
    text += f"label = {WORDS}\nshort = {WORDS}\nlong = {WORDS}\naccount = {WORDS}\n"
    text += f'time = {{ fr = "A", en = "B"{time_} }}\n'
    for name, find in fields.items():
        structural = str(name == "always").lower()
        text += f'[[datasets.field]]\nid = "{name}"\nlabel = {WORDS}\nshort = {WORDS}\nstructural = {structural}\n'
        text += f"find = {json.dumps(find)}\n"
    text += f'[format]\ndriver = "{driver}"\n{calls}{records}{more}\n[format.shapes]\n{shapes}\n'
    document = tomllib.loads(text)
    told_of: list[Any] = []
    form, own = owned._read(document, told_of)
    assert form is not None
    told_of += registry.form_faults(form, own)
    if told_of:
        return Declared(told_of)
    source = Source(
        "org", "telecom", "", "Europe/Paris", "https://gw.example/data/org", "https://org.example",
        forms={"": form}, known=own, sealer=Sealer(b"k" * 32), seen=lambda _: Seen(lambda *_: None),
    )  # fmt: skip
    item = Granted("t.recs", frozenset(fields) - {without}, accounts, None, (OTHERS,), pair="app-and-person")
    return Declared([], registry.plan(source, "", [item]))


def rec(**more: Any) -> dict[str, Any]:
    return {"at": AT, "line": MINE.native, **more}


BASE = ["Rec/at", "Rec/line"]


# ---- values that leave


def test_an_identifier_beside_the_records_is_the_apps_own() -> None:
    its = declared('Answer = "items:Rec* holder:p"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Answer/holder" = "same"')  # fmt: skip
    assert b"customer-777" not in its.gives({"items": [], "holder": "customer-777"})


def test_account_numbers_do_not_leave_beside_the_records() -> None:
    its = declared('Answer = "items:Rec* title:s"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Answer/title" = "same"')  # fmt: skip
    given = its.gives({"items": [], "title": f"Calls of {MINE.native} and {OTHERS}"})
    assert MINE.native.encode() not in given and OTHERS.encode() not in given


@pytest.mark.parametrize("driver", ["json", "xml"])
def test_records_in_a_second_list_are_judged_or_do_not_leave(driver: str) -> None:
    shapes = 'Answer = "items:Rec* old:Rec*"\nRec = "at:s line:s"'
    more = '[format.around]\n"Answer/old" = "same"'
    if driver == "json":
        its = declared(shapes, {"always": BASE}, more)
        given = its.gives({"items": [], "old": [{"at": "1999-01-01T00:00:00Z", "line": "+33699999999"}]})
    else:
        its = declared(f'{shapes.replace("Answer", "R")}\nAnswer = "R:R"', {"always": BASE},
                       more.replace("Answer", "R"), driver="xml",
                       records=RECORDS.replace('"items"', '"R.items"'))  # fmt: skip
        text = b"<R><old><at>1999-01-01</at><line>+33699999999</line></old></R>"
        given = its.gives(text, media="application/xml")
    assert b"1999" not in given and b"99999999" not in given


@pytest.mark.parametrize(
    ("word", "value"), [("p{}", {"k": "secret"}), ("p**", [["secret"]]), ("p{}*", [{"k": "secret"}])]
)
def test_identifiers_in_objects_and_lists_of_lists_are_the_apps_own(word: str, value: Any) -> None:
    its = declared(f'Answer = "items:Rec*"\nRec = "at:s line:s who:{word}"', {"always": BASE, "who": ["Rec/who"]})
    assert b'"secret"' not in its.gives({"items": [rec(who=value)]})


@pytest.mark.parametrize("fields", [{"one": ["Rec/reading"]}, {"one": ["Rec/reading", "Raw/value"]}])
def test_a_type_may_be_called_raw(fields: dict[str, list[str]]) -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s line:s reading:Raw"\nRaw = "value:n secret:-"',
                   {"always": BASE, **fields})  # fmt: skip
    given = its.gives({"items": [rec(reading={"value": 1, "secret": "canary", "new": "canary"})]})
    assert b"canary" not in given


@pytest.mark.parametrize("driver", ["json", "xml"])
def test_only_holds_inside_a_record_too_or_is_a_fault(driver: str) -> None:
    shapes = 'Answer = "items:Rec*"\nRec = "at:s line:s party:Party"\nParty = "role:s name:s"'
    only = '[format.only."Party/name"]\nmember = "role"\nis = ["merchant"]'
    fields = {"always": BASE, "party": ["Rec/party", "Party/role", "Party/name"]}
    if driver == "json":
        its = declared(shapes, fields, only)
        given = its.gives({"items": [rec(party={"role": "person", "name": "Bob"})]})
    else:
        its = declared(shapes.replace("Answer =", 'Answer = "R:R"\nR ='), fields, only, driver="xml",
                       records=RECORDS.replace('"items"', '"R.items"'))  # fmt: skip
        party = "<party><role>person</role><name>Bob</name></party>"
        text = f"<R><items><at>{AT}</at><line>{MINE.native}</line>{party}</items></R>"
        given = its.gives(text.encode(), media="application/xml")
    assert b"Bob" not in given


def test_what_must_not_be_there_must_not_be_there_beside_the_records_either() -> None:
    its = declared('Answer = "items:Rec* demo:!"\nRec = "at:s line:s"', {"always": BASE})
    assert its.gives({"items": [rec()], "demo": True}) == b""


@pytest.mark.parametrize("word", ["i", "n", "v", "j"])
def test_an_account_number_does_not_leave_as_a_number(word: str) -> None:
    its = declared(f'Answer = "items:Rec*"\nRec = "at:s line:v other:{word}"', {"always": BASE, "o": ["Rec/other"]},
                   accounts=(Account("33600000001", "ref-mine"),))  # fmt: skip
    assert b"33600000001" not in its.gives({"items": [{"at": AT, "line": 33600000001, "other": 33600000001}]})


def test_an_amount_is_one_where_it_is_declared_and_not_wherever_its_name_stands() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s line:s amount:d more:j tags:s{}"',
                   {"always": BASE, "x": ["Rec/amount", "Rec/more", "Rec/tags"]},
                   accounts=(Account("33600000001", "ref-mine"),))  # fmt: skip
    mine = {"amount": "33600000001"}
    body = {"items": [{"at": AT, "line": "33600000001", "more": mine, "tags": mine}]}
    assert b'"33600000001"' not in its.gives(json.dumps(body, separators=(",", ":")).encode())


# ---- whose it is


@pytest.mark.parametrize("answer", ["", 'answer = { as = "Total", gives = ["count"] }'])
def test_without_the_member_that_says_whose_an_answer_is_nothing_is_given(answer: str) -> None:
    its = declared('Answer = "line:s items:Rec*"\nRec = "at:s"' + ('\nTotal = "count:i"' if answer else ""),
                   {"always": ["Total/count"] if answer else ["Rec/at"]}, '[format.around]\n"Answer/line" = "account"',
                   calls=CALL.replace("/lines/{account}/calls", "/calls") + answer, records=UNOWNED)  # fmt: skip
    assert its.gives({"items": [{"at": AT}]}, "/calls") == b""


def test_an_account_that_the_organisation_is_not_told_of_says_nothing() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s v:s"', {"always": ["Rec/at", "Rec/v"]},
                   calls=CALL + 'asks = "/calls"\n', records=UNOWNED)  # fmt: skip
    assert b"of others" not in its.gives({"items": [{"at": AT, "v": "of others"}]})


POSTED = 'method = "POST"\nasks = "/search"\nbody = { line = "{account}" }\n'


@pytest.mark.parametrize("asks", ['asks = "/calls"\n', POSTED])
def test_what_stands_around_one_accounts_records_is_not_that_of_another(asks: str) -> None:
    its = declared('Answer = "line:s items:Rec*"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Answer/line" = "account"', calls=CALL + asks,
                   accounts=(MINE, SECOND))  # fmt: skip
    answer = {"line": MINE.native, "items": []}
    assert b"ref-mine" in its.gives(answer)
    assert its.gives(answer, "/lines/ref-second/calls") == b""  # as it is for a plan that has not seen the first


def test_pages_of_a_post_go_on() -> None:
    its = declared(
        'Answer = "items:Rec*"\nRec = "at:s line:s"', {"always": BASE},
        '[format.parameters]\npage = { as = "page" }\nsize = { as = "size" }\n'
        '[format.pages]\nby = "page"\nparameter = "page"\nsize = "size"\n',
        calls=CALL + 'method = "POST"\nasks = "/s"\nquery = ["page", "size"]\n'
        'body = { line = "{account}", page = "{page}", size = "{size}" }\n',
    )  # fmt: skip
    query, pages = "page=1&size=1", []
    for _ in range(3):
        sent = its.asks(query=query)
        assert isinstance(sent, Upstream)
        pages.append(json.loads(sent.body)["page"])
        found = its.cut({"items": [rec()]}, "/lines/ref-mine/calls", query)
        assert found is not None
        query = urlsplit(found.following).query
    assert pages == ["1", "2", "3"]


def test_a_next_page_is_of_the_same_account() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s v:s"', {"always": ["Rec/at", "Rec/v"]},
                   '[format.pages]\nby = "link-header"', records=UNOWNED)  # fmt: skip
    link = '<https://org.example/lines/%2B33600000003/calls?x=1>; rel="next"'
    found = its.cut({"items": []}, "/lines/ref-mine/calls", link=link)
    if found is not None and found.following:
        sent = its.asks(query=urlsplit(found.following).query)
        assert isinstance(sent, Upstream) and "33600000003" not in sent.path


# ---- of what time it is


def test_an_app_does_not_choose_away_the_members_that_records_are_judged_by() -> None:
    its = declared(
        'Answer = "items:Rec*"\nRec = "line:s at:s till:s v:s"', {"always": [*BASE, "Rec/till", "Rec/v"]},
        '[format.parameters]\nfields = { as = "fields" }', calls=CALL + 'query = ["fields"]\n',
        records=RECORDS.replace('instant = "at"', 'state = ["at", "till"]'),
    )  # fmt: skip
    old = {"line": MINE.native, "at": "1999-01-01", "till": "2000-01-01", "v": "old"}
    assert b"old" not in its.gives({"items": [old]})
    sent = its.asks(query="fields=line,v")
    assert isinstance(sent, Upstream)
    asked = dict(sent.query)["fields"].split(",")
    assert {"line", "at", "till", "v"} == set(asked), "an organisation answers with what it is asked for"
    answered = {name: old[name] for name in asked}
    assert b"old" not in its.gives({"items": [answered]}, query="fields=line,v")


def test_a_span_of_two_members_has_no_other_length() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "line:s at:s till:s"', {"always": [*BASE, "Rec/till"]},
                   records=RECORDS.replace('instant = "at"', 'span = ["at", "till"]\nlength = 1'))  # fmt: skip
    assert b"2030" not in its.gives({"items": [rec(till="2030-01-01")]})


@pytest.mark.parametrize("ends", ["", "ends = true"])
def test_a_day_with_a_length_is_still_the_whole_day(ends: str) -> None:
    its = declared('Answer = "items:Rec*"\nRec = "line:s at:s"', {"always": BASE},
                   records=RECORDS + f"length = 60\n{ends}\n")  # fmt: skip
    noon = Window(None, datetime(2026, 11, 15, 11, tzinfo=UTC))
    assert b"2026-11-15" not in its.gives({"items": [rec(at="2026-11-15")]}, window=noon)


def test_a_state_that_ends_before_it_begins_is_not_given() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "line:s at:s till:s"', {"always": [*BASE, "Rec/till"]},
                   records=RECORDS.replace('instant = "at"', 'state = ["at", "till"]'))  # fmt: skip
    assert b"ref-mine" not in its.gives({"items": [rec(at="2026-11-01", till="2026-02-01")]})


# ---- crashes and refusals by ordinary answers


@pytest.mark.parametrize("paging_", [[], "", False])
def test_an_empty_object_may_come_as_something_else(paging_: Any) -> None:
    its = declared('Answer = "items:Rec* paging:Paging"\nPaging = "total:i"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Paging/total" = "only-page"')  # fmt: skip
    its.gives({"items": [], "paging": paging_})


def test_a_rule_inside_a_list_beside_the_records_is_kept_or_is_a_fault() -> None:
    its = declared('Answer = "items:Rec* meta:Meta*"\nMeta = "x:s"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Meta/x" = "same"')  # fmt: skip
    its.gives({"items": [], "meta": [{"x": "1"}]})


@pytest.mark.parametrize("moment", ["9999-12-31", "0001-01-01T00:00:00"])
def test_the_ends_of_the_calendar_beside_the_records(moment: str) -> None:
    its = declared('Answer = "items:Rec* to:s from:s"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.around]\n"Answer/to" = "not-after"\n"Answer/from" = "not-before"')  # fmt: skip
    its.gives({"items": [], "to": moment, "from": moment})


def test_a_state_until_the_end_of_the_calendar_is_open() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "line:s at:s till:s"', {"always": [*BASE, "Rec/till"]},
                   records=RECORDS.replace('instant = "at"', 'state = ["at", "till"]'))  # fmt: skip
    assert b"ref-mine" in its.gives({"items": [rec(till="9999-12-31")]})


def test_only_by_a_list_is_a_fault_and_no_crash() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s line:s roles:s* name:s"',
                   {"always": [*BASE, "Rec/roles"], "name": ["Rec/name"]},
                   '[format.only."Rec/name"]\nmember = "roles"\nis = ["x"]')  # fmt: skip
    its.gives({"items": [rec(roles=["a"], name="n")]})


def test_a_parameter_in_the_path_that_an_app_does_not_send_is_no_crash() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s line:s"', {"always": BASE},
                   '[format.parameters]\nkind = { as = "choice", values = ["a"] }',
                   calls=CALL + 'asks = "/cdr/{kind}"\nquery = ["kind"]\n')  # fmt: skip
    its.gives({"items": []})


def test_a_name_with_a_quote_is_a_name_or_a_fault() -> None:
    its = declared('Answer = "items:Rec*"\nRec = \'at:s line:s "a\\"b":s\'', {"always": [*BASE, 'Rec/a"b']})
    its.gives({"items": [rec()]})


def test_of_two_roundings_far_apart_one_says_more() -> None:
    assert Made("round", "100000000000000000000000000000").says_more("round 0.001") is False


def test_a_hostile_link_header_is_read_in_time_in_proportion() -> None:
    began = time.perf_counter()
    paging.of_header("<" * 20_000)
    paging.of_header("<a>;" * 5_000)
    assert time.perf_counter() - began < 0.2


# ---- tokens, drift, and what a declaration may be


def test_a_page_token_does_not_carry_a_parameter_whose_field_is_gone() -> None:
    more = (
        '[format.parameters]\ncursor = { as = "page" }\n'
        'detail = { as = "choice", values = ["full"], needs = "place" }\n'
        '[format.pages]\nby = "cursor"\nat = "next"\nparameter = "cursor"'
    )
    shapes = 'Answer = "next:s items:Rec*"\nRec = "at:s line:s place:s"'
    fields, calls = {"always": BASE, "place": ["Rec/place"]}, CALL + 'query = ["cursor", "detail"]\n'
    before = declared(shapes, fields, more, calls=calls)
    token = json.loads(before.gives({"items": [], "next": "p2"}, query="detail=full"))["next"]
    sent = declared(shapes, fields, more, calls=calls, without="place").asks(query=f"cursor={token}")
    assert isinstance(sent, Denied) or ("detail", "full") not in sent.query


@pytest.mark.parametrize("name", ["alice.martin@example.com", "tel-06-12-34-56-78", "FR-763-000-600-001"])
def test_a_member_that_could_be_data_is_not_told(name: str) -> None:
    assert told(name) == "…"


def test_a_type_of_data_of_its_own_does_not_take_the_place_of_a_shared_one() -> None:
    text = (Path(__file__).parents[1] / "proxy/declared.toml").read_text()
    shadow = tomllib.loads(text.replace('"telecom.calls"', '"health.claims"'))
    assert declare.check(shadow, catalogue.shipped()) != []


# ---- words in a path, which an app writes


def test_a_customer_in_a_path_is_not_the_one_that_an_app_writes() -> None:
    its = declared('Answer = "items:Rec*"\nRec = "at:s"', {"always": ["Rec/at"]}, records=UNOWNED,
                   calls=CALL.replace("/lines/{account}/calls", "/customers/{customer}/calls"))  # fmt: skip
    if not its.faults:
        sent = its.asks("/customers/VICTIM/calls")
        assert isinstance(sent, Denied) or "VICTIM" not in sent.path


@pytest.mark.parametrize(
    ("parameter", "segment"),
    [('since = { as = "from", written = "date" }', "1999-01-01"), ('since = { as = "size", most = 5 }', "500"),
     ('since = { as = "choice", values = ["full"], needs = "place" }', "all")],
)  # fmt: skip
@pytest.mark.parametrize(
    "asks", ['asks = "/cdr?from={since}"', 'method = "POST"\nasks = "/s"\nbody = { from = "{since}" }']
)
def test_a_word_in_a_path_does_not_stand_for_a_parameter_unjudged(parameter: str, segment: str, asks: str) -> None:
    its = declared('Answer = "items:Rec*"\nRec = "line:s place:s"', {"always": ["Rec/line"], "place": ["Rec/place"]},
                   f"[format.parameters]\n{parameter}", time_="", records=RECORDS.replace('instant = "at"', ""),
                   calls=CALL.replace("/calls", "/{since}") + asks)  # fmt: skip
    if not its.faults:
        sent = its.asks(f"/lines/ref-mine/{segment}")
        assert isinstance(sent, Denied) or segment not in repr((sent.query, sent.body))


def test_records_inside_records_are_judged_by_their_own_time_or_are_a_fault() -> None:
    its = declared(
        'Answer = "items:Acc*"\nCalls = "calls:Rec*"\nAcc = "id:s last:Rec*"\nRec = "at:s line:s"',
        {"always": ["Acc/id", "Acc/last", *BASE]},
        records='[format.records.Acc]\nat = "items"\naccount = "id"\n' + RECORDS.replace("items", "calls"),
        calls='[[format.calls]]\nname = "accs"\ndataset = "t.recs"\nrecords = "Acc"\npath = "/accs"\n'
        + CALL + 'envelope = "Calls"\n',
    )  # fmt: skip
    old = {"at": "1999-01-01", "line": "+33699999999"}
    assert b"1999" not in its.gives({"items": [{"id": MINE.native, "last": [old]}]}, "/accs")


def test_an_agreement_to_totals_of_months_is_none_to_totals_of_days() -> None:
    text = (Path(__file__).parents[1] / "proxy/coarser.toml").read_text()
    _, monthly = owned.read(tomllib.loads(text))
    assert text.count('per = "month", of = "price"') == 1
    _, daily = owned.read(tomllib.loads(text.replace('per = "month", of = "price"', 'per = "day", of = "price"')))
    agreed = ["month.which", "month.price", "month.calls"]
    made = monthly["blurred.monthly"].made(agreed)
    assert daily["blurred.monthly"].as_agreed(agreed, made) == []
