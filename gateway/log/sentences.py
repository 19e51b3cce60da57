"""An event as a sentence the person can read, in her language.

Sentences come from the table in `events`; names of apps, organisations and types of data from
`Names`. A name stored in the entry wins over today's: it is what the app was called then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from babel.lists import format_list
from babel.numbers import format_decimal
from sqlmodel import Session

from gateway.ground.calendar.instants import last_day
from gateway.ground.web.languages import locale, written_day
from gateway.ground.web.marks import N_
from gateway.log.events import EVENTS, TERMS, WHY, EventKind, EventWording

Words = Mapping[str, str]  # language → text
Facts = Mapping[str, Any]
LookUp = Callable[[str], Words | None]


class Names(Protocol):
    """What the identifiers in entries are called, by language. None: not known (any more)."""

    def app(self, client: str) -> Words | None: ...
    def organisation(self, organisation: str) -> Words | None: ...
    def dataset(self, dataset: str, places: Sequence[str]) -> Words | None:
        """`places`: the organisations whose data it is; they may define types of data themselves."""

    def field(self, field: str, places: Sequence[str]) -> Words | None: ...
    def purpose(self, purpose: str) -> Words | None: ...
    def person(self, person: str) -> str | None:
        """The name of a guardian."""


class Known(Protocol):
    """What the log's pages ask the rooms above; the composition root answers."""

    def names(self, session: Session) -> Names: ...
    def legal_entity(self, session: Session, client: str) -> str:
        """Who operates an app; "" when it is not known any more."""

    def apps_of(self, session: Session, person: str) -> Sequence[str]:
        """Apps that ever asked this person for something."""

    def organisations(self, session: Session) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Told:
    sentence: str
    notes: tuple[str, ...]  # further whole sentences


def places(facts: Facts) -> tuple[str, ...]:
    """The organisations that an entry is about."""
    found = facts.get("organisations") or [facts.get("organisation", "")]
    return tuple(str(one) for one in found if one)


