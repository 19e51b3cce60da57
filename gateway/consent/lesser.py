"""A part of what was agreed, as one token may carry it (RFC 9396 §6): laid over the terms whenever they are used.

It only takes away. Whatever a part names that the terms do not grant, now or any more, it does not give.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.consent.itself import ITSELF, location
from gateway.consent.request import Period
from gateway.consent.terms import granted_items

_MEMBERS = frozenset(("type", "locations", "datatypes", "fields", "accounts", "period"))
_PERIOD = frozenset(("history", "from", "to", "future"))


@dataclass(frozen=True, slots=True)
class Portion:
    """Of one type of data at one organisation. None: all that is agreed."""

    organisation: str
    dataset: str
    fields: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    period: tuple[tuple[str, Any], ...] | None = None  # of terms, as pairs

    @property
    def key(self) -> tuple[str, str]:
        return self.organisation, self.dataset


Portions = tuple[Portion, ...]


def period(asked: Period) -> tuple[tuple[str, Any], ...]:
    """As a part has it, and, but for being pairs, terms."""
    found = {"history": asked.history, "from": asked.start, "to": asked.end, "future": asked.future}
    return tuple(sorted(found.items()))


def lessened(terms: Mapping[str, Any], parts: Iterable[Portion]) -> dict[str, Any]:
    """These terms with nothing granted but these parts. `agreed_period` of an item: what bounds its `period`."""
    by_key = {part.key: part for part in parts}
    items = [_item(item, by_key.get((item["organisation"], item["dataset"]))) for item in terms["items"]]
    return {**terms, "items": items}


def _item(item: dict[str, Any], part: Portion | None) -> dict[str, Any]:
    if not item["granted"]:
        return item
    if part is None:
        return {**item, "granted": False, "accounts": [], "fields": []}
    found = dict(item)
    if part.fields is not None:
        found["fields"] = [name for name in item["fields"] if name in part.fields]
    if part.accounts is not None:
        found["accounts"] = [ref for ref in item["accounts"] if ref in part.accounts]
    if part.period is not None:
        found |= {"period": dict(part.period), "agreed_period": item["period"]}
    return found


def between(agreed: Mapping[str, Any], left: Mapping[str, Any]) -> Portions | None:
    """The parts that are left of what was agreed; None: all of it."""
    every = {(item["organisation"], item["dataset"]): item for item in granted_items(agreed)}
    found = tuple(_part(every[item["organisation"], item["dataset"]], item) for item in granted_items(left))
    is_all = len(found) == len(every) and all(one == Portion(*one.key) for one in found)
    return None if is_all else found


def _part(agreed: Mapping[str, Any], left: Mapping[str, Any]) -> Portion:
    return Portion(
        left["organisation"],
        left["dataset"],
        tuple(left["fields"]) if left["fields"] != agreed["fields"] else None,
        tuple(left["accounts"]) if left["accounts"] != agreed["accounts"] else None,
        tuple(sorted(left["period"].items())) if left["period"] != agreed["period"] else None,
    )


# ---- in a token


def written(parts: Portions, public_url: str) -> list[dict[str, Any]]:
    """As the claim `authorization_details` of an access token (RFC 9396 §9.1)."""
    return [
        {
            "type": "data_access",
            "locations": [location(public_url, part.organisation)],
            "datatypes": [part.dataset],
            **({"fields": list(part.fields)} if part.fields is not None else {}),
            **({"accounts": list(part.accounts)} if part.accounts is not None else {}),
            **({"period": dict(part.period)} if part.period is not None else {}),
        }
        for part in parts
    ]


def read(said: object, public_url: str) -> Portions:
    """The same, read from the claim. Raises ValueError for what is not understood to the last member, since it may take
    something away."""
    if not isinstance(said, list) or not said:
        raise ValueError("authorization_details")
    places = {location(public_url, ITSELF): ITSELF}
    return tuple(_read(one, places, f"{public_url}/data/") for one in said)


def _read(said: object, places: Mapping[str, str], prefix: str) -> Portion:
    if not isinstance(said, dict) or said.keys() - _MEMBERS or said.get("type") != "data_access":
        raise ValueError("authorization_details")
    (at,), (dataset,) = _texts(said.get("locations")), _texts(said.get("datatypes"))
    if at not in places and not at.startswith(prefix):
        raise ValueError("locations")
    during = said.get("period")
    if during is not None and (not isinstance(during, dict) or during.keys() != _PERIOD):
        raise ValueError("period")
    return Portion(
        places.get(at) or at.removeprefix(prefix),
        dataset,
        _texts(said["fields"]) if "fields" in said else None,
        _texts(said["accounts"]) if "accounts" in said else None,
        tuple(sorted(during.items())) if during is not None else None,
    )


def _texts(said: object) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise ValueError("authorization_details")
    return tuple(said)
