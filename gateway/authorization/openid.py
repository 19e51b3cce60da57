"""OpenID Connect: what scopes and `claims` ask for, and what is told of a person (OpenID Connect Core §5).

Claims are fields of types of data that the gateway itself holds (consent/itself.py, policies/datasets/identity.toml). A
scope or the `claims` parameter is turned into the authorization_details that ask for the same, so there is one request,
one screen and one agreement for all of it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from gateway.authorization.rules import Refused
from gateway.catalogue import Catalogue
from gateway.catalogue.datasets import ACCOUNT
from gateway.catalogue.sign_ins import ACRS
from gateway.consent.itself import ITSELF, SIGN_IN, SIGN_IN_PURPOSE, USERINFO
from gateway.consent.request import InvalidDetails
from gateway.consent.terms import granted_items
from gateway.ground.keys import strict

OPENID = "openid"
SCOPES: Mapping[str, str] = {OPENID: SIGN_IN, "profile": "identity.profile", "email": "identity.email"}
TYPE_OF_CLAIM = "claims"  # in the `find` of identity.toml
# Of a request that asks for nothing else: how long the app may sign her in unasked, and keep what it is told.
VALID_FOR, RETENTION = "P12M", "P12M"
MUSTS = ("sub", "acr")  # an app can say which value there must be
ALWAYS = frozenset(("sub", "auth_time", "acr", "amr"))  # of every ID token; `sub` of userinfo too
_CLAIMS_DEPTH, _CLAIMS_LIMIT = 8, 8192


@dataclass(frozen=True, slots=True)
class ClaimsAsked:
    """The `claims` parameter: name of a claim → whether it is essential."""

    userinfo: Mapping[str, bool]
    id_token: Mapping[str, bool]
    must: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the ID token: one of these values, or none

    @property
    def all(self) -> Mapping[str, bool]:
        names = dict.fromkeys([*self.userinfo, *self.id_token])
        return {name: self.userinfo.get(name, False) or self.id_token.get(name, False) for name in names}

    def with_acr(self, values: Collection[str]) -> "ClaimsAsked":
        """With one of these as a condition; an essential `acr` says it more exactly, and is left as it is."""
        return replace(self, must={"acr": tuple(values), **self.must}) if values else self

    def with_sub(self, sub: str) -> "ClaimsAsked":
        """With this person as a condition. Raises Refused if the claims name another."""
        if sub not in self.must.get("sub", (sub,)):
            raise Refused("invalid_request", "claims and id_token_hint name two people.")
        return replace(self, must={**self.must, "sub": (sub,)})


NO_CLAIMS = ClaimsAsked({}, {})


def claims_asked(text: str) -> ClaimsAsked:
    """Core §5.5. Members that are not known are passed over. Raises Refused."""
    if not text:
        return NO_CLAIMS
    try:
        found = strict.loads(text, depth=_CLAIMS_DEPTH) if len(text) <= _CLAIMS_LIMIT else None
    except strict.Malformed:
        found = None
    if not isinstance(found, dict):
        raise Refused("invalid_request", "claims is not a JSON object, or is too large.")
    userinfo, id_token = _section(found.get("userinfo")), _section(found.get("id_token"))
    return ClaimsAsked(userinfo, id_token, _musts(found.get("id_token") or {}))


def _section(section: object) -> dict[str, bool]:
    if section is None:
        return {}
    if not isinstance(section, dict) or not all(one is None or isinstance(one, dict) for one in section.values()):
        raise Refused("invalid_request", "claims: userinfo and id_token name claims, each with null or an object.")
    return {name: bool(one and one.get("essential") is True) for name, one in section.items()}


def _musts(section: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What must hold for there to be an ID token: whom it is about (Core §5.5.1), and an essential `acr` (§5.5.1.1)."""
    found = {}
    for name in MUSTS:
        wanted = section.get(name) or {}
        values = wanted.get("values", [wanted["value"]] if "value" in wanted else [])
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise Refused("invalid_request", f"claims: the values of {name} are texts.")
        if values and (name != "acr" or wanted.get("essential") is True):
            found[name] = tuple(values)
    return found


def kept(asked: ClaimsAsked, catalogue: Catalogue) -> str:
    """What is kept of it for the ID token: names of claims that there are, and name=value for what must hold."""
    names = [name for name in asked.id_token if name in known(catalogue)]
    musts = [f"{name}={quote(value, safe=':')}" for name, values in asked.must.items() for value in values]
    return " ".join(dict.fromkeys([*names, *musts]))


def unmet(kept: str, sub: str, acr: str) -> str:
    """The error for a sign-in that is not the one that the app must have; "": it is."""
    must = _kept_musts(kept)
    if sub not in must.get("sub", [sub]):
        return "login_required"
    least = [ACRS.index(one) for one in must.get("acr", [acr]) if one in ACRS]
    return "" if least and min(least) <= ACRS.index(acr) else "unmet_authentication_requirements"


def named(kept: str) -> list[str]:
    """The people of whom it must be one, by `sub`; []: anybody."""
    return _kept_musts(kept).get("sub", [])


def _kept_musts(kept: str) -> dict[str, list[str]]:
    must: dict[str, list[str]] = {}
    for name, _, value in (one.partition("=") for one in kept.split() if "=" in one):
        must.setdefault(name, []).append(unquote(value))
    return must


