"""A field that gives more than it did: whoever agreed to it agreed to words, and the file says which members they mean.

A member that only has another name now is meant by the same words. One that was not thought of then may not be, and the
gateway cannot tell which it is: while anybody is linked the operator has to say so, and until then nothing changes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import Fault

SAY = (
    "say --wider if the words that people agreed to say this, too: agreements that are there then give it. If not, put "
    "it into a field of its own, which nobody has agreed to yet"
)


def widened(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Fault]:
    """Of each field of a type of data that both declarations define: the members that it did not have."""
    before = dict(_fields(old))
    for position, dataset in enumerate(_datasets(new)):
        for number, field in enumerate(_rows(dataset, "field")):
            known = before.get((str(dataset.get("id")), str(field.get("id"))))
            more = [name for name in _find(field) if known is not None and name not in known]
            if more:
                yield Fault(
                    f"datasets[{position}].field[{number}].find",
                    f"{field.get('id')} gives more than it did: {', '.join(more)}",
                    SAY,
                )


def _fields(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], set[str]]]:
    for dataset in _datasets(document):
        for field in _rows(dataset, "field"):
            yield (str(dataset.get("id")), str(field.get("id"))), set(_find(field))


def _datasets(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _rows(document, "datasets")


def _rows(table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = table.get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _find(field: Mapping[str, Any]) -> list[str]:
    """A member that is given only together with other fields (&) is given by all of them or by none."""
    return [name.removeprefix("&") for name in field.get("find", ()) if isinstance(name, str)]
