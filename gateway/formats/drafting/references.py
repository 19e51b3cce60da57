"""References: what a pointer, an anchor or the name of a file beside leads to. Nothing is fetched."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from gateway.formats.drafting import files
from gateway.formats.drafting.nodes import DEEPEST, Unreadable

_FILES = 200
_CHAIN = 20  # references that lead to references
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


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


class References:
    """What can be referred to in one document and in the files beside it."""

    def __init__(self, path: Path, document: Any) -> None:
        self.root = Pointer(path, "")
        self._documents = {path.resolve(): document}

    def look_up(self, reference: str, place: Pointer | None = None) -> tuple[Any, Pointer]:
        """What `reference` names where it stands; None: at the root. Raises LookupError with what is in the way."""
        place = place or self.root
        address, _, fragment = reference.partition("#")
        main, file = place.main, place.file
        if address and address not in self._names(place):
            if _ADDRESS.match(address):
                raise LookupError("leads to another address, which is never fetched")
            beside = files.beside(place.file, address)
            if beside is None:
                raise LookupError("names no file in this folder or below")
            main = beside == self.root.file.resolve()
            file = self.root.file if main else beside
        document = self._document(file)
        if fragment and not fragment.startswith("/"):
            return _anchored(document, fragment, Pointer(file, "", main))
        found, reached = document, Pointer(file, "", main)
        for step in map(decoded, fragment.split("/")[1:]):
            found = _step(found, step)
            reached /= step
        return found, reached

    def resolved(self, value: Any, place: Pointer) -> tuple[Any, Pointer]:
        """The same, or what it refers to: for the parts of OpenAPI that are no schemas. Raises LookupError."""
        for _ in range(_CHAIN):
            if not (isinstance(value, Mapping) and isinstance(value.get("$ref"), str)):
                return value, place
            value, place = self.look_up(value["$ref"], place)
        raise LookupError("refers to itself")

    def _document(self, file: Path) -> Any:
        file = file.resolve()
        if file not in self._documents:
            if len(self._documents) > _FILES:
                raise LookupError(f"is one of more than {_FILES} files")
            try:
                self._documents[file] = files.document(file)
            except Unreadable as problem:
                raise LookupError(f"cannot be read ({problem})") from None
        return self._documents[file]

    def _names(self, place: Pointer) -> set[str]:
        document = self._document(place.file)
        named = document.get("$id") or document.get("id") if isinstance(document, Mapping) else None
        return {named.partition("#")[0]} if isinstance(named, str) else set()


def _anchored(document: Any, anchor: str, place: Pointer) -> tuple[Any, Pointer]:
    for value, where in _walk(document, place, set()):
        if anchor in (value.get("$anchor"), value.get("$dynamicAnchor")):
            return value, where
    raise LookupError("names an anchor that is nowhere")


def decoded(step: str) -> str:
    """A step of a pointer, as it stands in the document."""
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
