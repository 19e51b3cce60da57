"""The consent screen: the facts it is rendered from, and the answer that carries it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session
from starlette.responses import Response

from gateway.consent import asking, deciding, evidence
from gateway.consent.catalogue import Catalogue, Words
from gateway.consent.choices import Problem, accounts_name, item_name
from gateway.consent.deciding import Decider
from gateway.consent.facts import AppView, Offered, OrganisationFacts
from gateway.consent.request import Ask, AskItem
from gateway.consent.rules import DURATIONS
from gateway.consent.tables import Consent
from gateway.consent.terms import granted_items, offered_durations, until
from gateway.consent.words import Wording
from gateway.house import House
from gateway.web.doors import Context

NEW_DAYS = 30  # an app registered more recently is pointed out (A34)
Accounts = Mapping[str, Sequence[Offered]]


@dataclass(frozen=True)
class Showing:
    """Everything one screen is about. `chosen`: what is ticked on it; empty on first display."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    accounts: Accounts
    ward: str | None
    redirect_host: str
    redirect_scheme: str
    running: Mapping[str, Any] | None  # terms of the sharing that this one would replace
    latest: datetime | None = None  # when the ward comes of age: what is agreed for her ends then
    chosen: Mapping[str, list[str]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    @cached_property
    def ask(self) -> Ask:
        return Ask.from_json(self.consent.asked)


def answer_by(house: House, consent: Consent) -> datetime:
    return consent.created_at + timedelta(seconds=house.settings.ask_seconds)


def answerable(house: House, showing: Showing) -> bool:
    """False: the purpose, an organisation or a type of data has gone since it was asked."""
    ask = showing.ask
    known = ask.purpose in house.catalogue.purposes and all(i.dataset in house.catalogue.datasets for i in ask.items)
    return known and all(name in showing.directory for name in ask.organisations())


def running(session: Session, consent: Consent, now: datetime) -> dict[str, Any] | None:
    """The terms in force of the same person, app and purpose: what `deciding.agree` would replace."""
    found = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    return next((deciding.current(session, one) for one in found if not deciding.is_over(one, now)), None)


def facts(house: House, showing: Showing, language: str, now: datetime) -> dict[str, Any]:
    """What the screen says, as JSON: the one source of its text and of the evidence.

    It changes only when what is said changes: end dates are days, so a page opened and answered on the
    same day is the same page.
    """
    ask, app = showing.ask, showing.app
    purpose = house.catalogue.purposes[ask.purpose]
    return {
        "zone": house.settings.zone,
        "operator": {"name": house.settings.operator_name, "contact": house.settings.operator_contact},
        "gateway": house.settings.host_header,
        "ward": showing.ward,
        "running_until": showing.running["valid"]["until"] if showing.running else None,
        "app": app_facts(app, language, now),
        "purpose": {
            "code": purpose.code,
            "version": purpose.version,
            "title": purpose.title[language],
            "text": purpose.text[language],
        },
        "organisations": [
            _organisation(showing, ask, organisation, house.catalogue, language) for organisation in ask.organisations()
        ],
        "periods": _alike(
            ask.items, lambda item: _period(item, house.catalogue), lambda item: _label(item, house.catalogue, language)
        ),
        "limits": _alike(
            ask.items,
            lambda item: _limits(item, house.catalogue, ask.purpose),
            lambda item: _label(item, house.catalogue, language),
        ),
        "durations": _durations(ask, now, showing.latest, house.settings.zone),
        "of_age": _of_age(ask, now, showing.latest, house.settings.zone),
        "once": ask.once,
        "retention": ask.retention,
        "recipients": [dict(recipient) for recipient in app.recipients],
        "redirect": {"host": showing.redirect_host, "scheme": showing.redirect_scheme},
        "chosen": {name: sorted(values) for name, values in sorted(showing.chosen.items())},
        "problems": [[problem.field, problem.text] for problem in showing.problems],
    }


def app_facts(app: AppView, language: str, now: datetime) -> dict[str, Any]:
    return {
        "id": app.client_id,
        "name": said(app.name, language),
        "legal_entity": app.legal_entity,
        "on_behalf_of": app.on_behalf_of,
        "website": app.website,
        "privacy_policy": app.privacy_policy,
        "terms": app.terms_url,
        "deletion_contact": app.deletion_contact,
        "verified": app.verified,
        "registered": app.registered_at.date().isoformat(),
        "new": now - app.registered_at < timedelta(days=NEW_DAYS),
        "logo": app.has_logo,
        "metadata_sha256": app.metadata_sha256,
    }


def said(words: Words, language: str) -> dict[str, str]:
    """Somebody else's words, and the language they are really in (A28): shown as it is, never left out."""
    spoken = language if words.get(language) else next((name for name in sorted(words) if words[name]), language)
    return {"text": words.get(spoken, ""), "lang": spoken}


def _organisation(showing: Showing, ask: Ask, id_: str, catalogue: Catalogue, language: str) -> dict[str, Any]:
    items = [item for item in ask.items if item.organisation == id_]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in items:
        kind = (item.sensitivity, catalogue.datasets[item.dataset].category if item.sensitivity != "none" else "")
        new = showing.running is not None and (id_, item.dataset) not in _granted(showing.running)
        groups.setdefault(kind, []).append({**item_facts(item, catalogue, language), "new": new})
    account = catalogue.datasets[items[0].dataset].account
    return {
        "id": id_,
        "name": showing.directory[id_].name[language],
        "legal_entity": showing.directory[id_].legal_entity,
        "groups": [{"sensitivity": sense, "category": cat, "items": found} for (sense, cat), found in groups.items()],
        "account": account[language],
        "accounts_name": accounts_name(id_),
        "accounts": [
            {"ref": one.ref, "label": one.label, "available": one.available, "why_not": one.why_not}
            for one in showing.accounts.get(id_, ())
        ],
    }


def item_facts(item: AskItem, catalogue: Catalogue, language: str) -> dict[str, Any]:
    dataset = catalogue.datasets[item.dataset]
    return {
        "name": item_name(item.organisation, item.dataset),
        "dataset": item.dataset,
        **dataset_facts(catalogue, item.dataset, item.fields, language),
        "necessity": item.necessity,
        "reason": said(item.reason, language),
        "records_max": item.records_max,
        "when": "" if "find" in dataset.time else dataset.time[language],
    }


def dataset_facts(catalogue: Catalogue, dataset: str, fields: Sequence[str], language: str) -> dict[str, Any]:
    """A type of data in the catalogue's words, the same on every page (E6). One unknown now keeps its id."""
    known = catalogue.datasets.get(dataset)
    if known is None:
        return {"label": dataset, "short": "", "long": "", "fields": []}
    return {
        "label": known.label[language],
        "short": known.short[language],
        "long": known.long[language],
        "fields": [
            {
                "id": name,
                "label": known.fields[name].label[language],
                "short": known.fields[name].short[language],
                "comes_with": (known.fields[name].comes_with or {}).get(language, ""),
                "structural": known.fields[name].structural,
            }
            for name in fields
            if name in known.fields
        ],
    }


def _label(item: AskItem, catalogue: Catalogue, language: str) -> str:
    return catalogue.datasets[item.dataset].label[language]


def _period(item: AskItem, catalogue: Catalogue) -> dict[str, Any] | None:
    """None: this type of data has no time of its own."""
    if "find" not in catalogue.datasets[item.dataset].time:
        return None
    period = item.period
    return {"history": period.history, "from": period.start, "to": period.end, "future": period.future}


def _limits(item: AskItem, catalogue: Catalogue, purpose: str) -> list[dict[str, Any]]:
    caps = catalogue.purposes[purpose].caps.frequency
    return [{"times": times, "per": per} for times, per in ([item.frequency] if item.frequency else []) + list(caps)]


def _alike(items: Sequence[AskItem], value: Any, label: Any) -> list[dict[str, Any]]:
    """Said once when it is the same for all; else each value with the types of data it is of."""
    groups: list[dict[str, Any]] = []
    for item in items:
        found = value(item)
        if found is None:
            continue
        group = next((one for one in groups if one["value"] == found), None)
        if group is None:
            groups.append(group := {"value": found, "of": []})
        group["of"].append(label(item))
    if len(groups) == 1:
        groups[0]["of"] = []
    return groups


def _durations(ask: Ask, now: datetime, latest: datetime | None, zone: str) -> list[dict[str, Any]]:
    """The choices, each with its end date. Of several that the coming of age cuts to one date, the first.
    `cut`: the sharing is shorter than the choice's own length, so that only its end date is true."""
    offered: list[dict[str, Any]] = []
    for key in offered_durations(ask):
        days, end = dict(DURATIONS)[key], until(ask, key, now, latest)
        cut = days is not None and end < now + timedelta(days=days)
        if not (cut and end == latest and offered[-1]["cut"]):
            offered.append({"key": key, "until": _day(end, zone), "cut": cut})
    return offered


def _of_age(ask: Ask, now: datetime, latest: datetime | None, zone: str) -> str | None:
    """The day the ward comes of age, when it ends what could otherwise last longer."""
    longest = offered_durations(ask)[-1]
    return _day(latest, zone) if latest and latest < until(ask, longest, now) else None


def _day(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).date().isoformat()


def preselected(durations: Sequence[Mapping[str, Any]]) -> str:
    """The shortest lasting choice. Something must be marked in a group of radios, or the first Allow always fails.
    Data protection by default (GDPR art. 25(2)) wants the least; "once only" would be less still, but ends an app that
    shows a development over time after one look, which is not what a person who came for it means."""
    lasting = [one["key"] for one in durations if one["key"] != "once"]
    return str(lasting[0] if lasting else durations[0]["key"])


def _first_marks(showing: Showing) -> dict[str, list[str]]:
    """What is marked before the person has marked anything: a duration; and when this replaces a running sharing, what
    she had chosen there (A33). Never anything she has not chosen herself (A8, A11)."""
    marks = {"duration": [preselected([{"key": key} for key in offered_durations(showing.ask)])]}
    for item in granted_items(showing.running) if showing.running else ():
        marks[item_name(item["organisation"], item["dataset"])] = ["yes"]
        marks[accounts_name(item["organisation"])] = list(item["accounts"])
    return marks


def _granted(terms: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(item["organisation"], item["dataset"]) for item in granted_items(terms)}


def show(ctx: Context, showing: Showing, decider: Decider, resume: str, status: int = 200) -> Response:
    """The screen, in the language of the page, with the sealed word that lets an answer to it count."""
    house, consent = ctx.house, showing.consent
    if ctx.now > answer_by(house, consent) or not answerable(house, showing):
        return late(ctx, showing.app)
    if not showing.chosen:
        showing = replace(showing, chosen=_first_marks(showing))
    shown = facts(house, showing, ctx.language, ctx.now)
    html = evidence.text(shown, ctx.language, house.translations.of(ctx.language))
    seen = evidence.Seen(
        at=ctx.now.isoformat(),
        language=ctx.language,
        text_sha256=evidence.sha256(html),
        redirect_host=showing.redirect_host,
        redirect_scheme=showing.redirect_scheme,
        chosen=shown["chosen"],
        problems=shown["problems"],
    )
    sensitive = any(item.sensitivity != "none" for item in showing.ask.items)
    return ctx.page(
        "consent/guardian.html" if decider.minor and not decider.guardian else "consent/screen.html",
        status,
        shown=shown,
        terms=html,
        consent=consent.id,
        seen=seen.sealed(house.keys, consent.id, ctx.person.person),
        resume=resume,
        return_to=resume,
        sign_in_again=sensitive and not decider.recent_sign_in,
        answer_by=answer_by(house, consent),
        say=wording(ctx),
    )


def late(ctx: Context, app: AppView) -> Response:
    return ctx.page("consent/late.html", 410, app=app_facts(app, ctx.language, ctx.now), say=wording(ctx))


def wording(ctx: Context) -> Wording:
    return Wording(ctx.language, ctx.house.translations.of(ctx.language), ctx.house.settings.zone)
