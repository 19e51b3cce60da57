"""Runs of plain records as bytes: most records of most answers are plain, and none of these becomes a tree.

What a grammar recognises as plain (`xml_grammar`) is given as it says; what it does not is left to Expat and
`xml_writing`, whose text is the same, byte for byte.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gateway.formats.xml_grammar import Grammar, NotPlain, tag_of
from gateway.formats.xml_table import (
    ELEMENT,
    XML,
    Part,
    XmlTable,
    reached,
)
from gateway.formats.xml_writing import names_stand_in, read

if TYPE_CHECKING:
    from gateway.formats.xml_records import XmlRecords

PATIENCE = 64  # records more that are not plain than are, after which no more are tried
LEAST, MOST = 1 << 11, 1 << 16  # bytes that are recognised at once: more where all before were plain
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
_NO_CHARACTER = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")  # U+FFFE and U+FFFF are none of XML


class Plain:
    """Of the records of one table, in a document that binds its prefixes so."""

    def __init__(self, table: XmlTable, prefixes: Mapping[str, str], bindings: Mapping[str, str]) -> None:
        self._table, self._prefixes, self.bindings = table, prefixes, bindings
        self._rename = _renamer(prefixes, {part.tag: part.key for part in _parts(table) if part.place == ELEMENT})
        self.close = f"</{self._tag(table.steps[-1])}>".encode()
        self._made = {False: self._compiled(False)}

    def _tag(self, part: Part) -> str:
        return tag_of(part, self._prefixes)

    def _compiled(self, ampersands: bool) -> Callable[..., Any]:
        """`ampersands`: with references in texts, which makes the grammar slower."""
        return Grammar(self._table, self._prefixes, ampersands).function()

    def run(self, records: "XmlRecords", body: bytes, at: int) -> int:
        """Cut the plain records that stand at a place between two children of their list. Returns where they end."""
        while True:
            end = body.rfind(self.close, at, at + records.window)
            if end < 0:
                end = body.find(self.close, at + records.window - len(self.close))
                if end < 0:
                    return at
            end += len(self.close)
            window = body[at:end]
            done = self._window(records, window)
            at += done
            if done < len(window):
                records.window = LEAST
                return at
            records.window = min(2 * records.window, MOST)

    def _window(self, records: "XmlRecords", window: bytes) -> int:
        if len(window.translate(None, _CONTROLS)) != len(window):
            return 0
        if not window.isascii() and any(each in window for each in _NO_CHARACTER):
            return 0
        ampersands = b"&" in window
        if ampersands not in self._made:
            self._made[ampersands] = self._compiled(ampersands)
        done, count, kept, places, fields, spans = self._made[ampersands](records, window)
        texts = self._without_names(records, kept, places)
        if self._rename is not None:
            texts = [self._rename(text) for text in texts]
        records.take(count, texts, fields, spans)
        return int(done)

    def _without_names(self, records: "XmlRecords", kept: list[bytes], places: list[re.Match[bytes]]) -> list[bytes]:
        """The same where no text names an account; those that may are written the long way."""
        if not kept or not records.names.may_stand_in(read(b"".join(kept))):
            return kept
        again = []
        for text, place in zip(kept, places, strict=True):
            if names_stand_in(records.names, text):
                text = _Renamed(records.rewritten(place[0].strip(), self.bindings))
            again.append(text)
        return again


class _Renamed(bytes):
    """Has the prefixes of the declaration already."""


def plain(table: XmlTable, bindings: Mapping[str, str]) -> Plain | None:
    """None: records of this table have no such grammar in a document that binds its prefixes so."""
    key = frozenset(bindings.items())
    if key not in table.plain:
        if len(table.plain) > 16:
            table.plain.clear()
        try:
            unlike = table.single or table.coarse
            table.plain[key] = None if unlike else Plain(table, _prefixes(table, bindings), bindings)
        except (NotPlain, KeyError):
            table.plain[key] = None
    found: Plain | None = table.plain[key]
    return found


def _parts(table: XmlTable) -> Iterator[Part]:
    yield table.steps[-1]
    for kind in reached([table.record]):
        yield from kind.parts.values()


def _prefixes(table: XmlTable, bindings: Mapping[str, str]) -> dict[str, str]:
    """Namespace → the prefix that the document has for it. Of several the shortest; the others are not plain."""
    bound = {uri: prefix for prefix, uri in sorted(bindings.items(), key=lambda pair: (-len(pair[0]), pair[0])) if uri}
    bound[XML] = "xml"
    if not bindings.get(""):
        bound[""] = ""
    record = table.steps[-1].key.rpartition(" ")[0]
    if record not in bound:
        raise NotPlain
    return bound


def _renamer(prefixes: Mapping[str, str], tags: Mapping[str, str]) -> Callable[[bytes], bytes] | None:
    """A function that puts the declaration's prefixes in place of the document's; None: they are the same."""
    pairs = set()
    for tag, key in tags.items():
        uri = key.rpartition(" ")[0]
        if uri in prefixes:
            pairs.add((prefixes[uri], tag.rpartition(":")[0]))
    changed = {(theirs, ours) for theirs, ours in pairs if theirs != ours}
    if not changed:
        return None
    if len(pairs) == 1:
        theirs, ours = (f"{each}:".encode() if each else b"" for each in changed.pop())

        def rename_all(text: bytes) -> bytes:
            if isinstance(text, _Renamed):
                return text
            text = text.replace(b"</" + theirs, b"\0").replace(b"<" + theirs, b"<" + ours)
            return text.replace(b"\0", b"</" + ours)

        return rename_all
    if any(not theirs or not ours for theirs, ours in changed) or {t for t, _ in changed} & {o for _, o in pairs}:
        raise NotPlain
    steps = [(f"<{mark}{t}:".encode(), f"<{mark}{o}:".encode()) for t, o in sorted(changed) for mark in ("", "/")]

    def rename(text: bytes) -> bytes:
        if isinstance(text, _Renamed):
            return text
        for theirs, ours in steps:
            text = text.replace(theirs, ours)
        return text

    return rename
