"""Records that are read as bytes: each kind of member, given and withheld, is cut as a tree would be."""

import itertools

import pytest
from xml_documents import ALWAYS, MINE, dataset_of, form_of, plan_of, sent_of

from gateway.formats import xml_plain
from gateway.formats.drift import Seen
from gateway.formats.xml_records import XmlRecords

FORMAT = """
driver = "xml"
[[calls]]
name = "rows"
dataset = "rows"
records = "Row"
path = "/rows"
[records.Row]
at = "Rows.Row"
account = "own.line"
instant = "@when"
[namespaces]
"" = "urn:rows"
[shapes]
Answer = "Rows:Rows"
Rows = "Row:Row*"
Row = "@when:s @a:s own:Own b:s c:s* item:Item* one:Item d:Amount e:i f:x g:p"
Own = "line:s name:s"
Item = "@x:s y:s z:s* inner:Inner"
Inner = "u:s v:s"
Amount = "@currency:s .:d"
"""
MEMBERS = (
    "Row/@a", "Own/name", "Row/b", "Row/c", "Row/item", "Row/one", "Item/@x", "Item/y", "Item/z", "Item/inner",
    "Inner/u", "Inner/v", "Row/d", "Amount/@currency", "Amount/.", "Row/e", "Row/f", "Row/g",
)  # fmt: skip
FORM = form_of(FORMAT)
FIELDS = {"own": ["Row/@when", "Row/own", "Own/line"], **{each: [each] for each in MEMBERS}}
DATASET = dataset_of("rows", FIELDS, ["own"], "Row/@when")
ITEM = '<{0} x="x-{1}">\n <y>y-{1}</y> <z>z-{1}</z><z>zz-{1}</z><inner><u>u-{1}</u><v>v-{1}</v></inner></{0}>'
ROW = f"""
 <Row when="2025-05-05" a="a-text"><own><line>{MINE.native}</line><name>name-text</name></own> <b>b-text</b>
 <c>c1-text</c><c>c2-text</c>{ITEM.format("item", 1)}{ITEM.format("item", 2)}{ITEM.format("one", 3)}
 <d currency="EUR">1.50</d><e>42</e><f>free &amp; text</f><g>g-text</g></Row>"""


def plan(without):
    return plan_of(FORM, DATASET, without, seen=Seen(lambda places, count: None))


def cut(of, body: bytes):
    return of.cut(sent_of(of, "/rows"), "application/xml", body, ALWAYS)


@pytest.mark.parametrize("head", ['<Rows xmlns="urn:rows">', '<q:Rows xmlns:q="urn:rows">'])
def test_every_member_and_every_two_are_withheld_alike_from_bytes_and_from_trees(head, monkeypatch):
    row = ROW if "q:" not in head else ROW.replace("</", "\0").replace("<", "<q:").replace("\0", "</q:")
    body = f"{head}{row * 3}</{head[1:].partition(' ')[0]}>".encode()
    for without in [(), *((each,) for each in MEMBERS), *itertools.combinations(MEMBERS, 2), MEMBERS]:
        of = plan(without)
        found = cut(of, body)
        with monkeypatch.context() as patched:
            patched.setattr(xml_plain, "plain", lambda *_: None)
            assert found == cut(of, body), without
        text = found.body.decode()
        for member, word in {
            "Row/b": "b-text",
            "Row/f": "free",
            "Item/y": "y-",
            "Inner/v": "v-",
            "Row/@a": "a-text",
        }.items():
            assert member not in without or word not in text
        assert "g-text" not in text and MINE.native not in text and found.counts.records == 3


@pytest.mark.parametrize(
    "without", [("Row/item",), ("Row/item", "Row/b", "Row/@a", "Own/name", "Amount/.", "Inner/u"), ()]
)
def test_such_records_never_become_trees(without, monkeypatch):
    trees = []
    monkeypatch.setattr(XmlRecords, "add", lambda self, node: trees.append(node))
    found = cut(plan(without), f'<Rows xmlns="urn:rows">{ROW * 3}</Rows>'.encode())
    assert found.counts.records == 3 and trees == []
