"""Samples of answers: what was seen is counted by place, and a place becomes a node. No value is kept."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.formats.drafting import columns, files, guesses
from gateway.formats.drafting.nodes import (
    UNKNOWN,
    Keyed,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    inner,
    many,
    singular,
    type_name,
)
from gateway.formats.drafting.reading import AnswerShape, Reading

MOST_KEYS = 400  # of objects at one place; above, they are no names
DEEPEST = 60
_SAFE = 10**18  # integers beyond are numbers kept as written
_BLANKS = re.compile(r"\S\s+\S")
_LONG = 60


class SeenValues:
    """What stood at one place, over all records."""

    __slots__ = ("blank", "count", "integers", "items", "keyed", "kinds", "lengthy", "members", "possible", "spoken")

    def __init__(self) -> None:
        self.count = 0
        self.kinds: set[str] = set()  # b i n s object list
        self.possible: frozenset[str] | None = None  # what all texts here may be
        self.integers: set[str] | None = None  # which epochs all whole numbers here may be
        self.blank = self.lengthy = self.spoken = False
        self.members: dict[str, SeenValues] = {}
        self.items: SeenValues | None = None
        self.keyed: SeenValues | None = None  # objects whose keys are data: what stands under any of them

    def add(self, value: Any, depth: int = 0) -> None:
        """Raises Unreadable for what no table could say."""
        if depth > DEEPEST:
            raise Unreadable(f"is nested more than {DEEPEST} deep; no table can say this")
        if value is None:
            return
        self.count += 1
        if isinstance(value, dict):
            self.kinds.add("object")
            self._add_object(value, depth)
        elif isinstance(value, list):
            self.kinds.add("list")
            for each in value:
                self.items = self.items or SeenValues()
                self.items.add(each, depth + 1)
        elif isinstance(value, str):
            self.kinds.add("s")
            self.add_text(value)
        elif isinstance(value, bool):
            self.kinds.add("b")
        elif isinstance(value, int) and abs(value) < _SAFE:
            self.kinds.add("i")
            found = guesses.epochs(value)
            self.integers = found if self.integers is None else self.integers & found
        else:
            self.kinds.add("n")

    def add_text(self, text: str) -> None:
        stripped = text.strip()
        if not stripped:
            self.blank = True
            return
        self.possible = guesses.kinds(stripped, self.possible)
        self.lengthy |= len(stripped) > _LONG
        self.spoken = self.spoken or len(_BLANKS.findall(stripped)) >= 3 or "\n" in stripped

    def _add_object(self, value: dict[str, Any], depth: int) -> None:
        if self.keyed is None and (any(map(guesses.is_data, value)) or len(self.members | value) > MOST_KEYS):
            self._forget_keys()
        if self.keyed is not None:
            for each in value.values():
                self.keyed.add(each, depth + 1)
            return
        for name, each in value.items():
            self.members.setdefault(name, SeenValues()).add(each, depth + 1)

    def _forget_keys(self) -> None:
        """The keys were data: what stood under all of them is one."""
        self.keyed = SeenValues()
        for each in self.members.values():
            self.keyed.join(each)
        self.members = {}

    def join(self, other: "SeenValues") -> None:
        """As if the other's values had been seen here."""
        self.count += other.count
        self.kinds |= other.kinds
        for name in ("possible", "integers"):
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, its if mine is None else mine if its is None else mine & its)
        self.blank |= other.blank
        self.lengthy |= other.lengthy
        self.spoken |= other.spoken
        if other.items is not None:
            self.items = self.items or SeenValues()
            self.items.join(other.items)
        if other.keyed is not None and self.keyed is None:
            self._forget_keys()
        for name, each in other.members.items():
            target = self.keyed if self.keyed is not None else self.members.setdefault(name, SeenValues())
            target.join(each)
        if other.keyed is not None and self.keyed is not None:
            self.keyed.join(other.keyed)


