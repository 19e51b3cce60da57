"""The engine: checks a document against a table of the keys it may have.

    Form(
        tables={
            "": {"id": ("id", REQUIRED), "contact": ("table", REQUIRED), "data": ("tables", REQUIRED)},
            "contact": {"privacy": ("mail", REQUIRED)},
            "data[]": {"fields": ("list", REQUIRED)},
        },
        kinds={"id": matches(…), "sector": ("bank", "energy"), …},
    )

The names of the tables are their places in the file: "" is the file itself, "contact" the table under
that key, "data[]" each row of that list.
"""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Fault

REQUIRED: Any = object()  # in place of a default: the key must be there

Check = Callable[[Any], str | None]  # what would be right; None when the value is fine
Kind = Check | Collection[str]  # a function, or simply the list of allowed words
Keys = Mapping[str, tuple[str, Any]]  # key → (kind of its value, default)


@dataclass(frozen=True, slots=True)
class Form:
    """What a document may contain. `tables`: place → its keys. `kinds`: name of a kind → its check."""

    tables: Mapping[str, Keys]
    kinds: Mapping[str, Kind]

    def faults(self, document: Mapping[str, Any]) -> list[Fault]:
        """Every fault of a parsed document: the file's own keys first, then its tables in the order of the keys."""
        return list(self._table("", "", document))

    def filled(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with defaults for the missing keys at the top of the file (not inside its tables)."""
        return {key: document.get(key, absent) for key, (_, absent) in self.tables[""].items()}

    def fits(self, kind: str, value: Any) -> bool:
        return self._wrong(kind, value) is None

    def _table(self, place: str, label: str, table: Mapping[str, Any]) -> Iterator[Fault]:
        known, prefix = self.tables[place], f"{label}." if label else ""
        for key in table:
            if key not in known:
                yield Fault(prefix + key, "is not a key of a declaration", _hint(key, known, "known here: "))
        for key, (kind, absent) in known.items():
            if key in table:
                yield from self._value(prefix + key, kind, table[key])
            elif absent is REQUIRED:
                yield Fault(prefix + key, "is missing", self._wrong(kind, None) or "")
        for key in known:
            yield from self._below(f"{place}.{key}" if place else key, prefix + key, table.get(key))

    def _below(self, place: str, label: str, value: Any) -> Iterator[Fault]:
        if place in self.tables and isinstance(value, dict):
            yield from self._table(place, label, value)
        if f"{place}[]" in self.tables and isinstance(value, list):
            for position, row in enumerate(value):
                if isinstance(row, dict):
                    yield from self._table(f"{place}[]", f"{label}[{position}]", row)

    def _value(self, key: str, kind: str, value: Any) -> Iterator[Fault]:
        check = self.kinds[kind]
        if not callable(check):
            if not isinstance(value, str) or value not in check:
                yield unknown(key, value, check)
        elif wrong := check(value):
            yield Fault(key, "is not right", wrong)

    def _wrong(self, kind: str, value: Any) -> str | None:
        check = self.kinds[kind]
        if callable(check):
            return check(value)
        return None if isinstance(value, str) and value in check else f"one of {', '.join(check)}"


def unknown(key: str, value: Any, known: Collection[str]) -> Fault:
    """The fault for a word that is not allowed. It names the most similar allowed word, or else all of them."""
    return Fault(key, f"{value!r} is not known", _hint(str(value), known, "one of "))


def _hint(word: str, known: Collection[str], else_: str) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"{else_}{', '.join(known) or 'none yet'}"
