"""Why an answer is refused, in words: the place that the engine names, said with what seems to be the cause."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.catalogue.formats import Format, FormatCall
from gateway.catalogue.shapes import members
from gateway.formats import seeming
from gateway.formats.answering import leading
from gateway.formats.csv_reading import HEADER
from gateway.formats.explaining import undeclared, unlike
from gateway.formats.taking import Taking, TakingTable, TakingXml

_NOT = {
    "json": "it is not JSON", "ndjson": "a line of it is not JSON", "csv": "it is no table", "xml": "it is not XML"
}  # fmt: skip
_AT = re.compile(r"line ([0-9]+),? column ([0-9]+)")
_OF_ROW = re.compile(r"^\[([0-9]+)\]\.")
_ROW = re.compile(r"\[([0-9]+)\]")


class Refusals:
    """Of one format. `taking`: how an answer of a call is taken apart. `strict`: whether a type of data is."""

    def __init__(self, form: Format, taking: Callable[[FormatCall], Taking], strict: Callable[[str], bool]) -> None:
        self._form, self._taking, self._strict = form, taking, strict

    def told(self, call: FormatCall, body: bytes, where: str, natives: Sequence[str] = ()) -> str:
        """What is not as declared, in words."""
        told = self._unlike(call, body, where.removeprefix("."), natives)
        return _OF_ROW.sub(lambda row: f"record {int(row[1]) + 1}: ", told) if self._form.driver == "csv" else told

    def _unlike(self, call: FormatCall, body: bytes, where: str, natives: Sequence[str]) -> str:
        if self._form.driver in ("json", "ndjson") and body.startswith(BOM_UTF8):
            return "it begins with a byte order mark, which JSON does not have: save it as UTF-8 without one"
        if self._form.driver == "xml" and where == "encoding":
            return self._seeming(f"it cannot be read as XML 1.0 in {self._form.encoding}", call, body)
        try:
            value, word = self._taking(call).whole(body)
        except (ValueError, RecursionError) as error:
            found = _AT.search(str(error)) if self._form.driver in ("json", "xml") else None
            at = f" (line {found[1]}, column {found[2]})" if found is not None else ""
            return self._seeming(_NOT[self._form.driver] + at, call, body)
        if no_table := self.no_table(call, body, where):
            return no_table
        if other := self._other_root(call, body):
            return other
        if foreign := self._foreign(call, value, word, where, natives):
            return foreign
        if told := _refused_for(where, unlike(self._form.shapes, word, value)):
            return f"{told[0] or 'the whole answer'} {told[1]}"
        if self._strict(call.dataset) and (new := undeclared(self._form.shapes, word, value)):
            named = ", ".join(each.where for each in new[:4])
            return f"{named} {'is' if len(new) == 1 else 'are'} not declared, and strict = true"
        time = self._form.records[call.records].time
        if any(where.endswith("." + ".".join(path)) for path in time.paths):
            return f'{where} is no time as written = "{time.written}" says, or not in its parts'
        if call.answer is not None and where == leading(self._form):
            return f"it leads to a further page, and what it says of it cannot be used ({where})"
        place = self._form.place(call)
        where = ".".join(place) if where in ("", *place[-1:]) and place else where or "the top"
        return f"{where} is not there, or not as declared"

    def _seeming(self, wrong: str, call: FormatCall, body: bytes) -> str:
        """What is wrong, and what the sample seems to be instead."""
        seems = seeming.driver(self._form, body)
        if not seems and self._form.driver == "csv":
            seems = seeming.table(self._form, body, members(self._form.shapes, call.records))
        if not seems and self._form.driver == "xml":
            seems = seeming.xml(self._form, body)
        return f"{wrong}; {seems}" if seems else wrong

    def no_table(self, call: FormatCall, body: bytes, where: str) -> str:
        """What is wrong with a table as such; "": something else."""
        taking = self._taking(call)
        if not isinstance(taking, TakingTable):
            return ""
        if where == "encoding":
            return self._seeming(f"it cannot be read as {self._form.encoding}", call, body)
        known, head = members(self._form.shapes, call.records), taking.head
        if not set(head) & set(known):
            return self._seeming(f"its first line names no column of {call.records}", call, body)
        if row := _ROW.fullmatch(where):
            return f"record {int(row[1]) + 1} has more cells than its first line has names, or a quote without an end"
        if where in known and where not in head:
            return f"the column {where} is not there, and records are judged by it"
        twice = [name for name in dict.fromkeys(head) if name and head.count(name) > 1]
        return f"the column {twice[0]} stands twice in its first line" if twice and where in (HEADER, *twice) else ""

    def _other_root(self, call: FormatCall, body: bytes) -> str:
        """That the outermost element is another, or of another namespace; "": it is the one declared."""
        taking = self._taking(call)
        if not isinstance(taking, TakingXml):
            return ""
        (there, name), (prefix, _, declared) = taking.outermost(body), self._form.place(call)[0].rpartition(":")
        space = self._form.namespaces.get(prefix, "")
        if name != declared:
            return f"its outermost element is {name}, and {declared} is declared"
        if there == space:
            return ""
        said = [f'the namespace "{each}"' if each else "no namespace" for each in (there, space)]
        return f"{name} has {said[0]}, and {said[1]} is declared in [format.namespaces]"

    def _foreign(self, call: FormatCall, value: Any, word: str, where: str, natives: Sequence[str]) -> str:
        """That the member which says whose the answer is has another account, or is not there."""
        name = where.rpartition(".")[2].rpartition("/")[2]
        kinds = [kind for (kind, each), rule in self._form.around.items() if rule == "account" and each == name]
        if not kinds:
            return ""
        said = f'it says whose the answer is ("{kinds[0]}/{name}" = "account")'
        others = [native for native in dict.fromkeys(said_of_whom(self._form, word, value)) if native not in natives]
        if others:
            return f"{where} is {others[0]}, and the call is for {some(natives)}: {said}; one of another is refused"
        return "" if name in _names(value) else f"{where} is not there: {said}"


def some(natives: Sequence[str], most: int = 4) -> str:
    return ", ".join(natives[:most]) + (f" and {len(natives) - most} more" if len(natives) > most else "")


def _names(value: Any) -> set[str]:
    """All names of members in a value."""
    if isinstance(value, list):
        return set().union(*map(_names, value)) if value else set()
    return set(value).union(*map(_names, value.values())) if isinstance(value, dict) else set()


def _refused_for(where: str, wrong: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """Of what is unlike its word, what the engine names as well: not everything that looks so is refused. It names a
    place with less around it, or only what the place is in."""
    found = list(wrong)
    exact = (each for each in found if each[0] == where)
    near = (
        each
        for each in found
        if not where or each[0].endswith(f".{where}") or each[0].startswith((f"{where}.", f"{where}["))
    )
    return next(exact, None) or next(near, None)


def said_of_whom(form: Format, word: str, value: Any) -> Iterable[str]:
    """The values of the members that say whose an answer is."""
    if word in form.shapes and isinstance(value, dict):
        for name, inside in members(form.shapes, word).items():
            if name in value and form.around.get((word, name)) == "account":
                yield str(value[name])
            elif name in value:
                yield from said_of_whom(form, inside, value[name])
