"""Reading sharings: the queries, and the facts from which the pages are rendered.

A person sees her own sharings and those of the children she decides for. Nothing here writes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from gateway import errors
from gateway.catalogue import Catalogue
from gateway.consent import asking, deciding, evidence
from gateway.consent.actors import Actor, acting
from gateway.consent.facts import AppView, OrganisationFacts, PersonFacts, SharingFacts
from gateway.consent.request import Ask
from gateway.consent.rules import DURATIONS, NEVER_A_SHARING, Act, EndReason, State
from gateway.consent.tables import Consent, ConsentEvent, Evidence, Terms
from gateway.consent.words import Wording
from gateway.ground.keys import KeyRing
from gateway.ground.web.marks import N_
from gateway.log import Log
from gateway.log import reading as log_reading
from gateway.log.tally import WINDOW
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Sharing:
    """One consent and everything that its pages show."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    terms: Mapping[str, Any] | None  # None: nobody agreed (yet)
    ask: Ask
    state: State  # as of now: ended if the end date has passed, even if the end is not recorded yet
    reason: str
    ended_by: str  # actor of the last event
    owner: PersonFacts
    actor: Actor  # as whom the reader acts on it: the person herself, or the guardian of a child
    held: bool  # the reader is a child, and her guardian paused it or may have stopped it: only the guardian resumes it
    restored: bool  # paused by the operator, after an earlier copy of the records was put back
    accesses: int  # in the last 30 days
    waits: bool  # here, and on no page that she opened at the app's: for an answer, or to be signed in as agreed

    @property
    def mine(self) -> bool:
        return not self.actor.for_another

    @property
    def running(self) -> bool:
        return self.state in (State.ACTIVE, State.PAUSED)

    @property
    def data(self) -> list[tuple[str, str]]:
        """(organisation, type of data) of what is shared, or of what was asked for if nobody agreed."""
        if self.terms is None:
            return [(item.organisation, item.dataset) for item in self.ask.items]
        return [(item["organisation"], item["dataset"]) for item in self.terms["items"] if item["granted"]] or [
            (item["organisation"], item["dataset"]) for item in self.terms["items"]
        ]

    @property
    def organisations(self) -> list[str]:
        return list(dict.fromkeys(organisation for organisation, _ in self.data))

    @property
    def lasts(self) -> str:
        """The chosen length (rules.DURATIONS). "" if the end date is earlier than that, so that the length would be
        wrong."""
        if self.terms is None:
            return ""
        valid = self.terms["valid"]
        length = datetime.fromisoformat(valid["until"]) - datetime.fromisoformat(valid["from"])
        days = dict(DURATIONS)[valid["duration"]]
        return str(valid["duration"]) if days is None or length >= timedelta(days=days) else ""

    def ends_within(self, days: int, now: datetime) -> bool:
        """Whether it runs and its end date is near. Not for a single use, which cannot be continued."""
        if not self.running or self.terms is None or self.terms["valid"]["max_uses"]:
            return False
        return self.consent.until is not None and self.consent.until - now <= timedelta(days=days)

    @property
    def suspended(self) -> str:
        """By whom the app or an organisation is suspended: "service", "organisation" or "". Shown besides the state,
        because it is not something the person did."""
        if not self.running:
            return ""
        if not self.app.active:
            return "service"
        gone = (name not in self.directory or not self.directory[name].active for name in self.organisations)
        return "organisation" if any(gone) else ""

    @property
    def order(self) -> tuple[bool, float]:
        """Sort key: running ones first, then the latest first (by last access, agreement or request)."""
        latest = self.consent.last_access_at or self.consent.granted_at or self.consent.created_at
        return not self.running, -latest.timestamp()

    @property
    def twins(self) -> tuple[str, str, str]:
        """What several requests of an app have in common when they ask for the same thing."""
        return self.consent.person_id, self.consent.app_id, self.consent.purpose

    @property
    def told(self) -> tuple[datetime, bool, str]:
        """When it was answered or, if it was not, asked. The rest orders two of one instant: answers last."""
        consent = self.consent
        answered = consent.granted_at
        if self.state == State.REFUSED or self.reason in (EndReason.CONTINUED, EndReason.AMENDED):
            answered = consent.ended_at
        return answered or consent.created_at, answered is not None, consent.id

    def why_ended(self, say: Wording) -> str:
        """The reason in words for this reader: "stopped by you" is only told to the person who stopped it."""
        if self.state != State.ENDED:
            return ""
        if self.reason == EndReason.WITHDRAWN and self.ended_by == "guardian":
            return say(N_("stopped by the guardian"))
        if self.reason == EndReason.WITHDRAWN and not self.mine:
            return say(N_("stopped by %(name)s"), name=self.owner.name)
        if self.reason == EndReason.INVALIDATED and self.ended_by == "organisation":
            return say(N_("organisation disconnected"))
        if self.reason == EndReason.INVALIDATED and self.ended_by == "operator":
            return say(N_("app disabled"))
        return say.reason(self.reason)


