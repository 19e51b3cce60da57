"""What a declaration defines itself: the organisation's own format, and types of data that no other shares.

They are written and checked as those of policies/ are. A row of [[datasets]] that has a label is a type of data of its
own; its selectors are of [format].
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue import SENSITIVITIES, Catalogue, Dataset, Format, Scope, format_files, shapes
from gateway.catalogue import datasets as types
from gateway.catalogue import scopes as named
from gateway.catalogue.formats import CUSTOMER
from gateway.catalogue.words import FileTable
from gateway.errors import Fault
from gateway.formats import registry

OWN = tuple(key for key in types.KEYS if key != "id")  # keys of a row that defines a type of data
KNOW_NO_CUSTOMER = ("oauth", "assertion", "files")  # kinds whose links hold no customer number; but see `_customer`
KEYS = ("id", "paths")  # and of any row
_RANK = {name: rank for rank, name in enumerate(SENSITIVITIES)}
_FOLLOWS = re.compile(r"time: find|calls\.[^.]+")  # what is said there depends on how records are judged


@dataclass(frozen=True, slots=True)
class DeclaredTable(FileTable):
    """One table of a declaration. Its faults are those of a declaration: key, what is wrong, what would be right."""

    found: list[Fault] = field(default_factory=list)

    def wrong(self, key: str, right: str) -> None:
        self.found.append(Fault(f"{self.where}.{key}" if key else self.where, "is not right", right))

    def below(self, name: str, table: Mapping[str, Any]) -> "DeclaredTable":
        return DeclaredTable(f"{self.where}.{name}", table, self.faults, self.found)


def read(document: Mapping[str, Any]) -> tuple[Format | None, dict[str, Dataset]]:
    """The format and the types of data of a checked declaration."""
    return _read(document, [])


def _read(document: Mapping[str, Any], found: list[Fault]) -> tuple[Format | None, dict[str, Dataset]]:
    table = document.get("format")
    form = format_files.read(DeclaredTable("format", table, [], found), "") if isinstance(table, dict) else None
    own = {}
    for position, row in enumerate(_rows(document)):
        if defines(row):
            file = DeclaredTable(f"datasets[{position}]", row, [], found)
            file.only(*types.KEYS, "paths")
            dataset = types.dataset(file, str(document.get("sector")), "")
            own[dataset.id] = dataset
    return form, own if form is None else {name: types.answering(each, form) for name, each in own.items()}


def scopes(document: Mapping[str, Any]) -> Mapping[str, Scope]:
    """The scopes of a checked declaration."""
    return _scopes(document, [])


def _scopes(document: Mapping[str, Any], found: list[Fault]) -> Mapping[str, Scope]:
    return named.scopes(DeclaredTable("scope", document, [], found)) if "scope" in document else {}


def scope_faults(document: Mapping[str, Any], catalogue: Catalogue) -> list[Fault]:
    """What is wrong with the [[scope]] tables of a declaration. It speaks of its own data only."""
    found: list[Fault] = []
    declared = _scopes(document, found)
    foreign = [name for name, scope in declared.items() if any(data.organisation for data in scope.data)]
    found += [Fault(f"scope.{name}", "names an organisation", "leave it out: it is this one") for name in foreign]
    _, own = _read(document, [])
    every = {**catalogue.datasets, **own}
    named_here = [row["id"] for row in _rows(document) if isinstance(row.get("id"), str)]
    here = {name: every[name] for name in named_here if name in every}
    return found or [Fault("scope", wrong) for wrong in named.faults(declared, catalogue.purposes, here)]


def _rows(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows = document.get("datasets")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def defines(row: Mapping[str, Any]) -> bool:
    """Whether a row of [[datasets]] defines a type of data, and not only names one of policies/."""
    return any(key in row for key in OWN)


def faults(document: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    """Of the format and the types of data, as far as the rest of the file can be read."""
    found: list[Fault] = []
    form, own = _read(document, found)
    yield from found
    for position, row in enumerate(_rows(document)):
        if defines(row) and form is None:
            key = f"datasets[{position}]"
            yield Fault(key, "defines a type of data, and there is no [format]", "describe its answers in [format]")
            return
    if form is None or any(True for _ in shapes.faults(form.shapes)):
        return
    if not own:
        yield Fault("format", "belongs to no type of data", "define one: a row of [[datasets]] with label, fields, …")
    told = {fault.key for fault in found}  # what is wrong by itself is told once, and what follows from it is not
    unread = any(key.startswith("format.records.") for key in told)
    for which, key, wrong in registry.form_faults(form, own):
        position = _position(document, which)
        fault = Fault(f"datasets[{position}].{key}" if which else f"format.{key}", "is not right", wrong)
        if fault.key.replace(": ", ".") not in told and not (unread and _FOLLOWS.fullmatch(key)):
            yield fault
    yield from _customer(form, document)
    for dataset in own.values():
        shared = catalogue.datasets.get(dataset.id)
        if shared is not None and shared.sector != dataset.sector:
            wrong = f"is a type of data of sector {shared.sector} in policies/, known to people by its words there"
            yield Fault(f"datasets[{_position(document, dataset.id)}].id", wrong, "take an id of your own")
        elif shared is not None and _RANK[dataset.sensitivity] < _RANK[shared.sensitivity]:
            wrong = f"{dataset.sensitivity} is less than policies/ have for {dataset.id}, which people know by its name"
            yield Fault(
                f"datasets[{_position(document, dataset.id)}].sensitivity", wrong, f"write {shared.sensitivity}"
            )
        if f"datasets[{_position(document, dataset.id)}].category" not in told:
            yield from _category(dataset, document, catalogue)


def _position(document: Mapping[str, Any], dataset: str) -> int:
    return next((at for at, row in enumerate(_rows(document)) if row.get("id") == dataset), 0)


def _customer(form: Format, document: Mapping[str, Any]) -> Iterator[Fault]:
    """That the links of this connection know what is written in place of {customer}."""
    connection = document.get("connection")
    kind = connection.get("kind") if isinstance(connection, dict) else None
    placed = kind == "assertion" and isinstance(connection, dict) and "person" in connection
    for call in form.calls.values():
        if CUSTOMER in call.placed and kind in KNOW_NO_CUSTOMER and not placed:
            wrong = f"{{{CUSTOMER}}} is not known to links of kind {kind}"
            yield Fault(f"format.calls.{call.name}.asks", wrong, "name the account, or take another kind of connection")


def _category(dataset: Dataset, document: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    """That the consent screen has a heading for it."""
    position = _position(document, dataset.id)
    known = catalogue.categories.get(dataset.category)
    if known is None:
        right = f"one of {', '.join(sorted(catalogue.categories))}"
        yield Fault(f"datasets[{position}].category", f"{dataset.category!r} is not known", right)
        return
    for missing in sorted(dataset.sensitivities - {"none"} - known.titles.keys()):
        wrong = f"{known.id} has no words for {missing} data"
        yield Fault(f"datasets[{position}].category", wrong, "take another, or another sensitivity")
