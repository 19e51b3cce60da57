"""The access request: an app's `authorization_details` of type `data_access`, checked.

    JSON Schema (shape) → app's registration (who may ask for what) → purpose's caps (how much)

What a grant told the app (granting.py) is a request, too: for the same again, of accounts that the person chooses anew.
The result is an `Ask`, the one frozen object that screen, terms, receipt and log are built from.
A request above a cap is refused with the term, what was asked and what is allowed, so
that an app can correct itself; nothing is ever lowered silently.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import jsonschema

from gateway.catalogue import Caps, Catalogue, Dataset, Purpose, Words
from gateway.catalogue.datasets import ACCOUNT
from gateway.consent.facts import AppView, DeclaredData, OrganisationFacts
from gateway.consent.itself import ITSELF, SIGN_IN, USERINFO
from gateway.ground.calendar.durations import parse as parse_duration

REMEMBERED = 10_000  # hashes at most
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")  # what is told back of a name that an app sent
PER_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365.2425 / 12, "year": 365.2425}


class InvalidDetails(Exception):
    """RFC 9396 §5: invalid_authorization_details. `term`, `asked`, `allowed` tell what to change. `why` is plain ASCII,
    because it becomes an error_description."""

    def __init__(self, why: str, term: str = "", asked: str = "", allowed: str = "") -> None:
        super().__init__(why)
        self.why, self.term, self.asked, self.allowed = why, term, asked, allowed


@dataclass(frozen=True, slots=True)
class Period:
    """The period of the data: `history` counts back from each call; `start` and `end` are fixed times (RFC 3339)."""

    history: str | None = None
    start: str | None = None
    end: str | None = None
    future: bool = False


@dataclass(frozen=True, slots=True)
class AskItem:
    organisation: str
    dataset: str
    fields: tuple[str, ...]  # structural ones included, in catalogue order
    period: Period
    frequency: tuple[int, str] | None
    records_max: int | None
    necessity: str
    reason: Words
    sensitivity: str


@dataclass(frozen=True, slots=True)
class Ask:
    app: str
    app_metadata_sha256: str
    purpose: str
    purpose_version: int
    items: tuple[AskItem, ...]
    valid_for: str
    once: bool
    retention: str

    @property
    def is_sign_in(self) -> bool:
        """Whether it asks for nothing beyond the person's account here."""
        return all(item.organisation == ITSELF for item in self.items)

    def organisations(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item.organisation for item in self.items))

    def required_organisations(self) -> tuple[str, ...]:
        """Those without which nothing can be agreed: something asked for there is required."""
        return tuple(dict.fromkeys(item.organisation for item in self.items if item.necessity == "required"))

    def still_fits(self, catalogue: Catalogue, directory: Mapping[str, OrganisationFacts]) -> bool:
        """Whether this would still be asked in the same way: False if the policies have changed since the app asked so
        that its purpose or a type of data is gone, a cap is lower, a field is gone or always comes along, or data
        counts as more sensitive, or less."""
        purpose = catalogue.purposes.get(self.purpose)
        return purpose is not None and all(
            self._still_fits(item, purpose, catalogue, catalogue.of(directory.get(item.organisation), item.dataset))
            for item in self.items
        )

    def _still_fits(self, item: AskItem, purpose: Purpose, catalogue: Catalogue, dataset: Dataset | None) -> bool:
        if dataset is None or (item.dataset not in purpose.datasets and item.dataset != SIGN_IN):
            return False
        if not set(dataset.structural()) <= set(item.fields) <= dataset.fields.keys():
            return False
        terms = {"valid_for": self.valid_for, "retention": self.retention, "period": {"history": item.period.history}}
        if item.frequency:
            terms["frequency"] = dict(zip(("times", "per"), item.frequency, strict=True))
        try:
            _within_caps(terms, purpose)
        except InvalidDetails:
            return False
        return catalogue.sensitivity(dataset, item.fields) == item.sensitivity

    def as_json(self) -> str:
        items = [{**_members(item), "period": _members(item.period)} for item in self.items]
        whole = {**_members(self), "items": items}
        return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Ask":
        return _from_json(text)


def _members(value: Ask | AskItem | Period) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


