"""Scopes that stand for data (catalogue/scopes.py), turned into the authorization_details that ask for the same."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.authorization.rules import Refused
from gateway.catalogue import Catalogue, Dataset, Scope
from gateway.catalogue.scopes import ScopeData, spellings
from gateway.consent.facts import AppView, DeclaredData, OrganisationFacts
from gateway.consent.itself import ITSELF, location
from gateway.consent.request import PER_DAYS
from gateway.ground.calendar.durations import parse as parse_duration


@dataclass(frozen=True, slots=True)
class Meant:
    """What scopes ask for: objects, and what the app is thereby registered for."""

    rows: list[dict[str, Any]]
    declared: tuple[DeclaredData, ...]
    purposes: Mapping[str, tuple[str, ...]]  # by their codes, the names of the scopes that stand for something

    @property
    def names(self) -> frozenset[str]:
        """Those of the scopes that stand for data where they are asked for."""
        return frozenset(name for names in self.purposes.values() for name in names)


def names(catalogue: Catalogue, organisations: Iterable[OrganisationFacts]) -> list[str]:
    """Every scope that stands for data, of the policies and of these organisations."""
    return sorted({*catalogue.scopes, *(name for one in organisations for name in one.scopes)})


def spelled(registered: Iterable[str], catalogue: Catalogue, organisations: Iterable[OrganisationFacts]) -> set[str]:
    """These scopes with the other names that they have."""
    return spellings(registered, (catalogue.scopes, *(one.scopes for one in organisations)))


def purposes(catalogue: Catalogue, organisations: Iterable[OrganisationFacts]) -> dict[str, tuple[str, ...]]:
    """The same, each with the purposes for which it stands: organisations may mean different ones by one name."""
    found: dict[str, dict[str, None]] = {}
    for every in (catalogue.scopes, *(one.scopes for one in organisations)):
        for name, scope in every.items():
            found.setdefault(name, {})[scope.purpose] = None
    return {name: tuple(codes) for name, codes in found.items()}


def names_at(catalogue: Catalogue, organisation: OrganisationFacts) -> list[str]:
    """Those that stand for data of this organisation."""
    every = {**catalogue.scopes, **organisation.scopes}
    return sorted(name for name, scope in every.items() if any(_is_at(data, organisation) for data in scope.data))


def _is_at(data: ScopeData, organisation: OrganisationFacts) -> bool:
    return data.organisation in ("", organisation.id) and data.dataset in organisation.datasets


def meant(
    asked: Iterable[str],
    resources: Iterable[str],
    directory: Mapping[str, OrganisationFacts],
    catalogue: Catalogue,
    public_url: str,
) -> Meant:
    """What these scopes mean at the organisations that are named as `resource`. Raises Refused: invalid_target where a
    scope of several organisations, or of none in particular, comes without."""
    wanted = [name.removeprefix(f"{public_url}/data/") for name in resources if name != location(public_url, ITSELF)]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    purposes: dict[str, dict[str, None]] = {}
    for name in asked:
        for scope, organisation in _of(name, wanted, directory, catalogue):
            for data in scope.data:
                key = data.organisation or organisation, data.dataset
                if _known(key, directory, catalogue) is not None:
                    row = data.row(scope, location(public_url, key[0]))
                    rows[key] = _united(rows[key], row) if key in rows else row
                    purposes.setdefault(scope.purpose, {})[name] = None
    _shorten(rows.values())
    declared = [_declared(key, row, _known(key, directory, catalogue)) for key, row in rows.items()]
    return Meant(list(rows.values()), tuple(declared), {code: tuple(names) for code, names in purposes.items()})


def check_one_purpose(found: Meant) -> None:
    """Refuse scopes of several purposes: each purpose is a question of its own to the person.

    None of them is left out instead (RFC 6749 §3.3 would allow it): a client that asks again for what it has and for
    what it needs more would lose one or the other without noticing, and ask for ever.
    """
    if len(found.purposes) > 1:
        apart = " / ".join(" ".join(names) for names in found.purposes.values())
        raise Refused("invalid_scope", f"They stand for different purposes, so ask for them one by one: {apart}"[:300])


def _known(key: tuple[str, str], directory: Mapping[str, OrganisationFacts], catalogue: Catalogue) -> Dataset | None:
    """The type of data, if this organisation holds it."""
    organisation, dataset = key
    held = organisation in directory and dataset in directory[organisation].datasets
    return catalogue.of(directory[organisation], dataset) if held else None


def _united(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One object that asks for what two scopes stand for of the same data."""
    fields = {"fields": list(dict.fromkeys([*one["fields"], *other["fields"]]))} if _both("fields", one, other) else {}
    most = max(one, other, key=_rate)["frequency"] if _both("frequency", one, other) else None
    rest = {name: value for name, value in one.items() if name not in ("fields", "frequency")}
    histories = [row["period"]["history"] for row in (one, other)]
    return {
        **rest,
        **fields,
        **({"frequency": most} if most else {}),
        "period": {
            "history": max(histories, key=_length),
            "future": one["period"]["future"] or other["period"]["future"],
        },
        "valid_for": min(one["valid_for"], other["valid_for"], key=_length),
        "retention": min(one["retention"], other["retention"], key=_length),
        "necessity": "required" if "required" in (one["necessity"], other["necessity"]) else "optional",
    }


def _both(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both limit it: without, all is meant."""
    return name in one and name in other


def _rate(row: Mapping[str, Any]) -> float:
    return float(row["frequency"]["times"] / PER_DAYS[row["frequency"]["per"]])


def _length(duration: str) -> float:
    return parse_duration(duration).length


def _shorten(rows: Collection[dict[str, Any]]) -> None:
    """One request has one `valid_for` and one `retention`: of scopes that differ, the shortest holds for all."""
    for term in ("valid_for", "retention"):
        shortest = min((row[term] for row in rows), key=_length, default="")
        for row in rows:
            row[term] = shortest


def _of(
    name: str, wanted: list[str], directory: Mapping[str, OrganisationFacts], catalogue: Catalogue
) -> list[tuple[Scope, str]]:
    """The scopes of this name, each with the organisation at which it is meant."""
    own = {id_: one.scopes[name] for id_, one in directory.items() if name in one.scopes}
    at = {id_: scope for id_, scope in own.items() if not wanted or id_ in wanted}
    general = catalogue.scopes.get(name)
    if len(at) > 1 and not wanted:
        raise Refused("invalid_target", "Several organisations have this scope: name one as resource.")
    if at or general is None:
        return [(scope, id_) for id_, scope in at.items()]
    if all(data.organisation for data in general.data):
        return [(general, "")]
    if not wanted:
        raise Refused("invalid_target", "Name the organisation as resource.")
    return [(general, id_) for id_ in wanted]


def _declared(key: tuple[str, str], row: Mapping[str, Any], known: Dataset | None) -> DeclaredData:
    fields = row.get("fields") or (known.fields if known else ())
    return DeclaredData(*key, tuple(fields), row["necessity"], {})


def registered(app: AppView, found: Meant) -> AppView:
    """The app, as if it had registered for what the scopes mean that it registered."""
    own = {(one.organisation, one.dataset) for one in app.data}
    more = tuple(one for one in found.declared if (one.organisation, one.dataset) not in own)
    return replace(app, data=(*app.data, *more))
