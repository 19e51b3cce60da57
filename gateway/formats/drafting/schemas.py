"""JSON Schema 2020-12 (and what OpenAPI 3.0 and older drafts write instead), read into nodes.

Every keyword is read, named as what the table cannot enforce, or has no meaning for it. Nothing is fetched.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.formats.drafting import files, guesses
from gateway.formats.drafting.nodes import (
    NOT_ENFORCED,
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

MOST = 40_000  # schemas of one reading
DEEPEST = 60

_NOT_ENFORCED = (  # in the order in which they are told
    "required",
    "enum",
    "const",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "dependentRequired",
    "not",
)
_STRUCTURE = {
    "properties",
    "patternProperties",
    "additionalProperties",
    "items",
    "prefixItems",
    "type",
    "enum",
    "const",
}
_STRUCTURE |= {"allOf", "oneOf", "anyOf", "$ref", "format", "pattern", "then", "else", "additionalItems"}
_FORMATS = {
    "date-time": "instant",
    "date": "date",
    "uuid": "uuid",
    "email": "mail",
    "idn-email": "mail",
    "uri": "address",
    "uri-reference": "address",
    "url": "address",
    "iri": "address",
    "duration": "lasting",
}
_SIMPLE = {"boolean": "b", "integer": "i", "number": "n", "null": UNKNOWN}
_BY_VALUE = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (type(None), "null"))


class Pointer(NamedTuple):
    """A JSON pointer in a file. The file that was named on the command line is not written out."""

    file: Path
    pointer: str
    main: bool = True

    def __str__(self) -> str:
        return f"{'' if self.main else self.file.name}#{self.pointer}"

    def __truediv__(self, step: object) -> "Pointer":
        escaped = str(step).replace("~", "~0").replace("/", "~1")
        return self._replace(pointer=f"{self.pointer}/{escaped}")


class Schemas:
    """Reads the schemas of one document and of files beside it. `say` is told what the table cannot say."""

    def __init__(self, path: Path, document: Any, say: Say) -> None:
        self.root = Pointer(path, "")
        self._documents = {path.resolve(): document}
        self._say = say
        self._known: dict[tuple[Path, str], Node] = {}
        self._open: list[tuple[Path, str]] = []
        self._read = 0

    def node(self, schema: Any, place: Pointer, name: str = "", depth: int = 0) -> Node:
        """Raises Unreadable where there are more schemas than any declaration could hold."""
        self._read += 1
        if self._read > MOST:
            raise Unreadable(f"{place.file}: has more than {MOST} schemas; name a part: --only or --root")
        if schema is True or schema == {}:
            return self._anything(place, "any value")
        if schema is False:
            return PlainValue(UNKNOWN)
        if not isinstance(schema, Mapping):
            return self._anything(place, "no schema stands here")
        if depth > DEEPEST:
            return self._anything(place, f"nested more than {DEEPEST} deep")
        self._tell_unenforced(schema, place)
        parts = [*self._referred(schema, place, depth), *self._all(schema, place, name, depth)]
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        if not parts or _structural(own):
            parts.append(self._own(own, place, name, depth))
        found = parts[0]
        for part in parts[1:]:
            found = both(found, part)
        if isinstance(found, Object) and len(parts) > 1 and name:
            found = Object(name, found.members, found.said)
        return found

    def at(self, reference: str) -> tuple[Any, Pointer]:
        """What `reference` names, from the root. Raises LookupError."""
        return self.look_up(reference, self.root)

    def look_up(self, reference: str, place: Pointer) -> tuple[Any, Pointer]:
        """Raises LookupError with what is in the way."""
        address, _, fragment = reference.partition("#")
        main = place.main
        file = place.file
        if address and address not in self._names(place):
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", address):
                raise LookupError("leads to another address, which is never fetched")
            beside = files.beside(place.file, address)
            if beside is None:
                raise LookupError("names no file in this folder or below")
            main = beside == self.root.file.resolve()
            file = self.root.file if main else beside
        document = self._document(file)
        if fragment and not fragment.startswith("/"):
            return self._anchored(document, fragment, Pointer(file, "", main))
        found, reached = document, Pointer(file, "", main)
        for step in fragment.split("/")[1:]:
            step = _decoded(step)
            found = _step(found, step)
            reached /= step
        return found, reached

    def resolved(self, value: Any, place: Pointer) -> tuple[Any, Pointer]:
        """The same, or what it refers to: for the parts of OpenAPI that are no schemas. Raises LookupError."""
        for _ in range(20):
            if not (isinstance(value, Mapping) and isinstance(value.get("$ref"), str)):
                return value, place
            value, place = self.look_up(value["$ref"], place)
        raise LookupError("refers to itself")

    def _document(self, file: Path) -> Any:
        file = file.resolve()
        if file not in self._documents:
            if len(self._documents) > 200:
                raise LookupError("is one of more than 200 files")
            try:
                self._documents[file] = files.document(file)
            except Unreadable as problem:
                raise LookupError(f"cannot be read ({problem})") from None
        return self._documents[file]

    def _names(self, place: Pointer) -> set[str]:
        document = self._document(place.file)
        named = document.get("$id") or document.get("id") if isinstance(document, Mapping) else None
        return {named.partition("#")[0]} if isinstance(named, str) else set()

    def _anchored(self, document: Any, anchor: str, place: Pointer) -> tuple[Any, Pointer]:
        for value, where in _walk(document, place, set()):
            if value.get("$anchor") == anchor or value.get("$dynamicAnchor") == anchor:
                return value, where
        raise LookupError("names an anchor that is nowhere")

    def _referred(self, schema: Mapping[str, Any], place: Pointer, depth: int) -> Iterator[Node]:
        for keyword in ("$dynamicRef", "$recursiveRef"):
            if keyword in schema:
                yield self._anything(place / keyword, f"{keyword} depends on who reads it")
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        try:
            target, where = self.look_up(reference, place)
        except LookupError as problem:
            yield self._anything(place / "$ref", f"a reference that {problem.args[0]}")
            return
        key = (where.file.resolve(), where.pointer)
        if key in self._open:
            yield self._anything(place / "$ref", "a type that contains itself, cut here")
            return
        if key not in self._known:
            self._open.append(key)
            name = _last(where.pointer) or where.file.stem.partition(".")[0]
            self._known[key] = self.node(target, where, type_name(name), depth + 1)
            self._open.pop()
        yield copied(self._known[key])

    def _all(self, schema: Mapping[str, Any], place: Pointer, name: str, depth: int) -> Iterator[Node]:
        for number, part in enumerate(_list(schema.get("allOf"))):
            if isinstance(part, Mapping) and not _structural(part):
                self._tell_unenforced(part, place / "allOf" / number)
                continue
            yield self.node(part, place / "allOf" / number, name, depth + 1)

    def _own(self, schema: Mapping[str, Any], place: Pointer, name: str, depth: int) -> Node:
        for keyword in ("oneOf", "anyOf"):
            options = [
                (part, place / keyword / number)
                for number, part in enumerate(_list(schema.get(keyword)))
                if not isinstance(part, Mapping) or _structural(part)
            ]
            if options:
                rest = {key: value for key, value in schema.items() if key != keyword}
                found = self._one_of(options, place / keyword, name, depth, "discriminator" in schema)
                return both(found, self._own(rest, place, name, depth)) if _structural(rest) else found
        kinds = _kinds(schema)
        known = [kind for kind in kinds if kind != "null"]
        if not known:
            return PlainValue(UNKNOWN) if kinds else self._anything(place, "any value: no type is said")
        found = self._of_kind(known[0], schema, place, name, depth)
        for kind in known[1:]:
            other = self._of_kind(kind, schema, place, name, depth)
            found = either(found, other, lambda what: self._mixed(place / "type", what))
        return found

    def _of_kind(self, kind: str, schema: Mapping[str, Any], place: Pointer, name: str, depth: int) -> Node:
        if kind == "object":
            return self._object(schema, place, name, depth)
        if kind == "array":
            return self._array(schema, place, name, depth)
        if kind == "string":
            return _string(schema, _last(place.pointer))
        if kind not in _SIMPLE:
            return self._anything(place / "type", "a type that JSON Schema does not have")
        return PlainValue(_SIMPLE[kind], _kind_of_number(kind, _last(place.pointer)))

    def _object(self, schema: Mapping[str, Any], place: Pointer, name: str, depth: int) -> Node:
        name = name or type_name(_last(place.pointer) or "Record")
        found = Object(name, said=_said(schema))
        for key, part in _mapping(schema.get("properties")).items():
            node = self.node(part, place / "properties" / key, type_name(str(key)), depth + 1)
            found.members[str(key)] = Member(copied(node), _said(part) or getattr(inner(node), "said", ""))
        for keyword in ("then", "else"):
            if isinstance(part := schema.get(keyword), Mapping) and _structural(part):
                other = self.node({"type": "object", **part}, place / keyword, name, depth + 1)
                self._say(
                    Remark(str(place / keyword), "a shape that depends on values", "the table holds both together")
                )
                if isinstance(other, Object):
                    found = Object(name, {**other.members, **found.members}, found.said)
        others = [
            (part, place / "patternProperties" / key) for key, part in _mapping(schema.get("patternProperties")).items()
        ]
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and more:
            others.append((more, place / "additionalProperties"))
        if not others and found.members:
            return found
        if not others:
            if more is False:
                return PlainValue(UNKNOWN)
            return self._anything(place, "an object whose members the schema does not name")
        if found.members:
            self._say(
                Remark(
                    str(others[0][1]),
                    "members of any name beside named ones",
                    "the named ones are in the table and others never leave; `j` in place of the type gives all whole",
                )
            )
            return found
        return Keyed(copied(self._either(others, place, name, depth)))

    def _array(self, schema: Mapping[str, Any], place: Pointer, name: str, depth: int) -> Node:
        parts = [
            (part, place / keyword / number)
            for keyword in ("prefixItems", "items")
            for number, part in enumerate(_list(schema.get(keyword)))
        ]
        if isinstance(more := schema.get("items", schema.get("additionalItems")), Mapping):
            parts.append((more, place / "items"))
        if not parts:
            return self._anything(place, "a list of which the schema does not say what is in it")
        of = self._either(parts, place, singular(name), depth)
        return of if isinstance(of, PlainValue) and of.word == "j" else Listed(copied(of))

    def _either(self, parts: list[tuple[Any, Pointer]], place: Pointer, name: str, depth: int) -> Node:
        found: Node = PlainValue(UNKNOWN)
        for part, where in parts:
            found = either(found, self.node(part, where, name, depth + 1), lambda what: self._mixed(place, what))
        return found

    def _one_of(
        self, parts: list[tuple[Any, Pointer]], place: Pointer, name: str, depth: int, told_apart: bool
    ) -> Node:
        nodes = [self.node(part, where, name, depth + 1) for part, where in parts]
        nodes = [node for node in nodes if not (isinstance(node, PlainValue) and node.word == UNKNOWN)]
        shapes = {_signature(node) for node in nodes}
        kinds = [inner(node) for node in nodes]
        if len(shapes) > 1 and all(kinds):
            what = "told apart by one member's value" if told_apart else "of which one is meant"
            self._say(
                Remark(
                    str(place),
                    f"{len(shapes)} shapes, {what}",
                    "the table holds the members of all of them in one type; where that gives too much, declare two "
                    "calls, or write `j` to give the value whole",
                )
            )
        found: Node = PlainValue(UNKNOWN)
        for node in nodes:
            found = either(found, node, lambda what: self._mixed(place, what))
        if isinstance(found, Object) and name and len(shapes) > 1:
            found = Object(name, found.members, found.said)
        return found

    def _mixed(self, place: Pointer, what: str) -> None:
        self._say(
            Remark(
                str(place), what, "`j` is written, which gives it whole; or `-` for never; or two calls, one for each"
            )
        )

    def _anything(self, place: Pointer, what: str) -> PlainValue:
        self._say(
            Remark(str(place), what, "`j` is written, which gives it whole; name a type instead, or `-` for never")
        )
        return PlainValue("j")

    def _tell_unenforced(self, schema: Mapping[str, Any], place: Pointer) -> None:
        for keyword in _NOT_ENFORCED:
            if keyword in schema:
                self._say(Remark(str(place), f"{keyword} {NOT_ENFORCED}"))


def _structural(schema: Mapping[str, Any]) -> bool:
    return any(key in schema for key in _STRUCTURE)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    said = schema.get("type")
    if isinstance(said, str):
        return [said]
    if isinstance(said, list):
        return list(dict.fromkeys(str(kind) for kind in said))
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if values:
        found = [kind for value in values for form, kind in _BY_VALUE if isinstance(value, form)][: len(values) * 2]
        return list(dict.fromkeys(found)) or ["object"]
    if schema.keys() & {"properties", "patternProperties", "additionalProperties", "then", "else"}:
        return ["object"]
    if schema.keys() & {"items", "prefixItems"}:
        return ["array"]
    return ["string"] if schema.keys() & {"pattern", "minLength", "maxLength", "format"} else []


def _string(schema: Mapping[str, Any], name: str) -> PlainValue:
    if "enum" in schema or "const" in schema:
        return PlainValue("s", enough=True)
    own = {str(value).lower() for key, value in schema.items() if key.startswith("x-") and isinstance(value, str)}
    kind = _FORMATS.get(str(schema.get("format")), "")
    if not kind and any("datetime" in value for value in own):
        kind = "instant"
    if not kind and any("datestring" in value or value == "date" for value in own):
        kind = "date"
    if kind:
        return PlainValue("s", kind)
    if schema.get("format") == "decimal" or _only_decimals(schema.get("pattern")):
        return PlainValue("d")
    words = guesses.words_of(name)
    if words & {"datetime", "timestamp"} or {"date", "time"} <= words:
        return PlainValue("s", "instant")
    if name.lower().endswith("date"):
        return PlainValue("s", "date")
    kind = guesses.kind_by_name(name)
    return PlainValue("s" if kind or not guesses.says_text(name) else "x", kind)


def _only_decimals(pattern: object) -> bool:
    if not isinstance(pattern, str) or len(pattern) > 200:
        return False
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return bool(compiled.search("12.50")) and not any(compiled.search(text) for text in ("ab", "1a", "1.2.3", "a1", ""))


def _kind_of_number(kind: str, name: str) -> str:
    return "identifier" if kind == "integer" and guesses.says_identifier(name) else ""


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


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _last(pointer: str) -> str:
    steps = [step for step in pointer.split("/") if step not in _STRUCTURE and not step.isdigit()]
    return _decoded(steps[-1]) if steps else ""


def _decoded(step: str) -> str:
    from urllib.parse import unquote

    return unquote(step).replace("~1", "/").replace("~0", "~")


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        for key in (step, int(step) if step.isdigit() and len(step) < 6 else step):  # YAML reads 200: as a number
            if key in value:
                return value[key]
    if isinstance(value, list) and step.isdigit() and len(step) < 6 and int(step) < len(value):
        return value[int(step)]
    raise LookupError("names a place that is not there")


def _walk(value: Any, place: Pointer, seen: set[int]) -> Iterator[tuple[Mapping[str, Any], Pointer]]:
    """Every object once: YAML can name one a million times."""
    if id(value) in seen or place.pointer.count("/") > DEEPEST:
        return
    if isinstance(value, Mapping | list):
        seen.add(id(value))
    if isinstance(value, Mapping):
        yield value, place
        for key, part in value.items():
            yield from _walk(part, place / key, seen)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _walk(part, place / number, seen)


def reading_node(path: Path, root: str, say: Say) -> tuple[Node, str, str]:
    """The node of a JSON Schema, its title, and the pointer at which it begins. Raises Unreadable."""
    document = files.document(path)
    if not isinstance(document, Mapping):
        raise Unreadable(
            f"{path}: is no JSON Schema: a schema is an object; for a list of records write --sample {path}"
        )
    schemas = Schemas(path, document, say)
    if not root and not _structural(document):
        named = [f"#/{key}/{name}" for key in ("$defs", "definitions") for name in _mapping(document.get(key))]
        if any(key in document for key in ("openapi", "swagger")):
            raise Unreadable(f"{path}: is an OpenAPI description; write --openapi {path}")
        if len(named) != 1:
            choice = f"choose the one of an answer: --root '{named[0]}'" if named else "it names no type or member"
            raise Unreadable(f"{path}: says nothing at its root; {choice}")
        root = named[0]
    try:
        schema, place = schemas.at(root if root.startswith("#") or not root else f"#{root}")
    except LookupError as problem:
        raise Unreadable(f"{path}: --root {root}: {problem.args[0]}; write a pointer, as in '#/$defs/Record'") from None
    name = type_name(_last(place.pointer) or "Record")
    return schemas.node(schema, place, name), _said({"title": document.get("title")}), str(place)
