"""In XML, too: the person's accounts as the organisation lists them, and her own copy in its own bytes."""

import pytest
from xml_documents import FOREIGN, MINE, OTHER, dataset_of, form_of, source_of

from gateway import exports
from gateway.formats import registry
from gateway.formats.model import UnknownShape

FORMAT = """
driver = "xml"
[parameters]
page = { as = "page" }
[[calls]]
name = "lines"
dataset = "lines"
records = "Line"
path = "/lines"
[[calls]]
name = "account-calls"
dataset = "calls"
records = "Call"
path = "/lines/{account}/calls"
query = ["page"]
[[calls]]
name = "owner"
dataset = "owner"
records = "Owner"
path = "/owner"
one = true
[records.Line]
at = "Lines.Line"
account = "@number"
[records.Call]
at = "Calls.Call"
account = "line"
instant = "when"
[records.Owner]
at = "Owner"
account = "line"
[pages]
by = "link"
at = "Calls.next"
[accounts]
call = "lines"
native = "@number"
label = "alias"
kind = "plan.@code"
closed = { "state" = ["ended"] }
[download]
calls = ["lines", "account-calls", "owner"]
[namespaces]
"" = "urn:calls"
[shapes]
Answer = "Lines:Lines Calls:Calls Owner:Owner"
Lines = "Line:Line*"
Line = "@number:s alias:s state:s plan:Plan"
Plan = "@code:s .:s"
Calls = "Call:Call* next:s"
Call = "when:s line:s partner:s"
Owner = "line:s name:s"
"""
NAMES = ("lines", "calls", "owner")
FORM = form_of(FORMAT)
DATASETS = [
    dataset_of("lines", {"line": ["Line/@number", "Line/alias", "Line/state", "Line/plan"]}, ["line"]),
    dataset_of("calls", {"call": ["Call/when", "Call/line", "Call/partner"]}, ["call"], "Call/when"),
    dataset_of("owner", {"owner": ["Owner/line", "Owner/name"]}, ["owner"]),
]
LINES = f"""<?xml version="1.0"?><l:Lines xmlns:l="urn:calls">
 <l:Line number="{MINE.native}"><l:alias>Mine &amp; ours</l:alias><l:plan code="gold">Gold</l:plan></l:Line>
 <l:Line number='{OTHER.native}'><l:state>ended</l:state><l:more>unheard</l:more></l:Line>
</l:Lines>""".encode()
ROW = '<Call  a=">"><when>{}</when><line>{}</line><!-- kept --><partner/></Call>'
OPEN = '<Calls xmlns="urn:calls">'
PAGES = {
    "": OPEN + ROW.format("2025-01-01T00:00:00Z", MINE.native) + "<Call/><next>?page=2</next></Calls>",
    "2": OPEN + ROW.format("2025-02-01T00:00:00Z", FOREIGN) + "\n<total>3</total><next>?page=3</next></Calls>",
    "3": f'<c:Calls xmlns:c="urn:calls"><c:Call ><c:when>2025-03-01</c:when><c:line>{MINE.native}</c:line></c:Call >'
    "<c:next/></c:Calls>",
}
OWNER = f'<!-- x --><Owner xmlns="urn:calls"><line>{MINE.native}</line><name>Alice</name></Owner>'


def fetch(sent):
    body = {"/lines": LINES.decode(), "/owner": OWNER}.get(sent.path) or PAGES[dict(sent.query).get("page", "")]
    return "application/xml", body.encode(), ""


SOURCE = source_of(FORM, *DATASETS)


def test_the_declaration_has_no_fault():
    assert list(registry.form_faults(FORM, {each.id: each for each in DATASETS})) == []


def test_accounts_as_they_are_listed():
    found = registry.accounts(SOURCE, fetch)
    assert [(each.native, each.label, each.kind, each.available) for each in found] == [
        (MINE.native, "Mine & ours", "gold", True),
        (OTHER.native, f"•••• {OTHER.native[-4:]}", "", False),
    ]


def test_her_own_copy_is_the_organisations_own_bytes_without_what_is_not_hers():
    found = {each.name: each for each in exports.download(SOURCE, fetch, (MINE,))}
    assert list(found) == ["lines.xml", "calls.xml", "calls-2.xml", "owner.xml"]
    assert ROW.format("2025-01-01T00:00:00Z", MINE.native).encode() in found["calls.xml"].body
    assert found["calls.xml"].body.count(b"<Call") == 2 and FOREIGN.encode() not in found["calls.xml"].body
    assert found["calls-2.xml"].body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<c:Calls xmlns:c="urn:calls">\n<c:Call ><c:when>2025-03-01</c:when>'
        b"<c:line>33612345678</c:line></c:Call >\n</c:Calls>\n"
    )
    assert found["lines.xml"].body.count(b"<l:Line ") == 1 and b'number="33612345678"' in found["lines.xml"].body
    assert found["owner.xml"].body.endswith(OWNER.removeprefix("<!-- x -->").encode())
    assert found["calls.xml"].records == 1 and found["calls.xml"].start.year == 2025


def test_a_call_without_records_gives_an_empty_document():
    def nothing(sent):
        return (
            "application/xml",
            b'<Lines xmlns="urn:calls"/>' if sent.path == "/lines" else b'<Calls xmlns="urn:calls"/>',
            "",
        )

    form = form_of(FORMAT.replace('"account-calls", "owner"', '"account-calls"'))
    found = exports.download(source_of(form, *DATASETS), nothing, (MINE,))
    assert [each.body.split(b"\n")[1:] for each in found] == [
        [b'<Lines xmlns="urn:calls">', b"</Lines>", b""],
        [b'<Calls xmlns="urn:calls">', b"</Calls>", b""],
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'<Calls xmlns="urn:calls">',
        b'<Calls xmlns="urn:other"/>',
        b"<!DOCTYPE x><Calls/>",
        b'<Calls xmlns="urn:calls">\xe9</Calls>',
        b'<Calls xmlns="urn:calls"><next>/elsewhere/else</next></Calls>',
        b'<Calls xmlns="urn:calls"><next>?page=1</next></Calls>',
    ],
)
def test_pages_of_another_shape_or_in_a_circle_are_refused(body):
    def wrong(sent):
        return "application/xml", body if sent.path.endswith("/calls") else LINES, ""

    with pytest.raises(UnknownShape):
        exports.download(SOURCE, wrong, (MINE,))