@lru_cache(maxsize=256)  # one request is read several times on its way
def _from_json(text: str) -> Ask:
    row = json.loads(text)
    items = tuple(
        AskItem(
            **{
                **item,
                "fields": tuple(item["fields"]),
                "period": Period(**item["period"]),
                "frequency": tuple(item["frequency"]) if item["frequency"] else None,
            }
        )
        for item in row["items"]
    )
    return Ask(**{**row, "items": items})


@lru_cache(maxsize=4)
def _validator(catalogue: Catalogue) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(catalogue.schema)


@lru_cache(maxsize=4)
def _fitting(catalogue: Catalogue) -> set[str]:
    """Hashes of objects that fit its schema: apps ask for the same again and again."""
    return set()


def validate(
    details: list[Any],
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    catalogue: Catalogue,
    public_url: str,
    now: datetime | None = None,
) -> Ask:
    """An `Ask` for parsed `authorization_details`. Raises InvalidDetails.

    `directory`: every organisation by id.
    """
    if not details:
        raise InvalidDetails("authorization_details is empty", "authorization_details")
    for position, row in enumerate(details):
        check_shape(row, position, catalogue)
    details = [_as_asked(row, now) for row in details]
    purpose = _one_purpose(details, app, catalogue)
    items: dict[tuple[str, str], AskItem] = {}
    for row in details:
        _within_caps(row, purpose)
        if now is not None:
            _ends_within_caps(row, purpose, now)
        for item in _items(row, app, directory, catalogue, purpose, public_url):
            if (item.organisation, item.dataset) in items:
                raise InvalidDetails("two objects ask for the same data", "datatypes", item.dataset)
            items[item.organisation, item.dataset] = item
    same = {key: _same(details, key) for key in ("valid_for", "retention", "once")}
    return Ask(
        app=app.client_id,
        app_metadata_sha256=app.metadata_sha256,
        purpose=purpose.code,
        purpose_version=purpose.version,
        items=tuple(items.values()),
        valid_for=same["valid_for"],
        once=bool(same["once"]),
        retention=same["retention"],
    )


def check_shape(row: Any, position: int, catalogue: Catalogue) -> None:
    """Whether it is an object of type data_access, whatever it asks for. Raises InvalidDetails."""
    if not isinstance(row, dict) or row.get("type") != "data_access":
        raise InvalidDetails("unknown type", f"[{position}].type", allowed="data_access")
    if "valid_for" in row and "valid_until" in row:
        raise InvalidDetails(f"[{position}]: valid_for or valid_until, not both", f"[{position}].valid_until")
    if "valid_for" not in row and "valid_until" not in row:
        raise InvalidDetails(f"[{position}].valid_for is missing, or valid_until", f"[{position}].valid_for")
    text = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    fitting = _fitting(catalogue)
    if text in fitting:
        return
    error = next(iter(_validator(catalogue).iter_errors(row)), None)
    if error:
        # The validator's message may repeat what the app sent, so only the member and the rule's name are told.
        where = _member([position, *error.absolute_path, *_missing(error)])
        if error.validator == "additionalProperties":
            raise _unknown(error, where)
        raise InvalidDetails(f"{where} does not fit the schema of data_access: {error.validator}", where)
    if len(fitting) >= REMEMBERED:
        fitting.clear()
    fitting.add(text)


def _member(path: Iterable[int | str]) -> str:
    """A place in the request: [0].period.history, [1].datatypes[2]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _missing(error: jsonschema.ValidationError) -> list[str]:
    """The name of the missing member, if a missing member is the fault: the validator only gives the object's place."""
    if error.validator != "required":
        return []
    required: Any = error.validator_value
    found: Any = error.instance
    return [name for name in required if name not in found][:1]


def _unknown(error: jsonschema.ValidationError, where: str) -> InvalidDetails:
    """`asked`: the member that the schema does not know, if its name can be told back. It gets into no log."""
    schema: Any = error.schema
    found: Any = error.instance
    names = [name for name in found if name not in schema["properties"] and _MEMBER.fullmatch(name)]
    allowed = " ".join(schema["properties"])
    return InvalidDetails(f"{where} has a member that data_access does not have", where, "".join(names[:1]), allowed)