def all_of(
    session: Session,
    log: Log,
    settings: Settings,
    facts: SharingFacts,
    reader: str,
    now: datetime,
    *,
    counting: bool = True,
) -> list[Sharing]:
    """Every sharing the reader may see. Requests that were not answered in time, or were answered by letting an earlier
    agreement go on, are left out: they never became sharings. `counting` as for `one`."""
    found: list[Sharing] = []
    directory = facts.directory(session)
    for owner in owners(session, facts, reader):
        counted = _counted(session, log, owner.id, now) if counting else Counter[str]()
        for consent in session.exec(select(Consent).where(Consent.person_id == owner.id)):
            found.append(_sharing(session, facts, consent, directory, owner, reader, counted[consent.id], now))
    kept = [
        sharing
        for sharing in _without_stale_requests(found)
        if sharing.reason not in NEVER_A_SHARING and not _unanswered(settings, sharing, now)
    ]
    return sorted(kept, key=lambda sharing: sharing.order)


def one(
    session: Session,
    log: Log,
    facts: SharingFacts,
    reader: str,
    consent_id: str,
    now: datetime,
    *,
    counting: bool = True,
) -> Sharing:
    """One sharing. Raises NotFound also for somebody else's sharing, so that nobody learns that it exists.

    `counting` False: do not count the accesses. For acts, because other writers wait while they are counted.
    """
    consent = session.get(Consent, consent_id)
    owner = facts.person(session, consent.person_id) if consent else None
    if consent is None or owner is None or not owner.decided_by(reader):
        raise errors.NotFound
    count = _counted(session, log, owner.id, now)[consent.id] if counting else 0
    directory = facts.directory(session)
    return _sharing(session, facts, consent, directory, owner, reader, count, now)


def _counted(session: Session, log: Log, owner: str, now: datetime) -> Counter[str]:
    """Consent → number of accesses in the last 30 days."""
    return log_reading.accesses(session, log, owner, now - WINDOW)


def owners(session: Session, facts: SharingFacts, reader: str) -> list[PersonFacts]:
    """The reader, and the children she decides for."""
    known = [facts.person(session, reader), *(facts.person(session, ward) for ward in facts.wards(session, reader))]
    return [person for person in known if person.decided_by(reader)]


def _without_stale_requests(found: Iterable[Sharing]) -> list[Sharing]:
    """An open request is left out when the same person, app and purpose had a later request or answer: the app has
    asked again since, or the person has answered in another window."""
    every = list(found)
    latest: dict[object, tuple[datetime, bool, str]] = {}
    for sharing in every:
        latest[sharing.twins] = max(sharing.told, latest.get(sharing.twins, sharing.told))
    return [one for one in every if one.state != State.REQUESTED or one.waits or one.told == latest[one.twins]]


def _unanswered(settings: Settings, sharing: Sharing, now: datetime) -> bool:
    return sharing.state == State.REQUESTED and now > asking.answer_by(sharing.consent, settings)


def _sharing(
    session: Session,
    facts: SharingFacts,
    consent: Consent,
    directory: Mapping[str, OrganisationFacts],
    owner: PersonFacts,
    reader: str,
    accesses: int,
    now: datetime,
) -> Sharing:
    state, reason = State(consent.state), consent.reason
    if state in (State.ACTIVE, State.PAUSED) and deciding.is_over(consent, now):
        state, reason = State.ENDED, EndReason.EXPIRED
    paused_by = _paused_by(session, consent.id) if state == State.PAUSED else ""
    return Sharing(
        consent=consent,
        app=facts.app(session, consent.app_id),
        directory=directory,
        terms=deciding.current(session, consent),
        ask=Ask.from_json(consent.asked),
        state=state,
        reason=reason,
        ended_by=_last_actor(session, consent.id) if state == State.ENDED else "",
        owner=owner,
        actor=acting(reader, owner.id),
        held=paused_by in ("guardian", "operator") and owner.minor and owner.id == reader,
        restored=paused_by == "operator",
        accesses=accesses,
        waits=state in (State.REQUESTED, State.ACTIVE) and bool(consent.via) and _waits(consent, now),
    )


def _waits(consent: Consent, now: datetime) -> bool:
    return consent.answer_by is not None and now < consent.answer_by


def _paused_by(session: Session, consent_id: str) -> str:
    """The kind of actor who paused it last."""
    last = (
        select(ConsentEvent.actor)
        .where(ConsentEvent.consent_id == consent_id, ConsentEvent.type == Act.PAUSED)
        .order_by(col(ConsentEvent.seq).desc())
        .limit(1)
    )
    return session.exec(last).first() or ""