class Settled:
    """Nodes of what was seen. `text_only`: every value is written as a text (XML, CSV), and numbers are found in it."""

    def __init__(self, notes: list[Remark], *, text_only: bool = False) -> None:
        self._notes, self._text_only = notes, text_only

    def node(self, seen: SeenValues, name: str, place: str) -> Node:
        kinds = seen.kinds
        if not kinds:
            return PlainValue(UNKNOWN)
        if kinds == {"object"}:
            return self._object(seen, name, place)
        if kinds == {"list"}:
            of = self.node(seen.items or SeenValues(), singular(name), f"{place}/*")
            return PlainValue(of.word) if isinstance(of, PlainValue) and of.word in (UNKNOWN, "j") else Listed(of)
        if kinds & {"object", "list"}:
            self._notes.append(
                Remark(
                    place or "/",
                    "values of several kinds (an object or a list here, something else there)",
                    "`j` is written, which gives it whole; or `-` for never; or two calls, one for each",
                )
            )
            return PlainValue("j")
        return self._scalar(seen, name)

    def _scalar(self, seen: SeenValues, name: str) -> PlainValue:
        kinds = seen.kinds
        if kinds == {"s"}:
            return self._text(seen, name)
        if kinds == {"b"}:
            return PlainValue("b")
        if kinds == {"i"}:
            epoch = sorted(seen.integers or ()) if guesses.says_time(name) else []
            return PlainValue("i", epoch[0] if epoch else "identifier" if guesses.says_identifier(name) else "")
        return PlainValue("n" if kinds <= {"i", "n"} else "v")

    def _text(self, seen: SeenValues, name: str) -> PlainValue:
        possible = seen.possible or frozenset()
        kind = guesses.kind_of(name, possible)
        if kind in guesses.TIMES:
            return PlainValue("s", kind)
        if self._text_only and (word := _number_word(possible)):
            if word == "i" and ("digits" in possible or guesses.says_identifier(name)):
                return PlainValue("s", "digits")
            return PlainValue(word)
        if kind == "decimal" and not seen.blank and "integer" not in possible and not self._text_only:
            return PlainValue("d")
        if kind == "decimal":
            kind = guesses.kind_by_name(name)
        spoken = seen.spoken and (seen.lengthy or not guesses.says_code(name))
        free = spoken or (seen.lengthy and kind == "") or (kind in ("", "identifier") and guesses.says_text(name))
        if free and kind not in ("uuid", "iban", "address", "lasting"):
            return PlainValue("x")
        return PlainValue("s", kind)

    def _object(self, seen: SeenValues, name: str, place: str) -> Node:
        if seen.keyed is None and _look_alike(seen):
            seen._forget_keys()
        if seen.keyed is not None:
            self._notes.append(
                Remark(
                    place or "/",
                    "keys that look like data, not like names",
                    "guessed: any key, and none is written here",
                )
            )
            return Keyed(self.node(seen.keyed, singular(name), f"{place}/*"))
        if not seen.members:
            return PlainValue(UNKNOWN)
        members = {key: Member(self.node(each, key, f"{place}/{key}")) for key, each in seen.members.items()}
        return Object(type_name(name), members)


def _number_word(possible: frozenset[str]) -> str:
    if "integer" in possible:
        return "i"
    if "decimal" in possible:
        return "n"
    return "b" if "truth" in possible else ""


def _look_alike(seen: SeenValues) -> bool:
    """Values of one shape under keys that differ from record to record, or are written like names of people."""
    inside = list(seen.members.values())
    often = sum(each.count for each in inside) / max(1, seen.count * len(inside))
    alike = len({frozenset(each.kinds) for each in inside}) == 1
    if alike and len(inside) > 5 and seen.count > 4 and often < 1 / 3:
        return True
    if len(inside) < 2 or any(each.kinds != {"object"} for each in inside):
        return False
    if len({frozenset(each.members) for each in inside}) > 1 or not inside[0].members:
        return False
    spaced = any(" " in key or not key.isascii() for key in seen.members)
    return spaced or often < 1 / 2 or len(inside) > 12


def read(paths: list[Path]) -> Reading:
    """Raises Unreadable."""
    bodies = [(path, files.read(path)) for path in paths]
    drivers = {_driver(path, body) for path, body in bodies}
    if len(drivers) > 1:
        raise Unreadable(
            f"{', '.join(map(str, paths))}: are of several formats ({', '.join(sorted(drivers))}); one at a time"
        )
    return _READERS[drivers.pop()](bodies)


def _driver(path: Path, body: bytes) -> str:
    """The word of `driver`. Raises Unreadable for what is none of them."""
    suffix = path.suffix.lower()
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if suffix == ".csv" or suffix == ".tsv":
        return "csv"
    if start == b"<":
        return "xml"
    if suffix in (".ndjson", ".jsonl"):
        return "ndjson"
    lines = [line for line in body.splitlines() if line.strip()][:2]
    if start not in (b"{", b"[", b'"') and not start.isdigit():
        raise Unreadable(f"{path}: is neither JSON nor XML, nor called .csv; for CSV write --csv {path}")
    if len(lines) == 2 and all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return "ndjson"
    return "json"


_NO_SAMPLES = {  # option → what it is for, and the members by which that is known
    "--openapi": ("an OpenAPI description", {"openapi", "swagger"}),
    "--schema": ("a JSON Schema", {"$schema", "$defs"}),
}