def _as_asked(row: dict[str, Any], now: datetime | None) -> dict[str, Any]:
    """The same with `valid_for` in place of `valid_until`, in whole days that end no later."""
    if "valid_until" not in row:
        return row
    try:
        until = datetime.fromisoformat(row["valid_until"])
    except ValueError:
        raise InvalidDetails("not a time of RFC 3339", "valid_until") from None
    if now is None or until.tzinfo is None or (until - now).days < 1:
        raise InvalidDetails("valid_until must lie a day ahead or more, with a zone; or say valid_for", "valid_until")
    return {**row, "valid_for": f"P{(until - now).days}D"}


def _one_purpose(details: list[dict[str, Any]], app: AppView, catalogue: Catalogue) -> Purpose:
    """The one purpose of the request. Each purpose gets a screen of its own, so two purposes are two requests."""
    codes = list(dict.fromkeys(row["purpose"] for row in details))
    if len(codes) > 1:
        raise InvalidDetails("one request carries one purpose", "purpose", " ".join(codes)[:200])
    if codes[0] not in catalogue.purposes:
        raise InvalidDetails("unknown purpose", "purpose", codes[0], " ".join(sorted(catalogue.purposes)))
    if codes[0] not in app.purposes:
        raise InvalidDetails("the app is not registered for this purpose", "purpose", codes[0], " ".join(app.purposes))
    return catalogue.purposes[codes[0]]


def _same(details: list[dict[str, Any]], key: str) -> Any:
    values = list(dict.fromkeys(row.get(key, False) for row in details))  # once: false if it is not said
    if len(values) > 1:
        raise InvalidDetails(f"{key} differs between objects of one request", key)
    return values[0]


def _within_caps(row: dict[str, Any], purpose: Purpose) -> None:
    caps: Caps = purpose.caps
    for term, asked, bound in (
        ("valid_for", row["valid_for"], "validity"),
        ("retention", row["retention"], "retention"),
        ("period.history", row["period"].get("history"), "history"),
    ):
        if asked is None:
            continue
        try:
            length = parse_duration(asked).length
        except ValueError:
            raise InvalidDetails("not a usable duration", term, asked) from None
        if length > getattr(caps, bound).length + 0.01:
            raise InvalidDetails("above the purpose's cap", term, asked, caps.texts[bound])
    for limit in _limits(row):
        _frequency_within(limit, caps.frequency)


def _limits(row: dict[str, Any]) -> list[dict[str, Any]]:
    said = row.get("frequency", [])
    return said if isinstance(said, list) else [said]


def _own_limit(row: dict[str, Any], purpose: Purpose, dataset: Dataset) -> tuple[int, str] | None:
    """How often, as the app asks. A grant tells this first, and then the caps, which hold anyway."""
    said = [(int(limit["times"]), str(limit["per"])) for limit in _limits(row)]
    caps = [limit for limit in (*purpose.caps.frequency, dataset.frequency) if limit is not None]
    for limit in said[1:]:
        if limit not in caps:
            raise InvalidDetails("one limit, and caps that hold anyway", "frequency", allowed=_told(caps))
    return said[0] if said else None


