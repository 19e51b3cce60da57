"""What the consent screen says, as JSON. The HTML is rendered from this alone, and this is kept as evidence."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from gateway.catalogue import Catalogue, Dataset
from gateway.catalogue.datasets import ACCOUNT
from gateway.consent.described import app_facts, dataset_facts, item_name, said
from gateway.consent.request import Ask, AskItem
from gateway.consent.rules import DURATIONS, KEPT
from gateway.consent.terms import granted_items, offered_durations, until
from gateway.ground.calendar.instants import local_day
from gateway.screen.choices import Problem, accounts_name
from gateway.screen.gathering import Showing
from gateway.settings import Settings


def facts(catalogue: Catalogue, settings: Settings, showing: Showing, language: str, now: datetime) -> dict[str, Any]:
    """Everything the screen says. It must be the same when the screen is shown and when it is answered, so it holds no
    time of day: end dates are days."""
    ask, app = showing.ask, showing.app
    organisations = [_organisation(showing, ask, one, catalogue, language) for one in ask.organisations()]
    purpose = catalogue.purposes[ask.purpose]

    def known(item: AskItem) -> Dataset:
        return catalogue.at(showing.directory[item.organisation], item.dataset)

    return {
        "zone": settings.zone,
        "operator": {"name": settings.operator_name, "contact": settings.operator_contact},
        "gateway": settings.host_header,
        "ward": showing.ward,
        "running_until": showing.running["valid"]["until"] if showing.running else None,
        "replaces": showing.replaces,
        "amends": _amends(showing, catalogue, language),
        "gone": _gone(showing, catalogue, language),
        "app": app_facts(app, language, now, settings.zone),
        "purpose": {
            "code": purpose.code,
            "version": purpose.version,
            "title": purpose.title[language],
            "text": purpose.text[language],
        },
        "organisations": organisations,
        "periods": _alike(ask.items, lambda item: _period(item, known(item)), lambda item: known(item).label[language]),
        "limits": _alike(
            ask.items,
            lambda item: _limits(item, known(item), catalogue, ask.purpose),
            lambda item: known(item).label[language],
        ),
        "durations": _durations(showing, now, settings.zone),
        "of_age": _of_age(ask, now, showing.decider.until, settings.zone),
        "once": ask.once,
        "signs_in": ask.is_sign_in,
        "retention": ask.retention,
        "recipients": [dict(recipient) for recipient in app.recipients],
        **({"sent": {"message": showing.consent.message}} if showing.consent.via else {}),
        "redirect": {"host": showing.redirect_host, "scheme": showing.redirect_scheme, **_device(showing)},
        "chosen": {name: sorted(values) for name, values in sorted(showing.chosen.items())},
        "problems": [[one.field, one.text, _named(one, organisations)] for one in showing.problems],
    }


def _device(showing: Showing) -> dict[str, bool]:
    """Whether the app is a program on the person's own device, and nobody but itself says which (RFC 8252 §8.6)."""
    hosts = {urlsplit(uri).hostname for uri in showing.app.redirect_uris}
    unknown = showing.app.came_by != "file" and hosts <= {"127.0.0.1", "::1", "localhost"}
    return {"device": True} if unknown else {}


def _amends(showing: Showing, catalogue: Catalogue, language: str) -> dict[str, Any] | None:
    """What becomes of the running sharing that the app asks to change; of a merge, what stays of it."""
    found = showing.amendment
    if found is None:
        return None
    stays = found.granted.values() if found.merges else ()
    return {
        "merges": found.merges,
        "nothing_new": not showing.ask.items,
        "paused": found.target.state == "paused",
        "stays": [_had(item, item["fields"], showing, catalogue, language) for item in stays],
    }


