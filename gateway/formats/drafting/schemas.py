"""JSON Schema 2020-12 (and what OpenAPI 3.0 and older drafts write instead), read into nodes.

Every keyword is read, named as what the table cannot enforce, or has no meaning for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gateway.formats.drafting import files
from gateway.formats.drafting.nodes import (
    DEEPEST,
    NOT_ENFORCED,
    SEVERAL_KINDS,
    UNKNOWN,
    Keyed,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Say,
    Unreadable,
    both,
    copied,
    either,
    inner,
    singular,
    type_name,
    within,
)
from gateway.formats.drafting.plain_schemas import Schema, listed, plain, types
from gateway.formats.drafting.reading import Reading
from gateway.formats.drafting.references import Pointer, References, decoded

MOST = 40_000  # schemas of one reading

# in the order in which they are told
_NOT_ENFORCED = (
    "required enum const pattern minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "
    "minItems maxItems uniqueItems contains minProperties maxProperties propertyNames dependentRequired not"
).split()
_STRUCTURE = set(
    "properties patternProperties additionalProperties items prefixItems additionalItems type enum const format "
    "pattern allOf oneOf anyOf $ref then else".split()
)
_ONE_TYPE = (
    "the table holds the members of all of them in one type; where that gives too much, declare two calls, or write "
    "`j` to give the value whole"
)
_OTHERS_NEVER = "the named ones are in the table and others never leave; `j` in place of the type gives all whole"


class Spot(NamedTuple):
    """Where a schema stands, the name of a type that it describes, and how deep it is."""

    place: Pointer
    name: str = ""
    depth: int = 0

    def below(self, *steps: object, name: str | None = None) -> "Spot":
        place = self.place
        for step in steps:
            place /= step
        return Spot(place, self.name if name is None else name, self.depth + 1)


Part = tuple[Any, Spot]


class Schemas:
    """Reads the schemas of one document and of files beside it. `say` is told what the table cannot say."""

    def __init__(self, references: References, say: Say) -> None:
        self.references, self._say = references, say
        self._known: dict[tuple[Path, str], Node] = {}
        self._open: list[tuple[Path, str]] = []
        self._read = 0

    def node(self, schema: Any, at: Spot) -> Node:
        """Raises Unreadable where there are more schemas than any declaration could hold."""
        self._read += 1
        if self._read > MOST:
            raise Unreadable(f"{at.place.file}: has more than {MOST} schemas; name a part: --only or --root")
        if schema is True or schema == {}:
            return self._anything(at.place, "any value")
        if schema is False:
            return PlainValue(UNKNOWN)
        if not isinstance(schema, Mapping):
            return self._anything(at.place, "no schema stands here")
        if at.depth > DEEPEST:
            return self._anything(at.place, f"nested more than {DEEPEST} deep")
        self._tell_unenforced(schema, at.place)
        parts = [*self._referred(schema, at), *self._all(schema, at)]
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        if not parts or _structural(own):
            parts.append(self._own(own, at))
        found = parts[0]
        for part in parts[1:]:
            found = both(found, part)
        return _renamed(found, at.name) if len(parts) > 1 else found

    def _referred(self, schema: Schema, at: Spot) -> Iterator[Node]:
        for keyword in ("$dynamicRef", "$recursiveRef"):
            if keyword in schema:
                yield self._anything(at.place / keyword, f"{keyword} depends on who reads it")
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        try:
            target, where = self.references.look_up(reference, at.place)
        except LookupError as problem:
            yield self._anything(at.place / "$ref", f"a reference that {problem.args[0]}")
            return
        key = (where.file.resolve(), where.pointer)
        if key in self._open:
            instead = "`-` is written, which gives it to nobody; `j` would give it whole"
            self._note(at.place / "$ref", "a type that contains itself, cut here", instead)
            yield PlainValue(UNKNOWN)
            return
        if key not in self._known:
            self._open.append(key)
            name = type_name(_last(where) or where.file.stem.partition(".")[0])
            self._known[key] = self.node(target, Spot(where, name, at.depth + 1))
            self._open.pop()
        yield copied(self._known[key])

    def _all(self, schema: Schema, at: Spot) -> Iterator[Node]:
        for part, below in _parts(schema, at, "allOf"):
            if isinstance(part, Mapping) and not _structural(part):
                self._tell_unenforced(part, below.place)
            else:
                yield self.node(part, below)

    def _own(self, schema: Schema, at: Spot) -> Node:
        for keyword in ("oneOf", "anyOf"):
            options = [
                (part, below)
                for part, below in _parts(schema, at, keyword)
                if not isinstance(part, Mapping) or _structural(part)
            ]
            if options:
                rest = {key: value for key, value in schema.items() if key != keyword}
                found = self._one_of(options, at.place / keyword, at.name, "discriminator" in schema)
                return both(found, self._own(rest, at)) if _structural(rest) else found
        kinds = types(schema)
        known = [kind for kind in kinds if kind != "null"]
        if not known:
            return PlainValue(UNKNOWN) if kinds else self._anything(at.place, "any value: no type is said")
        found = self._of_kind(known[0], schema, at)
        return self._merged((self._of_kind(kind, schema, at) for kind in known[1:]), at.place / "type", found)

    def _of_kind(self, kind: str, schema: Schema, at: Spot) -> Node:
        if kind == "object":
            return self._object(schema, at._replace(name=at.name or type_name(_last(at.place) or "Record")))
        if kind == "array":
            return self._array(schema, at)
        found = plain(kind, schema, _last(at.place))
        return found or self._anything(at.place / "type", "a type that JSON Schema does not have")

    def _object(self, schema: Schema, at: Spot) -> Node:
        found = Object(at.name, said=_said(schema))
        for key, part in _mapping(schema.get("properties")).items():
            node = self.node(part, at.below("properties", key, name=type_name(str(key))))
            found.members[str(key)] = Member(copied(node), _said(part) or getattr(inner(node), "said", ""))
        for keyword in ("then", "else"):
            if isinstance(part := schema.get(keyword), Mapping) and _structural(part):
                other = self.node({"type": "object", **part}, at.below(keyword))
                self._note(at.place / keyword, "a shape that depends on values", "the table holds both together")
                if isinstance(other, Object):
                    found = Object(at.name, {**other.members, **found.members}, found.said)
        others = _of_any_name(schema, at)
        if others and found.members:
            self._note(others[0][1].place, "members of any name beside named ones", _OTHERS_NEVER)
        if found.members:
            return found
        if others:
            return Keyed(copied(self._any_of(others, at.place)))
        if schema.get("additionalProperties") is False:
            return PlainValue(UNKNOWN)
        return self._anything(at.place, "an object whose members the schema does not name")

    def _array(self, schema: Schema, at: Spot) -> Node:
        one = at._replace(name=singular(at.name))
        parts = [*_parts(schema, one, "prefixItems"), *_parts(schema, one, "items")]
        if isinstance(more := schema.get("items", schema.get("additionalItems")), Mapping):
            parts.append((more, one.below("items")))
        if not parts:
            return self._anything(at.place, "a list of which the schema does not say what is in it")
        of = self._any_of(parts, at.place)
        return of if isinstance(of, PlainValue) and of.word == "j" else Listed(copied(of))

    def _any_of(self, parts: list[Part], place: Pointer) -> Node:
        return self._merged((self.node(part, below) for part, below in parts), place)

    def _one_of(self, parts: list[Part], place: Pointer, name: str, told_apart: bool) -> Node:
        nodes = [self.node(part, below) for part, below in parts]
        nodes = [node for node in nodes if not (isinstance(node, PlainValue) and node.word == UNKNOWN)]
        shapes = {_signature(node) for node in nodes}
        if len(shapes) > 1 and all(map(inner, nodes)):
            what = "told apart by one member's value" if told_apart else "of which one is meant"
            self._note(place, f"{len(shapes)} shapes, {what}", _ONE_TYPE)
        found = self._merged(nodes, place)
        return _renamed(found, name) if len(shapes) > 1 else found

    def _merged(self, nodes: Iterable[Node], place: Pointer, found: Node | None = None) -> Node:
        """What admits all of them, and `found`."""
        found = found or PlainValue(UNKNOWN)
        for node in nodes:
            found = either(found, node, partial(self._note, place, instead=SEVERAL_KINDS))
        return found

    def _anything(self, place: Pointer, what: str) -> PlainValue:
        self._note(place, what, "`j` is written, which gives it whole; name a type instead, or `-` for never")
        return PlainValue("j")

    def _tell_unenforced(self, schema: Schema, place: Pointer) -> None:
        for keyword in _NOT_ENFORCED:
            if keyword in schema:
                self._note(place, f"{keyword} {NOT_ENFORCED}")

    def _note(self, place: Pointer, what: str, instead: str = "") -> None:
        self._say(Remark(str(place), what, instead))


def _structural(schema: Schema) -> bool:
    return any(key in schema for key in _STRUCTURE)


def _parts(schema: Schema, at: Spot, keyword: str) -> list[Part]:
    """The schemas that a keyword lists."""
    return [(part, at.below(keyword, number)) for number, part in enumerate(listed(schema.get(keyword)))]


def _of_any_name(schema: Schema, at: Spot) -> list[Part]:
    """The schemas of members that are not named."""
    patterns = _mapping(schema.get("patternProperties"))
    found: list[Part] = [(part, at.below("patternProperties", key)) for key, part in patterns.items()]
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping) and more:
        found.append((more, at.below("additionalProperties")))
    return found


def _renamed(node: Node, name: str) -> Node:
    return Object(name, node.members, node.said) if isinstance(node, Object) and name else node


def _signature(node: Node) -> object:
    found, marks = within(node)
    if isinstance(found, PlainValue):
        return marks, found.word
    assert isinstance(found, Object)
    return marks, frozenset((name, _brief(member.node)) for name, member in found.members.items())


def _brief(node: Node) -> tuple[str, str]:
    found, marks = within(node)
    return marks, found.word if isinstance(found, PlainValue) else " ".join(sorted(getattr(found, "members", ())))


def _said(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return ""
    said = schema.get("description") or schema.get("title") or ""
    return " ".join(said.split()) if isinstance(said, str) else ""


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _last(place: Pointer) -> str:
    """The last step that is a name."""
    steps = [step for step in place.pointer.split("/") if step not in _STRUCTURE and not step.isdigit()]
    return decoded(steps[-1]) if steps else ""


def read(path: Path, root: str) -> Reading:
    """`root`: a pointer to where an answer begins; empty: the document, or the one type that it names. Raises
    Unreadable."""
    document = files.document(path)
    if not isinstance(document, Mapping):
        raise Unreadable(
            f"{path}: is no JSON Schema: a schema is an object; for a list of records write --sample {path}"
        )
    root = root or _beginning(path, document)
    reading = Reading("json", title=_said({"title": document.get("title")}))
    references = References(path, document)
    try:
        schema, place = references.look_up(root if root.startswith("#") or not root else f"#{root}")
    except LookupError as problem:
        raise Unreadable(f"{path}: --root {root}: {problem.args[0]}; write a pointer, as in '#/$defs/Record'") from None
    name = type_name(_last(place) or "Record")
    node = Schemas(references, reading.notes.append).node(schema, Spot(place, name))
    return reading.of_records(node, f"JSON Schema, read from {place if str(place) != '#' else 'its root'}")


def _beginning(path: Path, document: Schema) -> str:
    if _structural(document):
        return ""
    named = [f"#/{key}/{name}" for key in ("$defs", "definitions") for name in _mapping(document.get(key))]
    if any(key in document for key in ("openapi", "swagger")):
        raise Unreadable(f"{path}: is an OpenAPI description; write --openapi {path}")
    if len(named) != 1:
        choice = f"choose the one of an answer: --root '{named[0]}'" if named else "it names no type or member"
        raise Unreadable(f"{path}: says nothing at its root; {choice}")
    return named[0]
