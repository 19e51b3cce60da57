"""Any table, any document, any consent: what leaves in XML is what was agreed, with exactly its text, and nothing else.

The oracle is written apart from the gateway, on xml.etree: it never looks at the gateway's tables or code.
"""

import itertools
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xml_documents import ALWAYS, FOREIGN, MINE, OTHER, dataset_of, form_of, plan_of, sent_of, streamed

from gateway.formats.drift import Seen
from gateway.formats.model import UnknownShape
from gateway.ground.calendar.instants import Window
from tests.torture import many

SPACES = {"": "urn:one", "e": "urn:two"}
START = datetime(2025, 3, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=30))
RECORD = "Row"


@dataclass
class Member:
    name: str  # of shapes, without prefix or mark
    prefix: str
    place: str  # "@" or ""
    word: str
    many: bool = False
    kind: "Type | None" = None

    @property
    def shape(self) -> str:
        mark = f"{self.prefix}:" if self.prefix else ""
        return f"{self.place}{mark}{self.name}"

    @property
    def tag(self) -> str:
        if self.place:
            return f"{{{SPACES[self.prefix]}}}{self.name}" if self.prefix else self.name
        return f"{{{SPACES[self.prefix]}}}{self.name}"


@dataclass
class Type:
    name: str
    members: list[Member] = field(default_factory=list)
    text: str = ""  # the word of `.`

    @property
    def line(self) -> str:
        words = [f"{m.shape}:{m.kind.name if m.kind else m.word}{'*' if m.many else ''}" for m in self.members]
        return " ".join([*words, *([f".:{self.text}"] if self.text else [])])


SCALARS = st.sampled_from(["s", "s", "x", "d", "v", "i", "b", "-"])
PREFIXES = st.sampled_from(["", "", "", "e"])


@st.composite
def types(draw):
    """A type of record with members of all kinds, types inside it included."""
    count = [0]

    def members(depth: int) -> list[Member]:
        found = []
        for _ in range(draw(st.integers(1, 5))):
            count[0] += 1
            name = f"m{count[0]}"
            what = draw(st.sampled_from(["attribute", "scalar", "scalar", "list", "type", "types"]))
            if what in ("type", "types") and depth < 2:
                inner = Type(f"T{count[0]}")
                if draw(st.booleans()):
                    inner.members = members(depth + 1)
                else:
                    inner.text = draw(st.sampled_from("sdx"))
                    inner.members = [Member(f"a{count[0]}", "", "@", "s")] if draw(st.booleans()) else []
                found.append(Member(name, draw(PREFIXES), "", "", what == "types", inner))
            elif what == "attribute":
                found.append(Member(name, draw(PREFIXES), "@", draw(SCALARS)))
            else:
                found.append(Member(name, draw(PREFIXES), "", draw(SCALARS), what == "list"))
        return found

    row = Type(RECORD, members(0))
    at = draw(st.integers(0, len(row.members)))
    row.members[at:at] = [Member("when", "", "", "s"), Member("line", "", "", "s")]
    return row


def all_types(row: Type) -> list[Type]:
    return [row, *(each for m in row.members if m.kind for each in all_types(m.kind))]


TEXTS = st.text(st.sampled_from("abcé &<>\"'\n\t]0"), max_size=6)


