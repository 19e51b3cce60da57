"""Where a key stands in the text of a TOML file: `tomllib` does not say.

The text is one that `tomllib` has read, so nothing is checked here. Inline tables, lists of tables and texts of several
lines are followed; a key is named as in a `Fault`: "contact.privacy", "datasets[0].paths", "format.calls.lines.path".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"[ \t]*(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*")
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' r"|'''(?:[^']|'(?!''))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
_OTHER = re.compile(r"[^,\]}#\n]*")  # a number, a date, true or false
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\btnfr])')
_INDEX = re.compile(r"\[([0-9]+)\]| ([0-9]+)(?=[.:]|$)")


@dataclass(slots=True)
class KeyPlace:
    """Of one key: its line, and what stands below it by name or in order. `span`: of its value in the text."""

    line: int
    names: dict[str, "KeyPlace"] = field(default_factory=dict)
    rows: list["KeyPlace"] = field(default_factory=list)
    span: tuple[int, int] = (0, 0)


class Lines:
    """The places of a file. `document`: what `tomllib` made of the text."""

    def __init__(self, text: str, document: Mapping[str, Any]) -> None:
        self._text, self._document, self._at = text, document, 0
        self._line, self._counted = 1, 0
        self._root = KeyPlace(1)
        self._read()

    def line(self, key: str) -> int:
        """Of the key, or of the nearest table around it that is there."""
        return self.place(key).line

    def place(self, key: str) -> KeyPlace:
        return _below(self._document, self._root, key)

    def inside(self, key: str, word: str) -> int:
        """The line of a text's `word:`, where a text of several lines has it, as a line of shapes has its members."""
        start, end = self.place(key).span
        name = re.escape(word)
        found = re.compile(rf'(?:(?<=[\s"])|(?<=\\"))(?:{name}|\\?"{name}\\?"):').search(self._text, start, end)
        return self.line(key) if found is None else self._text.count("\n", 0, found.start()) + 1

    # ---- reading the text once, from its beginning to its end

    def _read(self) -> None:
        table = self._root
        while self._more():
            if self._text.startswith("[[", self._at):
                line = self._here()
                self._at += 2
                *above, last = self._keys()
                found = self._entered(self._root, above, line).names.setdefault(last, KeyPlace(line))
                table = KeyPlace(line)
                found.rows.append(table)
                self._at += 2
            elif self._text.startswith("[", self._at):
                line = self._here()
                self._at += 1
                table = self._entered(self._root, self._keys(), line)
                table.line = line
                self._at += 1
            else:
                self._pair(table)

    def _more(self) -> bool:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _keys(self) -> list[str]:
        found = []
        while (key := _KEY.match(self._text, self._at)) is not None:
            found.append(_plain(key[1]))
            self._at = key.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return found

    def _entered(self, place: KeyPlace, keys: list[str], line: int) -> KeyPlace:
        for key in keys:
            place = place.names.setdefault(key, KeyPlace(line))
            place = place.rows[-1] if place.rows else place
        return place

    def _pair(self, table: KeyPlace) -> None:
        line = self._here()
        before = self._at
        *above, last = self._keys()
        self._at = self._text.index("=", self._at) + 1
        self._entered(table, above, line).names[last] = place = KeyPlace(line)
        self._value(place)
        assert self._at > before, "every pair takes some of the text"

    def _value(self, place: KeyPlace) -> None:
        self._more()
        start = self._at
        if self._text.startswith("[", start):
            self._list(place)
        elif self._text.startswith("{", start):
            self._at += 1
            while self._more() and not self._text.startswith("}", self._at):
                if self._text.startswith(",", self._at):
                    self._at += 1
                else:
                    self._pair(place)
            self._at += 1
        else:
            found = _TEXT.match(self._text, start) or _OTHER.match(self._text, start)
            self._at = found.end() if found else start
        place.span = start, self._at

    def _list(self, place: KeyPlace) -> None:
        self._at += 1
        while self._more() and not self._text.startswith("]", self._at):
            if self._text.startswith(",", self._at):
                self._at += 1
                continue
            row = KeyPlace(self._here())
            place.rows.append(row)
            self._value(row)
        self._at += 1


def _plain(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    plain = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
    if key[0] == '"':
        return _ESCAPE.sub(
            lambda found: chr(int(found[1][1:], 16)) if found[1][0] == "u" else plain.get(found[1], found[1]), key[1:-1]
        )
    return key


# ---- finding the key of a fault


def _below(value: Any, place: KeyPlace, key: str) -> KeyPlace:
    rest = re.sub(r"^[.:] ?", "", key)
    if not rest:
        return place
    found: list[tuple[int, Any, KeyPlace]] = []
    if isinstance(value, dict):
        found += _named(value, place, rest)
        if not found:  # a row of a list in it may be called by its id alone
            for name, inside in value.items():
                if isinstance(inside, list) and name in place.names:
                    found += _called(inside, place.names[name], rest)
    elif isinstance(value, list):
        index = _INDEX.match(key)
        if index is not None:
            at = int(index[1]) if index[1] else int(index[2]) - 1
            if at < min(len(value), len(place.rows)):
                return _below(value[at], place.rows[at], key[index.end() :])
        found += _called(value, place, rest)
    if not found:
        return place
    length, inside, there = max(found, key=lambda each: each[0])
    return _below(inside, there, rest[length:])


def _named(table: Mapping[str, Any], place: KeyPlace, rest: str) -> Iterator[tuple[int, Any, KeyPlace]]:
    for name, inside in table.items():
        if name in place.names and _begins(rest, name):
            yield len(name), inside, place.names[name]


def _called(rows: list[Any], place: KeyPlace, rest: str) -> Iterator[tuple[int, Any, KeyPlace]]:
    for row, there in zip(rows, place.rows, strict=False):
        name = row.get("id", row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str) and name and _begins(rest, name):
            yield len(name), row, there


def _begins(rest: str, name: str) -> bool:
    return rest.startswith(name) and rest[len(name) : len(name) + 1] in ("", ".", ":", "[", " ")
