"""Scopes that stand for data (catalogue/scopes.py), turned into the authorization_details that ask for the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.authorization.rules import Refused
from gateway.catalogue import Catalogue, Dataset, Scope
from gateway.catalogue.scopes import ScopeData
from gateway.consent.facts import AppView, DeclaredData, OrganisationFacts
from gateway.consent.itself import ITSELF, location


@dataclass(frozen=True, slots=True)
class Meant:
    """What scopes ask for: objects, and what the app is thereby registered for."""

    rows: list[dict[str, Any]]
    declared: tuple[DeclaredData, ...]


def names(catalogue: Catalogue, organisations: Iterable[OrganisationFacts]) -> list[str]:
    """Every scope that stands for data, of the policies and of these organisations."""
    return sorted({*catalogue.scopes, *(name for one in organisations for name in one.scopes)})


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
    declared: dict[tuple[str, str], DeclaredData] = {}
    for name in asked:
        for scope, organisation in _of(name, wanted, directory, catalogue):
            for data in scope.data:
                key = data.organisation or organisation, data.dataset
                if key[0] not in directory or data.dataset not in directory[key[0]].datasets:
                    continue
                known = catalogue.of(directory[key[0]], data.dataset)
                if known is not None:
                    rows[key] = data.row(scope, location(public_url, key[0]))
                    declared[key] = _declared(key[0], data.dataset, data.fields, known, data.necessity)
    return Meant(list(rows.values()), tuple(declared.values()))


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


def _declared(organisation: str, dataset: str, fields: tuple[str, ...], known: Dataset, necessity: str) -> DeclaredData:
    return DeclaredData(organisation, dataset, fields or tuple(known.fields), necessity, {})


def registered(app: AppView, found: Meant) -> AppView:
    """The app, as if it had registered for what the scopes mean that it registered."""
    own = {(one.organisation, one.dataset) for one in app.data}
    more = tuple(one for one in found.declared if (one.organisation, one.dataset) not in own)
    return replace(app, data=(*app.data, *more))