class Writer:
    """A document, in one of the many ways in which it can be written. Every text has a mark of its own."""

    def __init__(self, draw, plain: bool) -> None:
        self.draw, self.plain = draw, plain
        self.marks = itertools.count(1)
        # how the document calls the namespaces, which is its own business
        self.own = draw(st.sampled_from([{"": "", "e": "e"}, {"": "z", "e": "y"}, {"": "e", "e": "z"}]))

    def sometimes(self) -> bool:
        return not self.plain and self.draw(st.integers(0, 9)) == 0

    def tag(self, prefix: str, name: str, attribute: bool = False) -> str:
        if attribute and not prefix:
            return name
        own = self.own[prefix]
        if attribute and not own:
            own = "e"
        return f"{own}:{name}" if own else name

    def blank(self) -> str:
        if self.plain:
            return "\n  "
        return self.draw(st.sampled_from(["", "", " ", "\n\t", "<!-- c -->", "<?pi x?>"]))

    def value(self, word: str) -> str:
        if word == "i":
            return str(next(self.marks) + 7000)
        if word == "b":
            return "true"
        tail = "" if self.plain and self.draw(st.integers(0, 3)) else self.draw(TEXTS)
        return f"v{next(self.marks)}v{tail}"

    def text(self, value: str) -> str:
        if self.sometimes() and "]]>" not in value:
            return f"<![CDATA[{value}]]>"
        if self.sometimes() and value:
            return f"&#{ord(value[0])};{escape(value[1:])}"
        if self.sometimes() and len(value) > 1:
            return f"{escape(value[:1])}<!-- in the text -->{escape(value[1:])}"
        return escape(value)

    def attribute(self, tag: str, value: str) -> str:
        return f" {tag}={quoteattr(value) if not self.plain else quoteattr(value, {chr(34): '&quot;'})}"

    def row(self, row: Type, when: str, line: str) -> str:
        return self.element("", RECORD, row, {"when": when, "line": line})

    def element(self, prefix: str, name: str, kind: Type, fixed=None) -> str:
        attributes, inside = "", ""
        for member in kind.members:
            if fixed and member.name in fixed and not member.place:
                value = fixed[member.name]
                inside += self.blank() + self.leaf(member, value) if value is not None else ""
            elif member.place:
                if self.draw(st.integers(0, 3)):
                    attributes += self.attribute(self.tag(member.prefix, member.name, True), self.value(member.word))
            else:
                for _ in range(self.draw(st.integers(0, 3 if member.many else 1))):
                    inside += self.blank() + self.member(member)
        if self.sometimes():
            inside += f"{self.blank()}<{self.tag('e', 'unheard')}>u{next(self.marks)}u</{self.tag('e', 'unheard')}>"
        if self.sometimes():
            attributes += self.attribute("odd", f"u{next(self.marks)}u")
        if self.sometimes():
            attributes += ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="u0u"'
        if kind.text:
            inside = self.text(self.value(kind.text))
        else:
            inside += self.blank()
        tag = self.tag(prefix, name)
        return f"<{tag}{attributes}>{inside}</{tag}>"

    def member(self, member: Member) -> str:
        if member.kind:
            return self.element(member.prefix, member.name, member.kind)
        if self.sometimes():
            tag = self.tag(member.prefix, member.name)
            return f"<{tag}/>"
        return self.leaf(member, self.value(member.word))

    def leaf(self, member: Member, value: str) -> str:
        tag = self.tag(member.prefix, member.name)
        return f"<{tag}>{self.text(value)}</{tag}>"

    def document(self, rows: list[str]) -> bytes:
        names = "".join(
            f' xmlns{":" if self.own[each] else ""}{self.own[each]}="{uri}"' for each, uri in SPACES.items()
        )
        if "e" not in self.own.values():
            names += f' xmlns:e="{SPACES["e"]}"'
        elif self.own == {"": "e", "e": "z"}:
            pass
        root = self.tag("", "Rows")
        body = "".join(self.blank() + row for row in rows)
        return f'<?xml version="1.0"?>\n<{root}{names}>{body}{self.blank()}</{root}>\n'.encode()


# ---- the oracle


def expected(body: bytes, row: Type, given_members: set[tuple[str, str]], window: Window) -> list:
    """The records given, as nested (tag, attributes, content)."""
    found = []
    for record in ET.fromstring(body):
        if record.tag != f"{{{SPACES['']}}}{RECORD}":
            continue
        when, line = record.find(f"{{{SPACES['']}}}when"), record.find(f"{{{SPACES['']}}}line")
        if when is None or not (when.text or "").strip():
            continue
        moment = datetime.fromisoformat(when.text.strip())
        if not window.start <= moment < window.end:
            continue
        if line.text != MINE.native:
            continue
        line.text = MINE.ref
        found.append(pruned(record, row, given_members))
    return found


def pruned(element: ET.Element, kind: Type, allowed: set[tuple[str, str]]):
    attributes = {
        m.tag: element.attrib[m.tag]
        for m in kind.members
        if m.place and m.tag in element.attrib and m.word != "-" and (kind.name, m.shape) in allowed
    }
    if kind.text:
        text = element.text or "" if (kind.name, ".") in allowed else ""
        return element.tag, attributes, text
    by_tag = {m.tag: m for m in kind.members if not m.place}
    content = []
    for child in element:
        member = by_tag.get(child.tag)
        if member is None or member.word == "-" or (kind.name, member.shape) not in allowed:
            continue
        content.append(pruned(child, member.kind, allowed) if member.kind else (child.tag, {}, child.text or ""))
    return element.tag, attributes, content


def parsed(body: bytes) -> list:
    def whole(element: ET.Element):
        assert not (element.tail or "").strip()
        if len(element):
            assert not element.text
            return element.tag, dict(element.attrib), [whole(child) for child in element]
        return element.tag, dict(element.attrib), element.text or ""

    root = ET.fromstring(body)
    assert root.tag == f"{{{SPACES['']}}}Rows" and not root.attrib
    return [whole(child) for child in root]


def without_empty(tree):
    """An element with nothing in it has neither text nor children."""
    tag, attributes, content = tree
    if not content:
        return tag, attributes, ""
    return tag, attributes, [without_empty(each) for each in content] if isinstance(content, list) else content


