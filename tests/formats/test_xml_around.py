"""What stands around the records of an XML answer, and how its pages follow: by rules, where it stands; else never."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from xml_documents import ALWAYS, MINE, OTHER, dataset_of, form_of, plan_of, sent_of, streamed

from gateway.formats.drift import Seen
from gateway.formats.model import Asked, Denied, NotThere, UnknownShape
from gateway.ground.calendar.instants import Window

YEAR = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
FORMAT = """
driver = "xml"
[parameters]
since = { as = "from" }
page = { as = "page" }
size = { as = "size", most = 100 }
cursor = { as = "page" }
[[calls]]
name = "rows"
dataset = "rows"
records = "Row"
path = "/lines/{account}/rows"
query = ["since", "page", "size", "cursor"]
[records.Row]
at = "Answer.data.Row"
instant = "when"
[around]
"Answer/@pages" = "only-page"
"Head/from" = "not-before"
"Head/to" = "not-after"
"Head/title" = "same"
"Head/kinds" = "same"
"Head/owner" = "account"
"data/@count" = "only-page"
"Answer/from" = "not-before"
PAGES
[shapes]
Answer = "@pages:i @secret:s head:Head from:s data:data total:i next:Link own:s before:s"
Head = "from:s to:s title:s owner:s secret:s kinds:Kind*"
Kind = "@code:s .:s"
Link = "@href:s"
data = "@count:i Row:Row* total:i"
Row = "when:s text:s"
""".replace('Answer = "@pages', 'Answer = "Answer:Root"\nRoot = "@pages').replace('"Answer/', '"Root/')
LINK = '[pages]\nby = "link"\nat = "Answer.next.@href"\nown = "Answer.own"\nbefore = "Answer.before"\n'
FIELDS = {"when": ["Row/when"], "text": ["Row/text"]}
DATASET = dataset_of("rows", FIELDS, ["when"], "Row/when")
ROWS = "".join(f"<Row><when>2025-0{n}-01T00:00:00Z</when><text>t{n}</text></Row>" for n in range(1, 6))
PATH = f"/lines/{MINE.ref}/rows"


def planned(pages: str = LINK, **how):
    return plan_of(form_of(FORMAT.replace("PAGES", pages)), DATASET, seen=Seen(lambda *_: None), **how)


def document(head: str = "", behind: str = "", root: str = "", data: str = "", rows: str = ROWS) -> bytes:
    return f"<Answer{root}>{head}<data{data}>{rows}</data>{behind}</Answer>".encode()


def cut(body: bytes, plan=None, window=ALWAYS, sent=None, link=""):
    plan = plan or planned()
    sent = sent or sent_of(plan, PATH, window=window)
    found = plan.cut(sent, "application/xml", body, window, link)
    for size in (1, 40):
        if not link:
            assert streamed(plan, sent, body, size, window) == (found.body, found.counts)
    return found


def test_without_a_rule_nothing_leaves():
    head = "<head><secret>SECRET</secret></head>"
    found = cut(document(head, "<total>999</total>", ' secret="SECRET"', rows=f"<total>999</total>{ROWS}")).body
    assert b"SECRET" not in found and b"999" not in found and b"secret" not in found
    assert found.count(b"<Row>") == 5 and b"<head></head>" in found  # a rule stands at members of it


def test_rules_in_the_order_of_the_document():
    head = f"""<head><title>kept {MINE.native}</title><to>2030-01-01</to><from>2020-01-01</from>
    <owner>{MINE.native}</owner>
    <kinds code="a">A</kinds><kinds code="b" odd="SECRET">B</kinds></head><from>2025-03-01T00:00:00Z</from>"""
    found = cut(document(head, root=' pages="1"', data=' count="1"'), window=YEAR).body.decode()
    assert found.partition("\n")[2].startswith(
        f'<Answer pages="1"><head><title>kept {MINE.ref}</title><to>2026-01-01T00:00:00Z</to>'
        f"<from>2025-01-01T00:00:00Z</from><owner>{MINE.ref}</owner>"
        '<kinds code="a">A</kinds><kinds code="b">B</kinds></head>'
        '<from>2025-03-01T00:00:00Z</from><data count="1"><Row>'
    )
    many = cut(document(root=' pages="3"', data=' count="120"')).body
    assert b"pages" not in many and b"count" not in many


@pytest.mark.parametrize("owner", [OTHER.native, "", "999"])
def test_an_answer_of_another_account_is_refused(owner):
    for body in (
        document(f"<head><owner>{owner}</owner></head>"),
        document(behind=f"<head><owner>{owner}</owner></head>"),
    ):
        with pytest.raises(UnknownShape):
            cut(body)


def test_an_answer_that_must_say_whose_it_is_says_so_before_its_records():
    pages = FORMAT.replace("/lines/{account}/rows", "/rows").replace("PAGES", LINK)
    plan = plan_of(form_of(pages), DATASET, seen=None)
    sent = sent_of(plan, "/rows")
    owner = f"<head><owner>{MINE.native}</owner></head>"
    assert plan.cut(sent, "application/xml", document(owner), ALWAYS).counts.records == 5
    for body in (document(), document(behind=owner), document("<head/>"), document(rows="")):
        with pytest.raises(UnknownShape):
            plan.cut(sent, "application/xml", body, ALWAYS)


@pytest.mark.parametrize(
    "body",
    [
        document("<head><title>a</title></head><head><title>b</title></head>"),
        document("<head><title>a</title><title>b</title></head>"),
        document("<head><title><b>a</b></title></head>"),
        document("<head>text</head>"),
        b"<Answer><data></data><data></data></Answer>",
        document(behind="<data/>"),
        b"<Answer></Answer>",
        b"<Answer><other/></Answer>",
        document(behind='<next href="/a?b=1"/><next href="/a?b=2"/>'),
    ],
)
def test_another_shape_around_the_records_is_refused(body):
    with pytest.raises(UnknownShape):
        cut(body)


def token_of(text: str) -> str:
    found = dict(parse_qsl(urlsplit(text).query))
    assert text.startswith(f"https://gw.example/data/shop{PATH}?page_token=") and list(found) == ["page_token"]
    return found["page_token"]


def test_pages_by_links_lead_through_the_gateway():
    plan = planned()
    path = f"/lines/{MINE.native}/rows"
    links = f'<next href="https://shop.example{path}?at=9"/><own>x</own><before>{path}?at=7</before>'
    first = cut(document(behind=links), plan, YEAR)
    text = first.body.decode()
    address = text.partition('<next href="')[2].partition('"')[0].replace("&amp;", "&")
    assert first.following == address and MINE.native not in text and "at=" not in text
    following = plan.request(Asked("GET", PATH, (("page_token", token_of(address)),)), YEAR)
    assert ("at", "9") in following.query and following.continues and following.path == path
    assert f"<own>https://gw.example/data/shop{PATH}</own>" in text
    before = text.partition("<before>")[2].partition("</before>")[0]
    assert ("at", "7") in plan.request(Asked("GET", PATH, (("page_token", token_of(before)),)), YEAR).query
    last = cut(document(behind='<next href=""/><own>x</own>'), plan, sent=following)
    assert last.following == "" and b"<next></next>" in last.body and b"<own>https://gw.example" in last.body
    assert isinstance(plan.request(Asked("GET", PATH, (("page_token", "x" * 40),)), YEAR), Denied)


def test_a_link_that_leads_nowhere_is_told():
    found = cut(document(behind='<next href="https://evil.example/else?at=9"/>'))
    assert found.notice == "next-page-unusable" and found.following == "" and b"evil" not in found.body


def test_pages_by_cursor_numbers_and_header():
    plan = planned('[pages]\nby = "cursor"\nat = "Answer.head.title"\nparameter = "cursor"\n')
    found = cut(document("<head><title>abc=</title></head>"), plan)
    cursor = found.body.decode().partition("<title>")[2].partition("</title>")[0]
    sent = plan.request(Asked("GET", PATH, (("cursor", cursor),)), ALWAYS)
    assert ("cursor", "abc=") in sent.query and found.following.startswith("https://gw.example/")
    assert b"<title>" not in cut(document("<head><title></title></head>"), plan).body

    plan = planned('[pages]\nby = "page"\nparameter = "page"\nsize = "size"\n')
    sent = sent_of(plan, PATH, ("size", "5"))
    full = cut(document(), plan, sent=sent)
    second = plan.request(Asked("GET", PATH, (("page_token", token_of(full.following)),)), ALWAYS)
    assert ("page", "2") in second.query and ("size", "5") in second.query
    assert cut(document(rows=ROWS[: len(ROWS) // 5]), plan, sent=second).following == ""

    plan = planned('[pages]\nby = "link-header"\n')
    header = f'<https://shop.example/lines/{MINE.native}/rows?at=5>; rel="next"'
    address = cut(document(), plan, link=header).following
    assert ("at", "5") in plan.request(Asked("GET", PATH, (("page_token", token_of(address)),)), ALWAYS).query


def test_no_more_records_than_agreed_in_the_order_of_the_document():
    found = cut(document(), planned(most=2))
    assert (
        (found.counts.records, found.counts.records_withheld) == (2, 3)
        and b"t2" in found.body
        and b"t3" not in found.body
    )
    assert cut(document(rows=""), planned()).body.endswith(b"<Answer><data></data></Answer>")


SINGLE = """
driver = "xml"
[[calls]]
name = "one"
dataset = "rows"
records = "Row"
path = "/rows/{id}"
one = true
[records.Row]
at = "e:Row"
account = "line"
instant = "e:when"
[namespaces]
e = "urn:e"
[shapes]
Answer = "e:Row:Row"
Row = "@id:p e:when:s line:s e:text:s"
"""


def test_the_root_may_be_the_record():
    fields = {"own": ["Row/e:when", "Row/line"], "id": ["Row/@id"], "text": ["Row/e:text"]}
    dataset = dataset_of("rows", fields, ["own"], "Row/e:when")
    plan = plan_of(form_of(SINGLE), dataset, ["text"])
    body = '<a:Row xmlns:a="urn:e" id="7"><a:when>{}</a:when><line>{}</line><a:text>SECRET</a:text></a:Row>'
    inside = body.format("2025-05-05", MINE.native).encode()
    sent = sent_of(plan, "/rows/x")
    found = plan.cut(sent, "application/xml", inside, YEAR)
    text = found.body.decode().partition("\n")[2]
    assert text.startswith('<e:Row xmlns:e="urn:e" id="') and text.endswith(
        f'"><e:when>2025-05-05</e:when><line>{MINE.ref}</line></e:Row>'
    )
    assert plan.source.sealer.open(text.partition('id="')[2].partition('"')[0], "id", "shop", "pair") == "7"
    assert streamed(plan, sent, inside, 5, YEAR) == (found.body, found.counts)
    for when, line in (("2024-05-05", MINE.native), ("2025-05-05", OTHER.native)):
        cutter = plan.cutter(sent, "application/xml", YEAR)
        assert cutter.feed(body.format(when, line).encode()) == b""
        with pytest.raises(NotThere):
            cutter.close()


def test_identifiers_become_the_apps_own_and_required_members_get_their_neutral_text():
    text = FORMAT.replace("PAGES", LINK).replace('"when:s text:s"', '"@id:p when:s ids:p* text:s @kind:s last:s"')
    text = text.replace(
        "[shapes]", '[required]\n"Row/text" = { instead = "<none>" }\n"Row/@kind" = { instead = 7 }\n[shapes]'
    )
    dataset = dataset_of("rows", {"when": ["Row/when"], "ids": ["Row/@id", "Row/ids"], "text": ["Row/text"],
                                  "kind": ["Row/@kind"], "last": ["Row/last"]}, ["when"], "Row/when")  # fmt: skip
    row = '<Row id="7" kind="K"><when>2025-05-05</when><ids>8</ids><text>T</text><last>L</last></Row>'
    plan = plan_of(form_of(text), dataset, ["text", "kind"])
    found = cut(document(rows=row * 3 + row.replace("<text>T</text>", "").replace(' kind="K"', "")), plan)
    rows = found.body.decode().partition("<data>")[2].partition("</data>")[0].split("</Row>")[:4]
    assert len(set(rows)) == 1 and found.counts.fields_withheld == 6
    assert 'kind="7"><when>' in rows[0] and rows[0].endswith("</ids><text>&lt;none&gt;</text><last>L</last>")
    plain = plan_of(form_of(text.replace("ids:p*", "ids:p")), dataset, ["text", "kind"])  # read as bytes
    assert cut(document(rows=row * 4), plain).body == cut(document(rows=row * 4), plan).body


@pytest.mark.parametrize(("way", "records"), [("drop_record", 0), ("refuse", None), ("keep", 5)])
def test_what_happens_without_a_required_member(way, records):
    form = form_of(FORMAT.replace("PAGES", LINK).replace("[shapes]", f'[required]\n"Row/text" = "{way}"\n[shapes]'))
    plan = plan_of(form, DATASET, ["text"])
    if records is None:
        assert plan.request(Asked("GET", PATH, ()), ALWAYS).reason == "field"
        return
    found = cut(document(), plan)
    assert found.counts.records == records and b"<text>" not in found.body


def test_a_member_given_only_where_another_says_so():
    text = FORMAT.replace("PAGES", LINK).replace('"when:s text:s"', '"when:s side:s text:s"')
    form = form_of(text.replace("[shapes]", '[only."Row/text"]\nmember = "side"\nis = ["debit"]\n[shapes]'))
    dataset = dataset_of("rows", {**FIELDS, "side": ["Row/side"]}, ["when"], "Row/when")
    row = "<Row><when>2025-05-05</when>{}<text>SECRET</text></Row>"
    debit, credit = row.replace("SECRET", "shown").format("<side>debit</side>"), row.format("<side>credit</side>")
    found = cut(document(rows=(debit + credit + row.format("")) * 3), plan_of(form, dataset))
    assert found.body.count(b"shown") == 3 and b"SECRET" not in found.body and found.counts.fields_withheld == 6
    found = cut(document(rows=(debit + credit) * 3), plan_of(form, dataset, ["side"]))
    assert b"shown" not in found.body and b"SECRET" not in found.body and b"debit" not in found.body  # it would tell