@dataclass(frozen=True)
class Voice:
    """Whose words: one language, its translations, the zone of calendar days, the names."""

    language: str
    translations: NullTranslations
    zone: ZoneInfo
    names: Names

    # ---- sentences

    def tell(self, kind: str, actor: str, facts: Facts, times: int = 1) -> Told:
        """`times`: how many entries are told as one; `facts` are then those of all of them (`folding`)."""
        if kind not in EVENTS:
            return Told(self._(N_("This entry cannot be opened. Ask the operator to check the log.")), ())
        said = self._placeholders(actor, facts)
        if times > 1:
            said["records"] = self._often(times, said["records"])
        wording = _chosen(EVENTS[kind], {**facts, "actor": actor}, said)
        said["app"] = said["app"] or self._(N_("an app"))
        said["organisation"] = said["organisation"] or self._(N_("an organisation"))
        sentence = self._(wording.text).format_map(said)
        return Told(sentence[:1].upper() + sentence[1:], tuple(self._notes(kind, facts, said)))

    def _placeholders(self, actor: str, facts: Facts) -> dict[str, str]:
        said = {
            "app": self.app(facts),
            "organisation": self.organisations(facts),
            "data": self.datasets(facts.get("datasets", ()), places(facts)),
            "added": self._things(facts.get("added", ()), places(facts)),
            "removed": self._things(facts.get("removed", ()), places(facts)),
            "accounts_removed": self._accounts(len(facts.get("accounts_removed", ()))),
            "until": self.day(facts.get("until")),
            "period": self.period(facts),
            "records": self._records(facts.get("records")),
            "more": self.many("{n} more request", "{n} more requests", int(facts["more"])) if facts.get("more") else "",
            "why": self._(WHY[str(facts["reason"])]) if facts.get("reason") in WHY else "",
            "reasons": self.reasons(facts.get("reasons") or {}),
            "of_age": "yes" if facts.get("of_age") else "",
            "guardian": "",
        }
        if actor == "guardian":
            name = facts.get("guardian_name") or self.names.person(str(facts.get("guardian", "")))
            said["guardian"] = (
                self._(N_("{name}, as your guardian,")).format(name=name) if name else self._(N_("Your guardian"))
            )
        return said

    def _notes(self, kind: str, facts: Facts, said: Mapping[str, str]) -> Iterable[str]:
        purpose = self.word(self.names.purpose, facts.get("purpose"))
        if purpose and kind in ("consent_asked", "consent_given"):
            yield self._(N_("{app} states the purpose: {purpose}.")).format(app=said["app"], purpose=purpose)
        withheld = facts.get("fields_withheld") if kind != "denied" else None
        if withheld:
            count = len(withheld) if isinstance(withheld, list) else int(withheld)
            yield self.many(
                "{n} kind of details was withheld: you did not agree to it.",
                "{n} kinds of details were withheld: you did not agree to them.",
                count,
            )
        if facts.get("records_withheld"):
            yield self.many(
                "{n} record outside what you agreed to was withheld.",
                "{n} records outside what you agreed to were withheld.",
                int(facts["records_withheld"]),
            )
        if facts.get("present") is False:
            yield self._(N_("This happened while you were away."))

    # ---- parts

    def _(self, text: str) -> str:
        return self.translations.gettext(text)

    def many(self, one: str, more: str, count: int) -> str:
        n = format_decimal(count, locale=locale(self.language))
        return self.translations.ngettext(one, more, count).format(n=n)

    def word(self, look_up: LookUp, identifier: object) -> str:
        """A name in this language; "" when unknown."""
        words = look_up(str(identifier)) if identifier else None
        return str(words.get(self.language) or next(iter(words.values()), "")) if words else ""

    def app(self, facts: Facts) -> str:
        whose, acts = self._app("client", facts), self._app("processor", facts)
        return self._(N_("{processor} (for {app})")).format(processor=acts, app=whose) if acts else whose

    def _app(self, role: str, facts: Facts) -> str:
        """Its name as it was; its identifier, where it has none any more; "" where there is no such role."""
        return self._then(facts.get(f"{role}_name"), self.names.app, facts.get(role)) or str(facts.get(role, ""))

    def _then(self, stored: object, look_up: LookUp, identifier: object) -> str:
        """The name as it was. One stored in another language is said in this one if it is still the name."""
        if isinstance(stored, Mapping):
            return str(stored.get(self.language) or next(iter(stored.values()), ""))
        today = look_up(str(identifier)) if identifier else None
        if stored and (today is None or stored not in today.values()):
            return str(stored)
        return self.word(look_up, identifier)

    def organisations(self, facts: Facts) -> str:
        if "organisation_name" in facts:
            return self._then(facts["organisation_name"], self.names.organisation, facts.get("organisation"))
        found = facts.get("organisations") or [facts.get("organisation", "")]
        return self.joined(self.word(self.names.organisation, one) or str(one) for one in found if one)

    def datasets(self, datasets: Sequence[str], at: Sequence[str]) -> str:
        return self.joined(_lower(self.word(self._dataset(at), one) or one) for one in datasets)

    def _dataset(self, at: Sequence[str]) -> LookUp:
        return lambda one: self.names.dataset(one, at)

    def _things(self, named: Sequence[str], at: Sequence[str]) -> str:
        """Types of data or single details, whichever the person took out or added."""
        return self.joined(self.datum(one, at) for one in named)

    def datum(self, identifier: str, at: Sequence[str]) -> str:
        named = self.word(self._dataset(at), identifier) or self.word(lambda one: self.names.field(one, at), identifier)
        return _lower(named or identifier)

    def joined(self, parts: Iterable[str]) -> str:
        found = list(dict.fromkeys(parts))
        return format_list(found, locale=locale(self.language)) if found else ""

    def day(self, at: object) -> str:
        moment = instant(at)
        return written_day(moment.astimezone(self.zone), "long", self.language) if moment else ""

    def period(self, facts: Facts) -> str:
        """From its first day to its last: facts have where it ends, which may be the midnight behind that day."""
        first, after = instant(facts.get("period_from")), instant(facts.get("period_to"))
        start = self.day(facts.get("period_from"))
        end = written_day(last_day(first, after, self.zone.key), "long", self.language) if after else ""
        if start and end and start != end:
            return self._(N_("{start} to {end}")).format(start=start, end=end)
        return start or end

    def _accounts(self, count: int) -> str:
        return self.many("{n} account", "{n} accounts", count) if count else ""

    def _records(self, records: object) -> str:
        return self.many("{n} record", "{n} records", records) if isinstance(records, int) else ""

    def _often(self, times: int, records: str) -> str:
        often = self.many("{n} time", "{n} times", times)
        return self._(N_("{times}, {records}")).format(times=often, records=records) if records else often

    def reasons(self, counts: Mapping[str, int]) -> str:
        """Why each of several refusals was one, the most frequent first."""
        known = [(self._(WHY[reason]), count) for reason, count in counts.items() if reason in WHY]
        if len(known) == 1:
            return known[0][0]
        return self.joined(
            self._(N_("{why} ({times})")).format(why=why, times=self.many("{n} time", "{n} times", count))
            for why, count in sorted(known, key=lambda one: (-one[1], one[0]))
        )

    def term(self, name: str) -> str:
        return self._(TERMS[name]) if name in TERMS else name

    def value(self, text: str, at: Sequence[str]) -> str:
        """One side of "asked" and "agreed": a date, a name from the catalogue, or as it is."""
        if instant(text) and len(text) >= 10:
            return self.day(text)
        parts = [part.strip() for part in text.split(",")]
        return ", ".join(self.datum(part, at) if "." in part else part for part in parts)


def instant(at: object) -> datetime | None:
    """An RFC 3339 text as an aware instant; None for anything else."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _chosen(kind: EventKind, facts: Facts, said: Mapping[str, str]) -> EventWording:
    """The first wording that fits; a kind's last one always does."""
    for wording in kind.wordings[:-1]:
        if all(facts.get(name) == value for name, value in wording.when.items()) and all(map(said.get, wording.needs)):
            return wording
    return kind.wordings[-1]


def _lower(label: str) -> str:
    """As it stands inside a sentence: "Electricity use" → "electricity use", but "IBAN" stays."""
    return label[:1].lower() + label[1:] if label[1:2].islower() or label[1:2] in "' " else label