def _json(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("json", seen=True)
    seen = SeenValues()
    for path, body in bodies:
        value = files.json_value(path, body)
        for option, (what, keys) in _NO_SAMPLES.items():
            if isinstance(value, dict) and keys & value.keys():
                raise Unreadable(f"{path}: is {what}; write {option} {path}")
        if not isinstance(value, dict | list):
            raise Unreadable(f"{path}: is one bare value; a record is an object, so give an answer with objects in it")
        if isinstance(value, list) and not any(isinstance(each, dict) for each in value):
            what = "is an empty list" if not value else "is a list of bare values or of lists"
            raise Unreadable(f"{path}: {what}; records are objects, so give an answer that holds at least one")
        _add(path, seen, value)
    if len(seen.kinds) > 1:
        raise Unreadable(f"{bodies[0][0]}: and others are lists here and objects there; draft from one kind at a time")
    return _settled(reading, seen, bodies)


def _ndjson(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("ndjson", seen=True)
    seen = SeenValues()
    for path, body in bodies:
        for number, line in enumerate(files.text(path, body).splitlines(), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                raise Unreadable(f"{path}: line {number} is not JSON; every line holds one record of its own") from None
            if not isinstance(value, dict):
                raise Unreadable(f"{path}: line {number} is no object; every line holds one record of its own")
            _add(path, seen, [value])
    return _settled(reading, seen, bodies)


def _add(path: Path, seen: SeenValues, value: Any) -> None:
    try:
        seen.add(value)
    except Unreadable as problem:
        raise Unreadable(f"{path}: {problem}") from None


def _settled(reading: Reading, seen: SeenValues, bodies: list[tuple[Path, bytes]], **how: bool) -> Reading:
    node = Settled(reading.notes, **how).node(seen, "Record", "")
    if inner(node) is None and not isinstance(node, Keyed):
        raise Unreadable(f"{bodies[0][0]}: has no member with a name; give an answer with records in it")
    reading.answers.append(AnswerShape("records", node))
    records = seen.items.count if seen.items else seen.count
    reading.told.append(f"{reading.driver.upper()}: {_files(bodies)}, {many(records, 'value')} at the outermost place")
    return reading


def _files(bodies: list[tuple[Path, bytes]]) -> str:
    return many(len(bodies), "file")


def _csv(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("csv", seen=True)
    seen, names, line = SeenValues(), list[str](), 1
    for path, body in bodies:
        found = columns.read(path, body)
        if reading.csv and (found.keys, found.names) != (reading.csv, names):
            raise Unreadable(f"{path}: is written otherwise than the file before (separator, encoding or columns)")
        reading.csv, names, line = found.keys, found.names, found.line
        reading.notes += found.notes
        told = columns.number_reader(found.keys["decimal"])
        for row in found.rows:
            _add_row(seen, names, map(told, row))
        if not found.rows:
            _add_row(seen, names, ("" for _ in names))
    members = {
        name: Member(Settled(reading.notes, text_only=True).node(seen.members[name], name, f"/{name}"))
        for name in names
        if name.strip()
    }
    for member in members.values():
        if isinstance(member.node, PlainValue) and member.node.word == UNKNOWN:
            member.node = PlainValue("s")  # a column without a value is a text, and empty
    reading.answers.append(AnswerShape("records", Listed(Object("Record", members))))
    reading.told.append(
        f"CSV: {_files(bodies)}, {len(members)} columns, {many(seen.count, 'record')}, names from line {line}"
    )
    return reading


def _add_row(seen: SeenValues, names: Iterable[str], cells: Iterable[str]) -> None:
    """Not as an object: names of columns are names, whatever they look like."""
    seen.count += 1
    for name, cell in zip(names, cells, strict=False):
        seen.members.setdefault(name, SeenValues()).add(cell or None)


# ---- XML

PARSER: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_XML = "http://www.w3.org/XML/1998/namespace"


def xml_root(path: Path, body: bytes) -> etree._Element:
    """Read without DOCTYPE, entities and network. Raises Unreadable."""
    try:
        root = etree.fromstring(body, etree.XMLParser(**PARSER))
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise Unreadable(f"{path}: is not well-formed XML{place}; correct it, or name another file") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable(f"{path}: begins with a DOCTYPE, which is never read; take that line out")
    return root


class XmlNames:
    """How the names of a document are written in the table: with a prefix for each namespace. `bare`: there are
    elements of no namespace, so none of the namespaces can go without a prefix."""

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare
        self._prefixes: dict[str, str] = {}  # prefix → namespace
        self._used: set[str] = set()

    @property
    def used(self) -> dict[str, str]:
        """The namespaces that names were written with, by prefix."""
        return {prefix: space for prefix, space in self._prefixes.items() if prefix in self._used}

    def learn(self, prefix: str | None, namespace: str) -> str:
        """The prefix for this namespace: the wanted one, if it is free."""
        known = next((prefix for prefix, space in self._prefixes.items() if space == namespace), None)
        if known is not None:
            return known
        wanted = prefix or ("ns" if self._bare else "")
        while wanted in self._prefixes:
            wanted = f"{prefix or 'ns'}{len(self._prefixes)}"
        self._prefixes[wanted] = namespace
        return wanted

    def of(self, tag: str, *, attribute: bool = False) -> str:
        namespace, brace, local = tag[1:].partition("}") if tag[:1] == "{" else ("", "", tag)
        if not brace:
            return local
        if namespace == _XML:
            return f"xml:{local}"
        prefix = self.learn("ns", namespace)
        if attribute and not prefix:  # an attribute without a prefix is of no namespace
            prefix = next(name for name in ("own", "own2", "own3") if self._prefixes.get(name, namespace) == namespace)
            self._prefixes[prefix] = namespace
        self._used.add(prefix)
        return f"{prefix}:{local}" if prefix else local


def _xml(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("xml", seen=True)
    documents = [(path, xml_root(path, body)) for path, body in bodies]
    bare = any(not str(element.tag).startswith("{") for _, root in documents for element in root.iter())
    names, seen, roots = XmlNames(bare=bare), Element(), set[str]()
    for path, root in documents:
        if root.tag == "{http://www.w3.org/2001/XMLSchema}schema":
            raise Unreadable(f"{path}: is an XML Schema; write --xsd {path}")
        for prefix, namespace in root.nsmap.items():
            names.learn(prefix, namespace)
        roots.add(str(root.tag))
        seen.add(root, names)
    if len(roots) > 1:
        raise Unreadable(f"{bodies[0][0]}: and others begin with different elements; draft from one kind at a time")
    local = names.of(roots.pop()).rpartition(":")[2]
    node = seen.node(local, f"/{local}", reading.notes)
    if not isinstance(node, Object):
        raise Unreadable(f"{bodies[0][0]}: has no element inside its root; give an answer with records in it")
    reading.answers.append(AnswerShape("records", node))
    reading.namespaces = names.used
    reading.told.append(f"XML: {_files(bodies)}, read from <{local}>")
    return reading


class Element:
    """What was seen of elements at one place."""

    __slots__ = ("attributes", "children", "count", "many", "mixed", "text")

    def __init__(self) -> None:
        self.count = 0
        self.text = SeenValues()
        self.attributes: dict[str, SeenValues] = {}
        self.children: dict[str, Element] = {}
        self.many: set[str] = set()  # children of which there was more than one
        self.mixed = False

    def add(self, element: etree._Element, names: XmlNames) -> None:
        self.count += 1
        for name, value in element.attrib.items():
            if not str(name).startswith(_INSTANCE):
                self.attributes.setdefault(names.of(str(name), attribute=True), SeenValues()).add(str(value))
        before: set[str] = set()
        for child in element:
            name = names.of(str(child.tag))
            if name in before:
                self.many.add(name)
            before.add(name)
            self.children.setdefault(name, Element()).add(child, names)
            self.mixed |= bool((child.tail or "").strip())
        text = element.text or ""
        if text.strip():
            self.mixed |= bool(before)
            self.text.add(text)

    def node(self, name: str, place: str, notes: list[Remark]) -> Node:
        settled = Settled(notes, text_only=True)
        text = settled.node(self.text, name, place)
        if self.mixed:
            notes.append(Remark(place, "text between elements", "`.:x` is written: it is free text; or `-` for never"))
            text = PlainValue("x")
        if not self.attributes and not self.children:
            return text if self.text.count else PlainValue("s")
        members = {
            f"@{key}": Member(settled.node(seen, key, f"{place}/@{key}")) for key, seen in self.attributes.items()
        }
        for key, child in self.children.items():
            node = child.node(key.rpartition(":")[2], f"{place}/{key}", notes)
            members[key] = Member(Listed(node) if key in self.many else node)
        if self.text.count or not self.children or self.mixed:
            members["."] = Member(text if self.text.count or self.mixed else PlainValue("s"))
        return Object(type_name(name), members)


Reader = Callable[[list[tuple[Path, bytes]]], Reading]
_READERS: dict[str, Reader] = {"json": _json, "ndjson": _ndjson, "csv": _csv, "xml": _xml}


def read_csv(paths: list[Path]) -> Reading:
    """The same for files that are CSV whatever they are called. Raises Unreadable."""
    return _csv([(path, files.read(path)) for path in paths])