def _gone(showing: Showing, catalogue: Catalogue, language: str) -> list[dict[str, Any]]:
    """What the running sharing that this one would replace gives, and this one would not. `whole`: nothing of it."""
    asked = {(item.organisation, item.dataset): item.fields for item in showing.ask.items}
    gone = []
    for item in granted_items(showing.running) if showing.running else ():
        key = item["organisation"], item["dataset"]
        lost = [name for name in item["fields"] if name not in asked.get(key, ())]
        had = _had(item, lost, showing, catalogue, language)
        if key not in asked or had["details"]:
            gone.append({**had, "whole": key not in asked})
    return gone


def _had(
    item: Mapping[str, Any], fields: Sequence[str], showing: Showing, catalogue: Catalogue, language: str
) -> dict[str, Any]:
    """These fields of an item of a running sharing, in words."""
    known = catalogue.of(showing.directory.get(item["organisation"]), item["dataset"])
    facts = dataset_facts(known, item["dataset"], fields, language)
    details = [field["label"] for field in facts["fields"] if not field["structural"]]
    return {"organisation": item["organisation_name"][language], "label": facts["label"], "details": details}


def _named(problem: Problem, organisations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the text of a problem names: the organisation whose accounts it is about, and what one is called there."""
    for one in organisations:
        if one["accounts_name"] == problem.field:
            return {"organisation": one["name"], "account": one["account"]}
    return {}


def whole(catalogue: Catalogue, showing: Showing) -> frozenset[tuple[str, str]]:
    """The data of a request that no choice of accounts changes."""
    return frozenset(
        (item.organisation, item.dataset)
        for item in showing.ask.items
        if catalogue.at(showing.directory[item.organisation], item.dataset).whole
    )


def _organisation(showing: Showing, ask: Ask, id_: str, catalogue: Catalogue, language: str) -> dict[str, Any]:
    items = [item for item in ask.items if item.organisation == id_]
    place = showing.directory[id_]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in items:
        kind = (item.sensitivity, catalogue.at(place, item.dataset).category if item.sensitivity != "none" else "")
        said = item_facts(item, catalogue.at(place, item.dataset), language)
        groups.setdefault(kind, []).append({**said, "new": _is_new(item, showing), "more": _more(item, said, showing)})
    account = catalogue.at(place, items[0].dataset).account
    return {
        "id": id_,
        "name": showing.directory[id_].name[language],
        "legal_entity": showing.directory[id_].legal_entity,
        "groups": [
            {
                "sensitivity": sense,
                "title": catalogue.title(sense, category)[language] if category else "",
                "items": found,
            }
            for (sense, category), found in groups.items()
        ],
        "linked": id_ in showing.linked,
        "shareable": id_ in showing.shareable,
        "account": account[language],
        "fixed": id_ in showing.fixed,
        "whole": all(catalogue.at(place, item.dataset).whole for item in items),
        "accounts_name": accounts_name(id_),
        "accounts": [
            {"ref": one.ref, "label": one.label, "available": one.available, "why_not": one.why_not}
            for one in showing.accounts.get(id_, ())
        ],
    }


def item_facts(item: AskItem, dataset: Dataset, language: str) -> dict[str, Any]:
    return {
        "name": item_name(item.organisation, item.dataset),
        "dataset": item.dataset,
        **dataset_facts(dataset, item.dataset, item.fields, language),
        "necessity": item.necessity,
        "reason": said(item.reason, language),
        "records_max": item.records_max,
        "when": "" if "find" in dataset.time else dataset.time[language],
    }


def _is_new(item: AskItem, showing: Showing) -> bool:
    """Whether this, as it is asked, is more than she agreed to before, if she did."""
    if showing.amendment is not None and showing.amendment.merges:
        return True
    return showing.running is not None and not any(_covers(had, item) for had in granted_items(showing.running))


def _covers(had: Mapping[str, Any], item: AskItem) -> bool:
    """`had`: of the terms of a running sharing."""
    period = {"history": item.period.history, "from": item.period.start, "to": item.period.end}
    same = (had["organisation"], had["dataset"]) == (item.organisation, item.dataset)
    return same and set(item.fields) <= set(had["fields"]) and had["period"] == {**period, "future": item.period.future}


def _more(item: AskItem, said: Mapping[str, Any], showing: Showing) -> list[str]:
    """The details that are asked for beside those of the same data that are part of the sharing already."""
    found = showing.amendment
    if found is None or not found.merges or (item.organisation, item.dataset) not in found.granted:
        return []
    return [field["label"] for field in said["fields"] if not field["structural"]]


def _period(item: AskItem, dataset: Dataset) -> dict[str, Any] | None:
    """None: this type of data has no time of its own."""
    if "find" not in dataset.time:
        return None
    period = item.period
    return {"history": period.history, "from": period.start, "to": period.end, "future": period.future}


def _limits(item: AskItem, dataset: Dataset, catalogue: Catalogue, purpose: str) -> list[dict[str, Any]]:
    """[]: as often as the app asks, as for what the gateway tells of the account itself."""
    own = [limit for limit in (item.frequency, dataset.frequency) if limit is not None]
    caps = catalogue.purposes[purpose].caps.frequency if dataset.format != ACCOUNT else ()
    return [{"times": times, "per": per} for times, per in dict.fromkeys([*own, *caps])]


def _alike(items: Sequence[AskItem], value: Any, label: Any) -> list[dict[str, Any]]:
    """Each value with the types of data that have it; `of` is empty when all have the same."""
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


def _durations(showing: Showing, now: datetime, zone: str) -> list[dict[str, Any]]:
    """The choices, each with its end date. `cut`: something ends it before its own length is over, so only the date is
    told. Where a coming of age cuts several choices to the same date, only the first is offered."""
    ask, latest, found = showing.ask, showing.decider.until, showing.amendment
    offered: list[dict[str, Any]] = []
    for key in showing.durations:
        if key == KEPT and found is not None:
            offered.append({"key": key, "until": _day(found.until, zone), "cut": True})
            continue
        days, end = dict(DURATIONS)[key], until(ask, key, now, latest)
        cut = days is not None and end < now + timedelta(days=days)
        if not (cut and end == latest and offered[-1]["cut"]):
            offered.append({"key": key, "until": _day(end, zone), "cut": cut})
    return offered


def _of_age(ask: Ask, now: datetime, latest: datetime | None, zone: str) -> str | None:
    """The day the child comes of age, if the longest choice would otherwise last beyond it."""
    longest = offered_durations(ask)[-1]
    return _day(latest, zone) if latest and latest < until(ask, longest, now) else None


def _day(at: datetime, zone: str) -> str:
    return local_day(at, zone).isoformat()


def preselected(durations: Sequence[Mapping[str, Any]]) -> str:
    """The shortest choice that is not "once only". One must be marked, or everybody's first Allow would fail, and data
    protection by default (GDPR art. 25(2)) asks for the least. "Once only" would be less still, but most apps show how
    something develops, and would stop working after one reading."""
    lasting = [one["key"] for one in durations if one["key"] != "once"]
    return str(lasting[0] if lasting else durations[0]["key"])


def first_marks(showing: Showing) -> dict[str, list[str]]:
    """What is marked when the screen opens: a duration; and if this would replace a running sharing, what the person
    chose there. Never data or accounts she has not chosen herself (no consent by pre-ticked boxes: GDPR recital 32)."""
    marks = {"duration": [preselected([{"key": key} for key in showing.durations])]}
    for item in granted_items(showing.running) if showing.running else ():
        if item["organisation"] not in showing.shareable:
            continue
        if not any(_covers(item, one) for one in showing.ask.items):
            continue  # not asked for any more, or more of it than she chose then
        marks[item_name(item["organisation"], item["dataset"])] = ["yes"]
        marks[accounts_name(item["organisation"])] = list(item["accounts"])
    return marks