def _last_actor(session: Session, consent_id: str) -> str:
    last = (
        select(ConsentEvent.actor)
        .where(ConsentEvent.consent_id == consent_id, ConsentEvent.type != Act.ERASURE_ASKED)
        .order_by(col(ConsentEvent.seq).desc())
        .limit(1)
    )
    return session.exec(last).first() or ""


# ---- the list: filters, order, search, all from the address


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of the list. Empty: everything. With an unknown value the list is empty, and the page says so."""

    status: str = ""
    app: str = ""
    organisation: str = ""
    type: str = ""
    q: str = ""
    sort: str = ""  # "" (what happened last) | access | end
    by: str = ""  # "" (by app) | data

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Wanted":
        return cls(**{name: query.get(name, "")[:100] for name in cls.__slots__})

    @property
    def narrows(self) -> bool:
        return bool(self.status or self.app or self.organisation or self.type or self.q)


def narrowed(sharings: Iterable[Sharing], wanted: Wanted, catalogue: Catalogue, language: str) -> list[Sharing]:
    kept = [sharing for sharing in sharings if _keeps(wanted, sharing, catalogue, language)]
    if wanted.sort == "access":
        kept.sort(key=lambda s: -(s.consent.last_access_at.timestamp() if s.consent.last_access_at else 0))
    if wanted.sort == "end":
        kept.sort(key=lambda s: s.consent.until.timestamp() if s.consent.until else float("inf"))
    return kept


def _keeps(wanted: Wanted, sharing: Sharing, catalogue: Catalogue, language: str) -> bool:
    return (
        wanted.status in ("", sharing.state)
        and wanted.app in ("", sharing.app.client_id)
        and (not wanted.organisation or wanted.organisation in sharing.organisations)
        and (not wanted.type or wanted.type in [dataset for _, dataset in sharing.data])
        and wanted.q.casefold().strip() in _searched(sharing, catalogue, language).casefold()
    )


def _searched(sharing: Sharing, catalogue: Catalogue, language: str) -> str:
    return " ".join(
        [
            sharing.app.name.get(language, ""),
            sharing.app.legal_entity,
            *(organisation_name(sharing, name, language) for name in sharing.organisations),
            purpose_title(sharing, catalogue, language),
            *(label(catalogue, sharing, *data, language) for data in sharing.data),
        ]
    )


# ---- names, always from the same place


def label(catalogue: Catalogue, sharing: Sharing, organisation: str, dataset: str, language: str) -> str:
    known = catalogue.of(sharing.directory.get(organisation), dataset)
    return known.label[language] if known else dataset


def purpose_title(sharing: Sharing, catalogue: Catalogue, language: str) -> str:
    """The purpose's title as in the terms; for a request without terms as in the catalogue now."""
    if sharing.terms:
        return str(sharing.terms["purpose"]["title"][language])
    known = catalogue.purposes.get(sharing.consent.purpose)
    return known.title[language] if known else sharing.consent.purpose


def organisation_name(sharing: Sharing, organisation: str, language: str) -> str:
    if organisation in sharing.directory:
        return sharing.directory[organisation].name[language]
    items = sharing.terms["items"] if sharing.terms else ()
    return next((i["organisation_name"][language] for i in items if i["organisation"] == organisation), organisation)


# ---- one sharing's past


def after(session: Session, consent_id: str) -> str | None:
    """Id of the next agreement of the same person, app and purpose; None: there is none."""
    return session.exec(select(Consent.id).where(Consent.replaces == consent_id, Consent.version > 0)).first()


def versions(session: Session, consent_id: str) -> list[Terms]:
    return list(session.exec(select(Terms).where(Terms.consent_id == consent_id).order_by(col(Terms.version))))


def events(session: Session, consent_id: str) -> list[ConsentEvent]:
    return list(
        session.exec(select(ConsentEvent).where(ConsentEvent.consent_id == consent_id).order_by(col(ConsentEvent.seq)))
    )


def evidence_of(session: Session, consent_id: str) -> list[Evidence]:
    """Of every version that was agreed to on a screen, the last first."""
    found = select(Evidence).where(Evidence.consent_id == consent_id)
    return list(session.exec(found.order_by(col(Evidence.version).desc())))


def account_labels(kept: Sequence[Evidence], keys: KeyRing) -> dict[str, str]:
    """Reference → name of the account as it was shown to the person on the consent screen."""
    shown = [place for one in reversed(kept) for place in evidence.shown(one, keys)["organisations"]]
    return {one["ref"]: one["label"] for place in shown for one in place["accounts"]}


def acted_at(session: Session, kind: str, at: datetime, among: Iterable[str]) -> set[str]:
    """Those consents in `among` that have an event `kind` of exactly this instant, which means of one act on all."""
    theirs = col(ConsentEvent.consent_id).in_(list(among))
    return set(
        session.exec(select(ConsentEvent.consent_id).where(theirs, ConsentEvent.type == kind, ConsentEvent.at == at))
    )
