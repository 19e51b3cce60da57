"""Less than was agreed, for one access token: `authorization_details` and `scope` of a token request.

The refresh token stays as it is: the next access token may carry all of it again (RFC 6749 §6, RFC 9396 §6). A token
differs from what was agreed in data, fields, accounts and period alone; what else the app sends of its grant must be as
granted. More than that is refused and not passed over, so that no app takes a token for more than it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.authorization import details, openid, rules
from gateway.authorization import scopes as scoped
from gateway.authorization.calls import EndpointCall
from gateway.authorization.checks import refused_details
from gateway.authorization.rules import Refused
from gateway.consent import granting, lesser, request
from gateway.consent.facts import OrganisationFacts
from gateway.consent.itself import ITSELF
from gateway.consent.lesser import Portion, Portions
from gateway.consent.request import InvalidDetails
from gateway.consent.terms import granted_items
from gateway.ground.calendar.instants import Window
from gateway.ground.web.context import Context
from gateway.ledger import live
from gateway.organisations.views import everyone

Terms = Mapping[str, Any]
_NARROWS = {"scope", "authorization_details"}
_LESS = frozenset(("type", "locations", "datatypes", "fields", "accounts", "period"))


@dataclass(frozen=True, slots=True)
class Carried:
    """What a token carries."""

    terms: dict[str, Any]
    scope: str
    parts: Portions | None  # None: all that is agreed


def carried(call: EndpointCall, scope: str, resource: str, terms: dict[str, Any]) -> Carried:
    """What the token of this call carries, of what is agreed (`terms`) by a request with this `scope` and `resource`.
    Raises Refused."""
    left, kept = terms, scope
    asker = _Asker(call.ctx, everyone(call.ctx.session, call.ctx.house)) if call.form.keys() & _NARROWS else None
    if asker is None:
        return Carried(terms, scope, None)
    asked = call.form.get("scope", "").split() if call.form.get("grant_type") == "refresh_token" else []
    if asked and set(scope.split()) - set(asked):
        kept = " ".join(name for name in scope.split() if name in asked)
        left = lesser.lessened(terms, _of_scope(asker, scope.split(), kept.split(), resource.split(), terms))
        if not granted_items(left):
            raise Refused(
                "invalid_scope",
                "These scopes alone stand for nothing that is granted: ask the person for more at /authorize.",
            )
    if "authorization_details" in call.form:
        try:
            left = lesser.lessened(left, _of_details(asker, call.form["authorization_details"], left))
        except InvalidDetails as error:
            raise refused_details(error) from None
    return Carried(left, kept, lesser.between(terms, left))


@dataclass(frozen=True, slots=True)
class _Asker:
    ctx: Context
    places: Mapping[str, OrganisationFacts]

    def fields(self, item: Terms, wanted: list[str]) -> tuple[str, ...]:
        """Of what is granted these, and those that always come along."""
        known = self.ctx.house.catalogue.of(self.places.get(item["organisation"]), item["dataset"])
        structural = known.structural() if known else ()
        return tuple(name for name in item["fields"] if name in wanted or name in structural)


# ---- by scope


def _of_scope(asker: _Asker, all_: list[str], kept: list[str], resources: list[str], terms: Terms) -> list[Portion]:
    """What scopes stand for now, as far as it is granted. `data_access` stands for what the app wrote out."""
    house = asker.ctx.house
    common = resources, asker.places, house.catalogue, house.settings.public_url
    named = {_key(row, house.settings.public_url): row for row in scoped.meant(all_, *common).rows}
    still = {_key(row, house.settings.public_url): row for row in scoped.meant(kept, *common).rows}
    gone = {openid.SCOPES[name] for name in all_ if name in openid.SCOPES and name not in kept}
    parts = []
    for item in granted_items(terms):
        key = item["organisation"], item["dataset"]
        if item["organisation"] == ITSELF:
            stays = openid.OPENID in kept and item["dataset"] not in gone
            parts += [Portion(*key)] if stays else []
        elif key in still:
            parts.append(_meant(asker, still[key], item))
        elif key not in named and rules.DATA in kept:
            parts.append(Portion(*key))
    return parts


def _key(row: Terms, public_url: str) -> tuple[str, str]:
    return row["locations"][0].removeprefix(f"{public_url}/data/"), row["datatypes"][0]


def _meant(asker: _Asker, row: Terms, item: Terms) -> Portion:
    fields = asker.fields(item, row["fields"]) if "fields" in row else None
    during = lesser.period(request.period_of(row["period"]))
    shorter = during if dict(during) != item["period"] else None
    return Portion(item["organisation"], item["dataset"], fields, None, shorter)


# ---- by authorization_details


def _of_details(asker: _Asker, text: str, terms: Terms) -> list[Portion]:
    """Raises InvalidDetails for anything beyond these terms."""
    house = asker.ctx.house
    told, items = granting.details(terms, house.settings.public_url), granted_items(terms)
    granted = {(one["locations"][0], one["datatypes"][0]): item for one, item in zip(told, items, strict=True)}
    described = {(one["locations"][0], one["datatypes"][0]): one for one in told}
    rows = details.parse(text)
    if not rows:
        raise InvalidDetails("authorization_details is empty", "authorization_details")
    parts: dict[tuple[str, str], Portion] = {}
    for position, row in enumerate(rows):
        keys = _keys(row, position, granted.keys())
        request.check_shape({**described[keys[0]], **row}, position, house.catalogue)
        for key in keys:
            if key in parts:
                raise InvalidDetails("two objects ask for the same data", "datatypes", key[1])
            _check_same(row, described[key])
            parts[key] = _part(asker, row, granted[key], terms)
        _check_within(row, "fields", [granted[key]["fields"] for key in keys])
        _check_within(row, "accounts", [granted[key]["accounts"] for key in keys])
    return list(parts.values())


def _keys(row: dict[str, Any], position: int, granted: Any) -> list[tuple[str, str]]:
    """Every combination that the object means (RFC 9396 §2.2), all of them granted."""
    found = []
    for name in ("locations", "datatypes"):
        said = row.get(name)
        if not isinstance(said, list) or not said or not all(isinstance(one, str) for one in said):
            raise InvalidDetails(f"[{position}].{name} is missing, or is no list of texts", f"[{position}].{name}")
    for at in row["locations"]:
        for dataset in row["datatypes"]:
            if (at, dataset) not in granted:
                raise InvalidDetails("more than was granted", "datatypes", dataset[:100])
            found.append((at, dataset))
    return found


def _check_same(row: Terms, described: Terms) -> None:
    for name in row.keys() - _LESS:
        if row[name] != described.get(name):
            raise InvalidDetails("a token cannot differ in it: as granted, or left out", name)


def _check_within(row: Terms, name: str, granted: list[list[str]]) -> None:
    """Each of these is granted with some type of data of the object."""
    every = {one for each in granted for one in each}
    for one in row.get(name, ()):
        if one not in every:
            raise InvalidDetails("more than was granted", name, one[:100], " ".join(sorted(every)))


def _part(asker: _Asker, row: Terms, item: Terms, terms: Terms) -> Portion:
    fields = accounts = during = None
    if "fields" in row:
        fields = asker.fields(item, row["fields"])
    if "accounts" in row:
        accounts = tuple(ref for ref in item["accounts"] if ref in row["accounts"])
        if not accounts:
            raise InvalidDetails("none of them is granted with this data", "accounts", item["dataset"])
    if "period" in row:
        during = lesser.period(request.period_of(row["period"]))
        _check_period(asker, dict(during), item, terms)
    return Portion(item["organisation"], item["dataset"], fields, accounts, during)


def _check_period(asker: _Asker, asked: Terms, item: Terms, terms: Terms) -> None:
    """At this moment the period lies within the one that was agreed. The data plane keeps to both at any."""
    now, zone = asker.ctx.now, live.zone(item, asker.ctx.house.settings.zone)
    since = datetime.fromisoformat(terms["valid"]["from"])
    try:
        less, whole = (live.window(one, now, zone, since) for one in (asked, item["period"]))
    except ValueError:
        raise InvalidDetails("not a usable period", "period") from None
    if not _within(less, whole):
        raise InvalidDetails("more than was granted", "period")


def _within(less: Window, whole: Window) -> bool:
    begins = whole.start is None or (less.start is not None and less.start >= whole.start)
    return begins and (whole.end is None or (less.end is not None and less.end <= whole.end))
