"""Changing a running agreement because its app asks: by more (merge), or to something else (replace).

The request waits as a consent of its own, which names the agreement that it would change (`Consent.amends`); until the
person says yes nothing of that agreement changes. Her yes is a new version of its terms, under the same id, and closes
the request. Tokens from before are worth nothing then (`Consent.tokens_from`).

Of a merge she is asked only what is new. What stands stays as it is, with its accounts; what she had removed comes back
only where it is asked for again and she says yes to it. New data of an organisation comes from the accounts that are
part of the agreement already, so that no old data is taken from a new account, nor the other way round.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlmodel import Session

from gateway.catalogue import Catalogue
from gateway.consent import deciding, events, inbox, terms
from gateway.consent.agreement import Agreement
from gateway.consent.entries import about, entry
from gateway.consent.facts import OrganisationFacts
from gateway.consent.request import Ask, AskItem, InvalidDetails
from gateway.consent.rules import KEPT, MERGE, REPLACE, Act, EndReason, State
from gateway.consent.tables import Consent, Terms
from gateway.errors import Refusal
from gateway.ground.calendar.durations import parse as parse_duration
from gateway.ground.store import raw
from gateway.ground.store.statements import ends
from gateway.house import House

Key = tuple[str, str]  # organisation, type of data
Directory = Mapping[str, OrganisationFacts]

KINDS = {Act.EXTENDED: "consent_extended", Act.RENEWED: "consent_renewed", Act.CHANGED: "consent_changed"}


@dataclass(frozen=True)
class Amendment:
    """What a request would do, and to what, as it is now."""

    action: str  # rules.MERGE or rules.REPLACE
    target: Consent
    terms: Mapping[str, Any]  # in force
    live: bool  # else it has ended, and nothing can be changed any more

    @property
    def merges(self) -> bool:
        return self.action == MERGE

    @cached_property
    def granted(self) -> dict[Key, dict[str, Any]]:
        return {(item["organisation"], item["dataset"]): item for item in terms.granted_items(self.terms)}

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self.terms["valid"]["until"])

    def accounts(self, organisation: str) -> frozenset[str] | None:
        """Of a merge: the accounts that are part of the agreement already. None: the person chooses."""
        held = [item["accounts"] for (name, _), item in self.granted.items() if name == organisation]
        return frozenset(ref for refs in held for ref in refs) if held and self.merges else None

    def new(self, asked: Ask, catalogue: Catalogue, directory: Directory) -> Ask:
        """What of `asked` the person has to be asked: of a merge, what is not granted yet."""
        if not self.merges:
            return asked
        found = (self._new(item, catalogue, directory) for item in asked.items)
        return replace(asked, items=tuple(item for item in found if item is not None))

    def _new(self, item: AskItem, catalogue: Catalogue, directory: Directory) -> AskItem | None:
        had = self.granted.get((item.organisation, item.dataset))
        if had is None:
            return item
        more = set(item.fields) - set(had["fields"])
        known = catalogue.of(directory.get(item.organisation), item.dataset)
        if not more or known is None:
            return None
        fields = tuple(name for name in item.fields if name in more or name in known.structural())
        return replace(item, fields=fields, sensitivity=catalogue.sensitivity(known, fields))

    def durations(self, asked: Ask, now: datetime, latest: datetime | None) -> tuple[str, ...]:
        """The lengths the person may choose from; of a merge, that the end stays, or a later one."""
        every = terms.offered_durations(asked)
        if not self.merges:
            return every
        later = (key for key in every if key != "once" and terms.until(asked, key, now, latest) > self.until)
        return (KEPT, *later)


def of(session: Session, request: Consent, now: datetime) -> Amendment | None:
    """What this request would change; None: nothing, it asks for an agreement of its own."""
    target = session.get(Consent, request.amends) if request.amends else None
    agreed = deciding.current(session, target) if target else None
    if target is None or agreed is None:
        return None
    if (target.person_id, target.app_id) != (request.person_id, request.app_id):
        raise ValueError("a request changes an agreement of its own person and app")
    runs = target.state in (State.ACTIVE, State.PAUSED) and not deciding.is_over(target, now)
    return Amendment(request.action, target, agreed, runs)


def check(asked: Ask, action: str, target: Consent, agreed: Mapping[str, Any], now: datetime) -> None:
    """Refuse what cannot become part of this agreement, because an agreement has one purpose, one end and one time for
    which data is kept, and each type of data one period. Raises InvalidDetails."""
    if asked.purpose != target.purpose:
        raise InvalidDetails("the grant is for another purpose", "purpose", asked.purpose, target.purpose)
    if action == REPLACE:
        return
    if asked.once or agreed["valid"]["max_uses"]:
        raise InvalidDetails("nothing is added to or by a sharing for one use", "once")
    if asked.retention != agreed["retention"]["duration"]:
        kept = agreed["retention"]["duration"]
        raise InvalidDetails("the grant has another retention", "retention", asked.retention, kept)
    # A day is added because a request until the grant's own end is taken in whole days (request.py).
    if parse_duration(asked.valid_for).after(now + timedelta(days=1)) < datetime.fromisoformat(
        agreed["valid"]["until"]
    ):
        raise InvalidDetails("the grant lasts longer", "valid_for", asked.valid_for, agreed["valid"]["until"])
    granted = {(item["organisation"], item["dataset"]): item for item in terms.granted_items(agreed)}
    for item in asked.items:
        had = granted.get((item.organisation, item.dataset))
        if had is not None:
            _check_beside(item, had)


def _check_beside(item: AskItem, had: Mapping[str, Any]) -> None:
    """`had`: the same type of data as it is granted. New fields of it come under the limits that it has."""
    period = {"history": item.period.history, "from": item.period.start, "to": item.period.end}
    if {**period, "future": item.period.future} != had["period"]:
        raise InvalidDetails("this data is granted for another period: use replace", "period", item.dataset)
    times, per = item.frequency or (0, "")
    if times and not any(limit["per"] == per and limit["times"] <= times for limit in had["frequency"]):
        raise InvalidDetails("this data is granted more often: use replace", "frequency", item.dataset)
    if item.records_max is not None and not 0 < (had["records_max"] or 0) <= item.records_max:
        raise InvalidDetails("this data is granted with more records: use replace", "max_records", item.dataset)


def amend(session: Session, house: House, agreement: Agreement, now: datetime) -> Refusal | None:
    """The person says yes to the request: the agreement that it names gets its next version. None: done, or it was
    answered before (a second click). Raises LogFrozen."""
    request, actor = agreement.consent, agreement.decider.actor
    house.log.turn(session, request.person_id)
    if request.state != State.REQUESTED:
        return None
    house.log.require_whole()
    found = of(session, request, now)
    if found is None or not found.live:
        raise ValueError("what has ended is not changed")
    whole = _asked(found, agreement)
    refusal = deciding.policy_refuses(house.policies, agreement, whole, _organisations(found, agreement))
    if refusal:
        return refusal
    target, before = found.target, found.granted
    deciding.resume(session, house.log, target, actor, now)  # the screen has said so; log and receivers say it too
    agreed = _next_version(session, house, found, agreement, now)
    target.version = target.tokens_from = agreed["version"]
    target.until, target.asked = datetime.fromisoformat(agreed["valid"]["until"]), whole.as_json()
    deciding.store(session, target, agreed, now)
    session.add(deciding.kept_evidence(house.keys, agreement, target, now))
    after = {(item["organisation"], item["dataset"]): item for item in terms.granted_items(agreed)}
    act = _act(found, before, after)
    events.change(session, target, act, actor, now)
    ends(raw(session))
    added = sorted(data for (place, data), item in after.items() if _grown(before.get((place, data)), item))
    gone = sorted({data for _, data in before.keys() - after.keys()})
    said = {name: value for name, value in (("added", added), ("removed", gone)) if value}
    house.log.record(session, entry(KINDS[act], about(target), agreed, actor, now, **said))
    events.change(session, request, Act.AMENDED, actor, now, EndReason.AMENDED)
    request.ended_at = now
    inbox.ask_again(session, request.person_id, request.app_id, request.purpose)
    return None


def _act(found: Amendment, before: Mapping[Key, Any], after: Mapping[Key, Any]) -> Act:
    if not found.merges:
        return Act.CHANGED
    return Act.EXTENDED if any(_grown(before.get(key), item) for key, item in after.items()) else Act.RENEWED


def _grown(had: Mapping[str, Any] | None, item: Mapping[str, Any]) -> bool:
    return had is None or bool(set(item["fields"]) - set(had["fields"]))


def _organisations(found: Amendment, agreement: Agreement) -> set[str]:
    """Those of the agreement as it would be: the policies judge the whole of it, not only what is new."""
    chosen = {organisation for organisation, _ in agreement.choices.granted}
    return chosen | ({organisation for organisation, _ in found.granted} if found.merges else set())


def _asked(found: Amendment, agreement: Agreement) -> Ask:
    """All that was ever asked for of this agreement, with what is asked now; of a replacement, that alone."""
    asked = agreement.ask
    if not found.merges:
        return asked
    items = {(item.organisation, item.dataset): item for item in Ask.from_json(found.target.asked).items}
    for item in asked.items:
        had = items.get((item.organisation, item.dataset))
        more = tuple(name for name in item.fields if had and name not in had.fields)
        stands = had is not None and (item.organisation, item.dataset) in found.granted
        items[item.organisation, item.dataset] = (
            replace(had, fields=had.fields + more, sensitivity=_higher(had.sensitivity, item.sensitivity))
            if had is not None and stands
            else item
        )
    return replace(asked, items=tuple(items.values()))


def _higher(one: str, other: str) -> str:
    return max(one, other, key=("none", "sensitive", "special").index)


def _next_version(
    session: Session, house: House, found: Amendment, agreement: Agreement, now: datetime
) -> dict[str, Any]:
    target, choices = found.target, agreement.choices
    kept = choices.duration == KEPT
    until = found.until if kept else terms.until(agreement.ask, choices.duration, now, agreement.decider.until)
    built = terms.build(
        agreement,
        house.catalogue,
        subject=found.terms["subject"],
        replaces=found.terms["replaces"],
        policy_sha256=house.policies.sha256,
        zone=house.settings.zone,
        until=until,
        now=now,
    )
    previous = session.get_one(Terms, (target.id, target.version))
    version = {"consent": target.id, "version": target.version + 1, "previous": previous.sha256}
    if not found.merges:
        return {**built, **version}
    items = _merged(found, built["items"], house.catalogue, agreement.directory)
    return {**built, **version, "items": items, "valid": _valid(found, built["valid"], items, kept)}


def _valid(found: Amendment, built: Mapping[str, Any], items: list[dict[str, Any]], kept: bool) -> dict[str, Any]:
    """The end that was chosen. The beginning moves only where no data is cut there (`ledger.live.window`)."""
    before = found.terms["valid"]
    moves = all(item["period"]["future"] or item["period"]["from"] for item in items if item["granted"])
    begins = built["from"] if moves and not kept else before["from"]
    return {**(before if kept else built), "from": begins}


def _merged(
    found: Amendment, new: list[dict[str, Any]], catalogue: Catalogue, directory: Directory
) -> list[dict[str, Any]]:
    """What stands as it is, with what is new beside it or, of a type of data that is granted already, within it."""
    added = {(item["organisation"], item["dataset"]): item for item in new}
    items = []
    for item in found.terms["items"]:
        more = added.pop((item["organisation"], item["dataset"]), None)
        if more is None or not item["granted"]:
            items.append(more or item)
        else:
            items.append(_widened(item, more, catalogue, directory))
    return [*items, *added.values()]


def _widened(
    item: Mapping[str, Any], more: Mapping[str, Any], catalogue: Catalogue, directory: Directory
) -> dict[str, Any]:
    known = catalogue.at(directory.get(item["organisation"]), item["dataset"])
    asked = [*item["asked"]["fields"], *(one for one in more["asked"]["fields"] if one not in item["asked"]["fields"])]
    wider = {**item, "asked": {"fields": asked}}
    if not more["granted"]:
        return wider
    both = {*item["fields"], *more["fields"]}
    fields = [name for name in known.fields if name in both]
    made = {**more.get("made", {}), **item.get("made", {})}
    sensitivity = _higher(item["sensitivity"], more["sensitivity"])
    return {**wider, "fields": fields, **({"made": made} if made else {}), "sensitivity": sensitivity}