def known(catalogue: Catalogue) -> Mapping[str, tuple[str, str]]:
    """Every claim that can be asked for: its type of data and field."""
    return {
        claim: (dataset.id, field.id)
        for dataset in catalogue.datasets.values()
        if dataset.format == ACCOUNT
        for field in dataset.fields.values()
        for kind, claim in field.find
        if kind == TYPE_OF_CLAIM
    }


def details(
    scopes: Collection[str],
    claims: ClaimsAsked,
    rows: list[Any],
    catalogue: Catalogue,
    public_url: str,
) -> list[Any]:
    """authorization_details that ask for what these scopes and claims mean, beside the `rows` that the app sent. Raises
    InvalidDetails for those that the purpose of these rows does not cover."""
    if OPENID not in scopes:
        return []
    fields: dict[str, dict[str, None]] = {}
    purpose = _of_first(rows, "purpose", SIGN_IN_PURPOSE)
    needed: dict[str, bool] = {}
    for scope in scopes:
        if scope in SCOPES:
            _check_covered(purpose, "scope", scope, SCOPES, catalogue)
            fields[SCOPES[scope]], needed[SCOPES[scope]] = dict.fromkeys(catalogue.datasets[SCOPES[scope]].fields), True
    claimed = known(catalogue)
    for claim, essential in claims.all.items():
        dataset, field = claimed.get(claim, ("", ""))
        _check_covered(purpose, "claims", claim, {name: of for name, (of, _) in claimed.items()}, catalogue)
        if dataset and needed.get(dataset) is not True:
            fields.setdefault(dataset, {})[field] = None
            needed[dataset] = needed.get(dataset, False) or essential
    asked_already = {name for row in rows if isinstance(row, dict) for name in _names(row)}
    return [
        {
            "type": "data_access",
            "locations": [public_url + USERINFO],
            "datatypes": [dataset],
            "actions": ["read"],
            "purpose": purpose,
            "fields": list(names),
            "period": {"history": "P1D", "future": True},
            **_lasting(rows),
            "retention": _of_first(rows, "retention", RETENTION),
            **({"once": True} if _of_first(rows, "once", False) else {}),
            "necessity": "required" if needed[dataset] else "optional",
        }
        for dataset, names in fields.items()
        if dataset not in asked_already
    ]


def _check_covered(purpose: object, term: str, name: str, means: Mapping[str, str], catalogue: Catalogue) -> None:
    """`means`: what may stand in this term → the type of data for which it stands. Signing in goes with any purpose."""
    known = catalogue.purposes.get(purpose) if isinstance(purpose, str) else None
    if known is None or name not in means:
        return
    allowed = [one for one, dataset in means.items() if dataset == SIGN_IN or dataset in known.datasets]
    if name not in allowed:
        raise InvalidDetails(f"the purpose {known.code} does not cover it", term, name, " ".join(allowed))


def _lasting(rows: list[Any]) -> dict[str, Any]:
    """How long, as the app's own objects say it: until a time, or for a time."""
    until = _of_first(rows, "valid_until", None)
    return {"valid_for": _of_first(rows, "valid_for", VALID_FOR)} if until is None else {"valid_until": until}


def _names(row: Mapping[str, Any]) -> Iterable[str]:
    named = row.get("datatypes")
    return [one for one in named if isinstance(one, str)] if isinstance(named, list) else []


def _of_first(rows: list[Any], member: str, otherwise: Any) -> Any:
    """As the app's own objects say it, because all of one request say the same."""
    first = rows[0] if rows and isinstance(rows[0], dict) else {}
    return first.get(member, otherwise)


def claims_granted(terms: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    """The names of the claims that these terms let out."""
    return sorted(
        {
            member
            for item in granted_items(terms)
            if item["organisation"] == ITSELF and item["dataset"] in catalogue.datasets
            for kind, member in catalogue.datasets[item["dataset"]].members(frozenset(item["fields"]))
            if kind == TYPE_OF_CLAIM
        }
    )


def told(terms: Mapping[str, Any], claims: Mapping[str, object], catalogue: Catalogue) -> dict[str, object]:
    """Of what the account says of a person, what these terms let out at /userinfo; without `sub`."""
    granted = claims_granted(terms, catalogue)
    return {name: value for name, value in claims.items() if name in granted and name not in ALWAYS}


def fields_of(terms: Mapping[str, Any], claims: Collection[str], catalogue: Catalogue) -> Mapping[str, list[str]]:
    """Of the account that these terms grant, the fields that `claims` tell, by type of data; for the log."""
    said = {(TYPE_OF_CLAIM, claim) for claim in claims}
    found = {
        item["dataset"]: [
            name for name in item["fields"] if not said.isdisjoint(_members(catalogue, item["dataset"], name))
        ]
        for item in granted_items(terms)
        if item["organisation"] == ITSELF
    }
    return {dataset: fields for dataset, fields in found.items() if fields}


def _members(catalogue: Catalogue, dataset: str, field: str) -> Collection[tuple[str, str]]:
    known = catalogue.datasets.get(dataset)
    return known.members(frozenset((field,))) if known else ()