@st.composite
def cases(draw):
    row = draw(types())
    every = [(t.name, m.shape) for t in all_types(row) for m in t.members if m.word != "-"]
    every += [(t.name, ".") for t in all_types(row) if t.text]
    structural = {(RECORD, "when"), (RECORD, "line")}
    free = [member for member in every if member not in structural]
    granted = {member for member in free if draw(st.booleans())}
    writer = Writer(draw, plain=draw(st.booleans()))
    edges = [START, START - timedelta(seconds=1), START + timedelta(days=30), START + timedelta(days=3)]
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        when = draw(st.sampled_from([*edges, edges[-1], edges[-1]]))
        line = draw(st.sampled_from([MINE.native, MINE.native, MINE.native, OTHER.native, FOREIGN]))
        rows.append(writer.row(row, when.isoformat(), line))
    return row, free, granted, writer.document(rows), writer.own


def world(row: Type, free, own=None):
    shapes = {each.name: each.line for each in all_types(row)}
    shapes["Answer"], shapes["Rows"] = "Rows:Rows", f"{RECORD}:{RECORD}*"
    form = form_of(
        {
            "driver": "xml",
            "calls": [{"name": "rows", "dataset": "rows", "records": RECORD, "path": "/rows"}],
            "records": {RECORD: {"at": f"Rows.{RECORD}", "account": "line", "instant": "when"}},
            "namespaces": SPACES,
            "shapes": shapes,
        }
    )
    fields = {f"f{at}": [f"{kind}/{name}"] for at, (kind, name) in enumerate(free)}
    dataset = dataset_of("rows", {"own": [f"{RECORD}/when", f"{RECORD}/line"], **fields}, ["own"], f"{RECORD}/when")
    return form, dataset, {member: f"f{at}" for at, member in enumerate(free)}


def governed(row: Type, free, granted) -> set[tuple[str, str]]:
    """What is allowed: types none of whose members is in any field are given whole with what they stand in."""
    named = {kind for kind, _ in free} | {RECORD}
    ungoverned = {(t.name, m.shape) for t in all_types(row) for m in t.members if t.name not in named}
    return granted | {(RECORD, "when"), (RECORD, "line")} | ungoverned


@settings(max_examples=many(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.integers(1, 400))
def test_what_leaves_is_what_the_oracle_leaves(case, size):
    row, free, granted, body, _ = case
    form, dataset, names = world(row, free)
    withheld = [names[member] for member in free if member not in granted]
    plan = plan_of(form, dataset, withheld, seen=Seen(lambda *_: None))
    call = sent_of(plan, "/rows", window=WINDOW)
    found = plan.cut(call, "application/xml", body, WINDOW)
    wanted = [without_empty(each) for each in expected(body, row, governed(row, free, granted), WINDOW)]
    assert parsed(found.body) == wanted
    assert found.counts.records == len(wanted)
    for mark in _marks(body) - {mark for each in wanted for mark in _marks_of(each)}:
        assert mark.encode() not in found.body, mark
    assert MINE.native.encode() not in found.body and b"<!--" not in found.body and b"<?pi" not in found.body
    assert streamed(plan, call, body, size, WINDOW) == (found.body, found.counts)


def _marks(body: bytes) -> set[str]:
    import re

    return {each.decode() for each in re.findall(rb"[vu][0-9]+[vu]", body)}


def _marks_of(tree) -> set[str]:
    tag, attributes, content = tree
    found = _marks(" ".join(attributes.values()).encode())
    if isinstance(content, str):
        return found | _marks(content.encode())
    return found | {mark for each in content for mark in _marks_of(each)}


@settings(max_examples=many(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_plain_records_as_bytes_are_the_same_as_records_as_trees(case):
    from gateway.formats import xml_plain

    row, free, granted, body, _ = case
    form, dataset, names = world(row, free)
    withheld = [names[member] for member in free if member not in granted]
    seen = Seen(lambda *_: None)
    plan = plan_of(form, dataset, withheld, seen=seen)
    call = sent_of(plan, "/rows", window=WINDOW)
    as_bytes = plan.cut(call, "application/xml", body, WINDOW)
    patched = pytest.MonkeyPatch()
    with patched.context() as no:
        no.setattr(xml_plain, "plain", lambda *_: None)
        as_trees = plan.cut(call, "application/xml", body, WINDOW)
    assert as_bytes == as_trees


@settings(max_examples=many(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.data())
def test_a_document_that_is_cut_off_or_broken_is_refused(case, data):
    row, free, _, body, _ = case
    form, dataset, _ = world(row, free)
    plan = plan_of(form, dataset, seen=Seen(lambda *_: None))
    call = sent_of(plan, "/rows", window=WINDOW)
    end = data.draw(st.integers(0, len(body.rstrip()) - 1))
    with pytest.raises(UnknownShape):
        plan.cut(call, "application/xml", body[:end], ALWAYS)
