"""XML Schema 1.0, read into nodes: attributes as `@name`, the text of an element as `.`.

Includes and imports are followed to files in the folder of the schema and below; nothing else is opened.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import etree

from gateway.formats.drafting import files, guesses
from gateway.formats.drafting.elements import document
from gateway.formats.drafting.namespaces import XS, PrefixNeeded, XmlNames
from gateway.formats.drafting.nodes import (
    MIXED_TEXT,
    NOT_ENFORCED,
    UNKNOWN,
    Keyed,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    copied,
    either,
    type_name,
)
from gateway.formats.drafting.reading import Reading

MOST = 60_000  # particles of one reading
_FILES = 60
_SUBSTITUTES = 30

_SIMPLE = {  # built-in type → word, kind
    "boolean": ("b", ""),
    "decimal": ("n", ""),
    "float": ("n", ""),
    "double": ("n", ""),
    "dateTime": ("s", "instant"),
    "date": ("s", "date"),
    "gYearMonth": ("s", "month"),
    "duration": ("s", "lasting"),
    "anyURI": ("s", "address"),
    "ID": ("s", "identifier"),
    "IDREF": ("s", "identifier"),
}
_SIMPLE |= dict.fromkeys(
    (
        "integer int long short byte nonNegativeInteger positiveInteger nonPositiveInteger negativeInteger "
        "unsignedInt unsignedLong unsignedShort unsignedByte"
    ).split(),
    ("i", ""),
)
_FACETS = "pattern minLength maxLength length minInclusive maxInclusive minExclusive maxExclusive totalDigits".split()
_FACETS += ["fractionDigits", "enumeration"]
_GLOBAL = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")

Tag = str  # {namespace}local


class Xsd:
    """One schema and what it includes. Names of components are looked up by kind and tag."""

    def __init__(self, path: Path, bare: bool) -> None:
        self.notes: list[Remark] = []
        self._bare, self.names = bare, XmlNames(bare=bare)
        self._parts: dict[tuple[str, Tag], etree._Element] = {}
        self._spaces: dict[etree._Element, str] = {}  # root of a file → its target namespace
        self._qualified: dict[etree._Element, tuple[bool, bool]] = {}
        self._substitutes: dict[Tag, list[Tag]] = {}
        self._known: dict[etree._Element, Node] = {}
        self._open: list[etree._Element] = []
        self._loaded: set[tuple[Path, str]] = set()
        self._read = 0
        self.path = path
        self.main = self._load(path, "", [])
        self._index_substitutes()

    # ---- files

    def _load(self, path: Path, namespace: str, referring: list[Path]) -> etree._Element:
        root = files.xml_root(path, files.read(path))
        if root.tag != f"{XS}schema":
            raise Unreadable(
                f"{path}: is no XML Schema (its root is not xs:schema); for an answer write --sample {path}"
            )
        target = root.get("targetNamespace") or namespace
        self._loaded.add((path.resolve(), target))
        self._spaces[root] = target
        self._qualified[root] = (
            root.get("elementFormDefault") == "qualified",
            root.get("attributeFormDefault") == "qualified",
        )
        if target and not referring:
            own = next((prefix for prefix, known in root.nsmap.items() if prefix and known == target), "own")
            self.names.learn(None if self._qualified[root][0] and not self._bare else own, target)
        for prefix, known in root.nsmap.items():
            if prefix and f"{{{known}}}" != XS and known != target:
                self.names.learn(prefix, known)
        for kind in _GLOBAL:
            for part in root.findall(f"{XS}{kind}"):
                self._parts.setdefault((kind, _tag(target, part.get("name"))), part)
        for part in root.iterchildren(f"{XS}include", f"{XS}import", f"{XS}redefine"):
            self._follow(part, path, target, referring)
        return root

    def _follow(self, part: etree._Element, path: Path, target: str, referring: list[Path]) -> None:
        location = part.get("schemaLocation")
        imported = part.tag == f"{XS}import"
        space = part.get("namespace") or "" if imported else target
        if space == "http://www.w3.org/XML/1998/namespace":
            return
        found = files.beside(path, location) if location and "://" not in location else None
        if found is None:
            what = f"{_local(part)} of {location or space}"
            self._note(part, f"{what}: not in this folder, and never fetched", "put the file beside this one")
            return
        if (found.resolve(), space) in self._loaded or len(self._loaded) >= _FILES:
            return
        try:
            self._load(found, "" if imported else target, [*referring, path])
        except Unreadable as problem:
            self._note(part, f"{_local(part)}: {problem}", "put the right file beside this one")

    def _index_substitutes(self) -> None:
        for (kind, tag), part in self._parts.items():
            if kind == "element" and (head := part.get("substitutionGroup")):
                self._substitutes.setdefault(self._resolved(part, head), []).append(tag)

    # ---- where the answers begin

    def start(self, wanted: str) -> tuple[str, Node]:
        """(name as the table writes it, node) of the element that answers begin with. Raises Unreadable."""
        if wanted:
            local = wanted.rpartition(":")[2]
            for kind in ("element", "complexType"):
                for (known, tag), part in self._parts.items():
                    if known == kind and tag.rpartition("}")[2] == local:
                        return self._outermost(kind, tag, part)
            raise Unreadable(f"{self.path}: --root {wanted}: has no such element or type")
        mine = self._spaces[self.main]
        roots = [
            part
            for (kind, _), part in self._parts.items()
            if kind == "element" and part.get("abstract") != "true" and part.getparent() is self.main
        ]
        roots = roots or [
            part
            for (kind, tag), part in self._parts.items()
            if kind == "element" and part.get("abstract") != "true" and tag.startswith(f"{{{mine}}}" if mine else "")
        ]
        if not roots:
            raise Unreadable(f"{self.path}: has no element of its own; name a type of it: --root TYPE")
        used = {
            self._resolved(part, part.get("ref") or "") for part in self.main.iter(f"{XS}element") if part.get("ref")
        }
        outer = [part for part in roots if _tag(mine, part.get("name")) not in used] or roots
        found = [(part, self._element(part)) for part in outer[:40]]
        first, node = max(found, key=lambda pair: _weight(pair[1]))
        if len(outer) > 1:
            others = ", ".join(str(part.get("name")) for part in outer if part is not first)
            self._note(
                self.main,
                f"{len(outer)} elements that an answer may begin with; read: {first.get('name')}",
                f"--root NAME for another: {others[:300]}",
            )
        return self.names.of(_tag(self._space(first), first.get("name"))), node

    def _outermost(self, kind: str, tag: Tag, part: etree._Element) -> tuple[str, Node]:
        if kind == "element":
            return self.names.of(tag), self._element(part)
        local = tag.rpartition("}")[2]
        self._note(
            part,
            f"the type {local} says not in which element it stands",
            "put the name of that element first in `at`, and into the line Answer",
        )
        return self.names.of(tag), self._type(part, local)

    # ---- components

    def _element(self, part: etree._Element) -> Node:
        named = part.get("type")
        for kind in ("complexType", "simpleType"):
            own = part.find(f"{XS}{kind}")
            if own is not None:
                return self._type(own, part.get("name") or "")
        return self._named_type(part, named) if named else self._never(part, "an element without a type")

    def _named_type(self, part: etree._Element, named: str) -> Node:
        tag = self._resolved(part, named)
        if tag.startswith(XS):
            return self._built_in(part, tag.removeprefix(XS))
        for kind in ("complexType", "simpleType"):
            found = self._parts.get((kind, tag))
            if found is not None:
                return self._type(found, tag.rpartition("}")[2])
        return self._never(part, f"the type {named}, which is in no file here")

    def _built_in(self, part: etree._Element, local: str) -> Node:
        if local == "anyType":
            return self._never(part, "any content")
        word, kind = _SIMPLE.get(local, ("s", ""))
        name = part.get("name") or ""
        if word == "s" and not kind and local in ("string", "normalizedString", "token"):
            kind = guesses.kind_by_name(name)
            word = "x" if not kind and guesses.says_text(name) else "s"
        return PlainValue(word, kind)

    def _type(self, part: etree._Element, name: str) -> Node:
        self._count()
        if part in self._open:
            return self._never(part, f"the type {name}, which contains itself, cut here")
        if part not in self._known:
            self._open.append(part)
            make = self._simple if part.tag == f"{XS}simpleType" else self._complex
            self._known[part] = make(part, name)
            self._open.pop()
        return copied(self._known[part])

    def _simple(self, part: etree._Element, name: str) -> Node:
        restricted = part.find(f"{XS}restriction")
        if restricted is None:
            united = part.find(f"{XS}union")
            if united is None:
                return PlainValue("s")  # a list of words in one text
            found: Node = PlainValue(UNKNOWN)
            for named in (united.get("memberTypes") or "").split():
                found = either(found, self._named_type(part, named), lambda _: None, UNKNOWN)
            return found if isinstance(found, PlainValue) and found.word not in (UNKNOWN, "v") else PlainValue("s")
        for facet in _FACETS:
            if (held := restricted.find(f"{XS}{facet}")) is not None:
                self._note(held, f"{facet} {NOT_ENFORCED}", "")
        base = restricted.get("base")
        own = restricted.find(f"{XS}simpleType")
        found = (
            self._named_type(restricted, base)
            if base
            else self._type(own, name)
            if own is not None
            else PlainValue("s")
        )
        if isinstance(found, PlainValue) and restricted.find(f"{XS}enumeration") is not None:
            found.enough, found.kind = True, ""
            found.word = "s" if found.word == "x" else found.word
        return found

    def _complex(self, part: etree._Element, name: str) -> Node:
        found = Object(type_name(name or "Record"), said=_said(part))
        self._content(part, found, part.get("mixed") == "true")
        return found if found.members else PlainValue(UNKNOWN)

    def _content(self, part: etree._Element, found: Object, mixed: bool) -> None:
        simple, complex_ = part.find(f"{XS}simpleContent"), part.find(f"{XS}complexContent")
        for content in (simple, complex_):
            if content is None:
                continue
            mixed |= content.get("mixed") == "true"
            for derived in content.iterchildren(f"{XS}extension", f"{XS}restriction"):
                self._base(derived, found, whole=_local(derived) == "extension" or content is simple)
                self._particles(derived, found, False)
                self._attributes(derived, found)
        self._particles(part, found, False)
        self._attributes(part, found)
        if mixed:
            self._note(part, *MIXED_TEXT)
            found.members["."] = Member(PlainValue("x"))

    def _base(self, derived: etree._Element, found: Object, *, whole: bool) -> None:
        base = derived.get("base")
        if not base or self._resolved(derived, base) == f"{XS}anyType":
            return
        node = self._named_type(derived, base)
        if isinstance(node, Object):
            kept = {key: member for key, member in node.members.items() if whole or key[:1] in "@."}
            found.members |= {key: Member(copied(member.node), member.said) for key, member in kept.items()}
        elif node is not None:
            found.members["."] = Member(node)

    def _particles(self, part: etree._Element, found: Object, many: bool, depth: int = 0) -> None:
        for child in part.iterchildren(
            f"{XS}sequence", f"{XS}choice", f"{XS}all", f"{XS}group", f"{XS}element", f"{XS}any"
        ):
            self._count()
            repeated = many or _repeats(child)
            kind = _local(child)
            if kind == "element":
                self._child(child, found, repeated)
            elif kind == "any":
                self._note(
                    child, "any element", "what is not in the table never leaves; name its elements if some should"
                )
            elif kind == "group":
                held = self._parts.get(("group", self._resolved(child, child.get("ref") or "")))
                if held is not None and depth < 40:
                    self._particles(held, found, repeated, depth + 1)
            else:
                self._particles(child, found, repeated, depth)

    def _child(self, child: etree._Element, found: Object, many: bool) -> None:
        for name, node, said in self._children(child):
            if name in found.members:
                before = found.members[name].node
                node = either(before.of if isinstance(before, Listed) else before, node, self._mixed(child), UNKNOWN)
                many = True
            found.members[name] = Member(Listed(node) if many else node, said)

    def _children(self, child: etree._Element) -> Iterator[tuple[str, Node, str]]:
        reference = child.get("ref")
        if not reference:
            yield self.names.of(self._local_tag(child)), self._element(child), _said(child)
            return
        tag = self._resolved(child, reference)
        part = self._parts.get(("element", tag))
        if part is None:
            self._note(child, f"the element {reference}, which is in no file here", "put its schema beside this one")
            yield self.names.of(tag), PlainValue(UNKNOWN), ""
            return
        if part.get("abstract") != "true":
            yield self.names.of(tag), self._element(part), _said(child) or _said(part)
        for other in self._substitutes.get(tag, [])[:_SUBSTITUTES]:
            yield self.names.of(other), self._element(self._parts["element", other]), ""

    def _local_tag(self, child: etree._Element) -> str:
        """Of what is declared inside another: with the namespace only where the schema says so (XSD 1.0, 3.3.2)."""
        elements, attributes = self._qualified[child.getroottree().getroot()]
        default = attributes if _local(child) == "attribute" else elements
        qualified = child.get("form") == "qualified" if child.get("form") else default
        return _tag(self._space(child) if qualified else "", child.get("name"))

    def _attributes(self, part: etree._Element, found: Object, depth: int = 0) -> None:
        for child in part.iterchildren(f"{XS}attribute", f"{XS}attributeGroup", f"{XS}anyAttribute"):
            self._count()
            kind = _local(child)
            if kind == "anyAttribute":
                self._note(child, "any attribute", "what is not in the table never leaves; name those that should")
            elif kind == "attributeGroup":
                held = self._parts.get(("attributeGroup", self._resolved(child, child.get("ref") or "")))
                if held is not None and depth < 40:
                    self._attributes(held, found, depth + 1)
            elif child.get("use") != "prohibited":
                name, node = self._attribute(child)
                found.members[f"@{name}"] = Member(node, _said(child))

    def _attribute(self, child: etree._Element) -> tuple[str, Node]:
        part: etree._Element | None = child
        if reference := child.get("ref"):
            tag = self._resolved(child, reference)
            part = self._parts.get(("attribute", tag))
        else:
            tag = self._local_tag(child)
        name = self.names.of(tag, attribute=True)
        if part is None:
            return name, PlainValue("s")
        own, named = part.find(f"{XS}simpleType"), part.get("type")
        if own is not None:
            return name, self._type(own, name)
        return name, self._named_type(part, named) if named else PlainValue("s")

    # ---- small things

    def _count(self) -> None:
        self._read += 1
        if self._read > MOST:
            raise Unreadable(f"{self.path}: has more than {MOST} particles; name a part: --root NAME")

    def _space(self, part: etree._Element) -> str:
        return self._spaces[part.getroottree().getroot()]

    def _resolved(self, part: etree._Element, named: str) -> Tag:
        prefix, colon, local = named.rpartition(":")
        space = part.nsmap.get(prefix if colon else None)
        if not colon and space is None:
            space = self._space(part)
        return _tag(space or "", local)

    def _mixed(self, part: etree._Element) -> Callable[[str], None]:
        return lambda what: self._note(part, what, "`-` is written: it is never given")

    def _never(self, part: etree._Element, what: str) -> PlainValue:
        self._note(part, what, "`-` is written: it is never given; name its members in a type if it should be")
        return PlainValue(UNKNOWN)

    def _note(self, part: etree._Element, what: str, instead: str) -> None:
        names = [each.get("name") for each in (part, *part.iterancestors()) if each.get("name")]
        place = "/".join(reversed(names)) or "schema"  # type: ignore[arg-type]
        self.notes.append(Remark(place, what, instead))


def _tag(space: str, local: str | None) -> Tag:
    return f"{{{space}}}{local}" if space else str(local)


def _local(part: etree._Element) -> str:
    return str(part.tag).rpartition("}")[2]


def _repeats(part: etree._Element) -> bool:
    most = part.get("maxOccurs", "1")
    return most == "unbounded" or (most.isdigit() and int(most) > 1)


def _said(part: etree._Element) -> str:
    found = part.find(f"{XS}annotation/{XS}documentation")
    return " ".join("".join(map(str, found.itertext())).split()) if found is not None else ""


def _weight(node: Node) -> int:
    """How much there is, roughly: the root with more in it is the answer."""
    seen: set[int] = set()
    waiting: list[Node] = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Listed | Keyed):
            waiting.append(each.of)
        elif isinstance(each, Object) and id(each) not in seen:
            seen.add(id(each))
            waiting += [member.node for member in each.members.values()]
    return len(seen)


def read(path: Path, root: str) -> Reading:
    """Raises Unreadable."""
    try:
        return _read(Xsd(path, bare=False), path, root)
    except PrefixNeeded:
        return _read(Xsd(path, bare=True), path, root)


def _read(schema: Xsd, path: Path, root: str) -> Reading:
    name, node = schema.start(root)
    if not isinstance(node, Object):
        local = name.rpartition(":")[2]
        raise Unreadable(
            f"{path}: the element {local} has nothing inside; name the one answers begin with: --root NAME"
        )
    reading = Reading("xml", notes=schema.notes, namespaces=schema.names.used)
    told = f"XML Schema, read from the element {name.rpartition(':')[2]}"
    return reading.of_records(document(name, node), told)
