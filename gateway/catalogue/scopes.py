"""Scopes: names by which an app that knows nothing of authorization_details asks for data (RFC 6749 §3.3).

Each stands for data, fields and terms, in a file of policies/scopes/ or in an organisation's own declaration. The
person sees the same screen, and the same is enforced, as for an app that writes it all out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.catalogue.words import FileTable
from gateway.ground.calendar.durations import parse as parse_duration
from gateway.ground.calendar.windows import PERIODS

_NAME = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")
NECESSITIES = ("required", "optional")
# They mean something already: OpenID Connect Core §5.4 and §11, Grant Management §6, UMA 2.0; the last is our own.
TAKEN = frozenset(
    ("openid", "profile", "email", "address", "phone", "offline_access", "grant_management_query",
     "grant_management_revoke", "uma_protection", "data_access")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScopeData:
    organisation: str  # "": the one that declares the scope, or those that the request names as `resource`
    dataset: str
    fields: tuple[str, ...]  # (): all of the type of data
    history: str
    future: bool
    frequency: tuple[int, str] | None
    necessity: str

    def at(self, organisation: str) -> "ScopeData":
        return replace(self, organisation=self.organisation or organisation)

    def row(self, scope: "Scope", location: str) -> dict[str, Any]:
        """The authorization_details object that asks for the same."""
        return {
            "type": "data_access",
            "locations": [location],
            "datatypes": [self.dataset],
            "actions": ["read"],
            "purpose": scope.purpose,
            **({"fields": list(self.fields)} if self.fields else {}),
            "period": {"history": self.history, "future": self.future},
            **({"frequency": dict(zip(("times", "per"), self.frequency, strict=True))} if self.frequency else {}),
            "valid_for": scope.valid_for,
            "retention": scope.retention,
            "necessity": self.necessity,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    name: str  # under which it is told; it may be asked for by `also`, too
    also: tuple[str, ...]
    purpose: str
    valid_for: str
    retention: str
    data: tuple[ScopeData, ...]


def scopes(file: FileTable) -> Mapping[str, Scope]:
    """The [[scope]] tables of a file, by each of their names."""
    found = [_scope(row) for row in file.entries("scope")]
    named = [(name, scope) for scope in found for name in (scope.name, *scope.also) if name not in TAKEN]
    more = {name for scope in found for name in scope.also}
    for name, times in Counter(name for name, _ in named).items():
        if times > 1 and name in more:
            file.wrong(name, "is the name of several scopes, or twice of one")
    return dict(named)


def spellings(names: Iterable[str], every: Iterable[Mapping[str, Scope]]) -> set[str]:
    """These names with the other names of the same scopes: who may ask for a scope may call it as it likes."""
    known = list(every)
    same = (each[name] for name in names for each in known if name in each)
    return {*names, *(name for scope in same for name in (scope.name, *scope.also))}


def _scope(row: FileTable) -> Scope:
    row.only("id", "also", "purpose", "valid_for", "retention", "data")
    name, also = row.text("id"), row.texts("also")
    for key, called in (("id", name), *(("also", one) for one in also)):
        if called and not _NAME.fullmatch(called):
            row.wrong(key, "write it as apps send it in scope: visible ASCII without quotes or backslash")
        if called in TAKEN:
            row.wrong(key, f"{called} means something else in every gateway: take another name")
    data = []
    for each in row.entries("data"):
        each.only("organisation", "dataset", "fields", "history", "future", "frequency", "necessity")
        data.append(
            ScopeData(
                organisation=str(each.table.get("organisation", "")),
                dataset=each.text("dataset"),
                fields=each.texts("fields"),
                history=_duration(each, "history"),
                future=each.flag("future"),
                frequency=_frequency(each.within("frequency")) if "frequency" in each.table else None,
                necessity=each.one_of("necessity", NECESSITIES, "required"),
            )
        )
    return Scope(name, also, row.text("purpose"), _duration(row, "valid_for"), _duration(row, "retention"), tuple(data))


def _duration(row: FileTable, key: str) -> str:
    text = row.text(key)
    try:
        parse_duration(text or "P1D")
    except ValueError as error:
        row.wrong(key, str(error))
    return text


def _frequency(table: FileTable) -> tuple[int, str]:
    table.only("times", "per")
    return table.whole("times", 1, 1_000_000, 1), table.one_of("per", PERIODS[:-1])


def faults(found: Mapping[str, Scope], purposes: Mapping[str, Any], datasets: Mapping[str, Any]) -> list[str]:
    """What these scopes name that there is not: purposes by their code, types of data by their id."""
    wrong = []
    for scope in dict.fromkeys(found.values()):
        purpose = purposes.get(scope.purpose)
        if purpose is None:
            wrong.append(f"{scope.name}: purpose: {scope.purpose!r} is none of {', '.join(sorted(purposes))}")
            continue
        for data in scope.data:
            if data.dataset not in datasets:
                wrong.append(f"{scope.name}: dataset: there is no {data.dataset!r}")
            elif data.dataset not in purpose.datasets:
                wrong.append(f"{scope.name}: dataset: the purpose {scope.purpose} does not cover {data.dataset}")
            elif unknown := sorted(set(data.fields) - set(datasets[data.dataset].fields)):
                wrong.append(f"{scope.name}: fields: {data.dataset} has no {', '.join(unknown)}")
    return wrong