def _told(limits: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{times} per {per}" for times, per in limits)


def _ends_within_caps(row: dict[str, Any], purpose: Purpose, now: datetime) -> None:
    """Check a period with fixed ends: no earlier than the history cap, no later than the longest sharing could end."""
    period = period_of(row["period"])
    if period.start is None or period.end is None:
        return
    earliest, latest = purpose.caps.history.before(now), purpose.caps.validity.after(now)
    if datetime.fromisoformat(period.start) < earliest:
        raise InvalidDetails("above the purpose's cap", "period.from", period.start, earliest.isoformat())
    if datetime.fromisoformat(period.end) > latest:
        raise InvalidDetails("above the purpose's cap", "period.to", period.end, latest.isoformat())


def _frequency_within(frequency: dict[str, Any], caps: Sequence[tuple[int, str]], whose: str = "the purpose's") -> None:
    """Refuse a frequency above a cap, scaled up where the app's window is longer than the cap's. The caps still apply
    to the calls themselves."""
    for times, per in caps:
        longer = max(1.0, PER_DAYS[frequency["per"]] / PER_DAYS[per])
        if frequency["times"] > times * longer:
            raise InvalidDetails(
                f"above {whose} cap",
                "frequency",
                f"{frequency['times']} per {frequency['per']}",
                _told(caps),
            )


def _items(
    row: dict[str, Any],
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    catalogue: Catalogue,
    purpose: Purpose,
    public_url: str,
) -> list[AskItem]:
    """The cross product of locations and datatypes (RFC 9396 §2.2)."""
    period = period_of(row["period"])
    items = []
    for location in row["locations"]:
        organisation = _organisation(location, directory, public_url)
        for dataset in row["datatypes"]:
            known = catalogue.of(organisation, dataset)
            if dataset not in organisation.datasets or known is None:
                raise InvalidDetails("this organisation does not hold this data", "datatypes", dataset)
            if dataset not in purpose.datasets and dataset != SIGN_IN:
                raise InvalidDetails(
                    "the purpose does not cover this data", "datatypes", dataset, " ".join(purpose.datasets)
                )
            if known.format == ACCOUNT and (stray := [name for name in ("frequency", "max_records") if row.get(name)]):
                raise InvalidDetails("nothing counts how often an account is read", stray[0])
            own_cap = [known.frequency] if known.frequency else []
            for limit in _limits(row):
                _frequency_within(limit, own_cap, "the type of data's")
            declared = _declared(app, organisation.id, dataset, known)
            fields = _fields(row.get("fields"), declared, known)
            if row.get("necessity") == "required" and declared.necessity != "required":
                raise InvalidDetails("declared optional at registration", "necessity", "required", "optional")
            items.append(
                AskItem(
                    organisation=organisation.id,
                    dataset=dataset,
                    fields=fields,
                    period=period,
                    frequency=_own_limit(row, purpose, known),
                    records_max=int(row["max_records"]) if "max_records" in row else None,
                    necessity=row.get("necessity", declared.necessity),
                    reason=row.get("reason") or declared.reason,
                    sensitivity=catalogue.sensitivity(known, fields),
                )
            )
    _no_stray_fields(row, items)
    return items


def _organisation(location: str, directory: Mapping[str, OrganisationFacts], public_url: str) -> OrganisationFacts:
    prefix = f"{public_url}/data/"
    name = location.removeprefix(prefix).rstrip("/") if location.startswith(prefix) else ""
    found = directory.get(ITSELF if location == public_url + USERINFO else name)
    if found is None:
        raise InvalidDetails("unknown location", "locations", location[:200], f"{prefix}{{organisation}}")
    return found


def _declared(app: AppView, organisation: str, dataset: str, known: Dataset) -> DeclaredData:
    """What the app registered. Of people's accounts here it may ask for all if it registered to sign people in."""
    if organisation == ITSELF and "openid" in app.scopes:
        return DeclaredData(organisation, dataset, tuple(known.fields), "required", {})
    for declared in app.data:
        if declared.organisation == organisation and declared.dataset == dataset:
            return declared
    raise InvalidDetails("the app is not registered for this data", "datatypes", f"{organisation} {dataset}")


def _fields(asked: list[str] | None, declared: DeclaredData, dataset: Dataset) -> tuple[str, ...]:
    """In catalogue order, always with the structural ones. `asked` None: all fields that the app registered."""
    known = dataset.fields
    wanted = set(declared.fields) if asked is None else set(asked) & set(known)
    for name in sorted(wanted - set(declared.fields) - set(dataset.structural())):
        raise InvalidDetails("the app is not registered for this field", "fields", name, " ".join(declared.fields))
    return tuple(name for name in known if name in wanted or known[name].structural)


def _no_stray_fields(row: dict[str, Any], items: list[AskItem]) -> None:
    covered = {name for item in items for name in item.fields}
    for name in row.get("fields", ()):
        if name not in covered:
            raise InvalidDetails("unknown field", "fields", name)


def period_of(row: Mapping[str, Any]) -> Period:
    """A period that is of the right shape. Raises InvalidDetails."""
    if "history" in row:
        return Period(history=row["history"], future=row.get("future", False))
    try:
        start, end = datetime.fromisoformat(row["from"]), datetime.fromisoformat(row["to"])
    except ValueError:
        raise InvalidDetails("not a time of RFC 3339", "period") from None
    if not (1900 <= start.year and end.year <= 2200):
        raise InvalidDetails("beyond the calendar of any record", "period")
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        raise InvalidDetails("from must lie before to, both with a zone", "period")
    return Period(start=start.isoformat(), end=end.isoformat(), future=False)
