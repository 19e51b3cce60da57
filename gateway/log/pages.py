"""The person's access log: plain sentences under three badges, by month and day; filters in the address.

The page folds a run of like accesses into one line; pages, filters and files are of single entries.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from markupsafe import Markup
from starlette.responses import Response

from gateway.errors import NotFound
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.headers import PAGE_HEADERS
from gateway.ground.web.languages import collated, locale, written_day
from gateway.ground.web.marks import N_
from gateway.ground.web.spreadsheets import written
from gateway.log import folding, reading
from gateway.log.events import EVENTS
from gateway.log.reading import Entry, Filter
from gateway.log.sentences import Known, Told, Voice, places

BADGES = {"agreement": N_("Agreement"), "access": N_("Access"), "refusal": N_("Refusal/alert")}
OUTCOMES = {
    "delivered": N_("delivered"),
    "partly": N_("delivered in part"),
    "begun": N_("begun; a later entry says how it ended"),
    "complete": N_("sent to the end"),
    "cut": N_("cut off"),
    "stopped": N_("stopped because the sharing changed"),
    "unknown": N_("not known"),
}
ACTORS = {
    "person": N_("you"),
    "guardian": N_("your guardian"),
    "app": N_("the app"),
    "organisation": N_("the organisation"),
    "operator": N_("the operator of this service"),
    "auditor": N_("an auditor"),
    "system": N_("this service, by itself"),
}
_FILTERS = ("badge", "app", "organisation", "consent", "from", "to")


@dataclass(frozen=True, slots=True)
class LogRow:
    entry: Entry
    told: Told
    badge: str
    day: str
    month: str
    time: str
    singles: tuple["LogRow", ...] = ()  # of a run of accesses told as one, newest first; `entry` is its newest


def voice(known: Known, ctx: Context) -> Voice:
    house = ctx.house
    zone = ZoneInfo(house.settings.zone)
    return Voice(ctx.language, house.translations.of(ctx.language), zone, known.names(ctx.session))


# ---- the list


def index(known: Known, ctx: Context) -> Response:
    """A person's access log: every agreement, access and refusal in plain sentences, with filters in the address."""
    speaks = voice(known, ctx)
    page = _page(ctx, speaks)
    rows = [_run(run, speaks) for run in folding.runs(page.entries, speaks.zone)]
    asked = {name: ctx.query.get(name, "") for name in _FILTERS}
    kept = {name: value for name, value in asked.items() if value}
    return ctx.page(
        "log/index.html",
        months=[(month, _by(of_month, "day")) for month, of_month in _by(rows, "month")],
        badges=BADGES,
        apps=_choices(known.apps_of(ctx.session, ctx.person.person), lambda one: speaks.word(speaks.names.app, one)),
        organisations=_choices(
            known.organisations(ctx.session), lambda one: speaks.word(speaks.names.organisation, one)
        ),
        asked=asked,
        filtered=bool(kept),
        first="before" not in ctx.query,
        older="/log?" + urlencode({**kept, "before": page.older}) if page.older else "",
        export=urlencode({**kept, **({"before": ctx.query["before"]} if "before" in ctx.query else {})}),
    )


def _page(ctx: Context, speaks: Voice) -> reading.LogPage:
    before = ctx.query.get("before", "")
    below = int(before) if before.isdecimal() and len(before) < 16 else None
    return reading.page(ctx.session, ctx.house.log, ctx.person.person, _wanted(ctx, speaks.zone), before=below)


def _wanted(ctx: Context, zone: ZoneInfo) -> Filter:
    """The filter of the address. A value that cannot be read is left out, so that a typing error hides no entry."""
    badge = ctx.query.get("badge", "")
    end = _day(ctx.query.get("to", ""), zone, 1)
    return Filter(
        badge=badge if badge in BADGES else "",
        client=ctx.query.get("app", ""),
        organisation=ctx.query.get("organisation", ""),
        consent=ctx.query.get("consent", ""),
        start=_day(ctx.query.get("from", ""), zone),
        end=end,
    )


def _day(text: str, zone: ZoneInfo, later: int = 0) -> datetime | None:
    """Midnight of a day as the person counts days."""
    try:
        day = date.fromisoformat(text) + timedelta(days=later)
        return datetime(day.year, day.month, day.day, tzinfo=zone)
    except (ValueError, OverflowError):
        return None


def _row(entry: Entry, speaks: Voice) -> LogRow:
    told = speaks.tell(entry.kind, entry.actor, entry.facts)
    badge = speaks.translations.gettext(BADGES[entry.badge]) if entry.badge else ""
    if entry.at is None:
        return LogRow(entry, told, badge, "", "", "")
    at, babel = entry.at.astimezone(speaks.zone), locale(speaks.language)
    day = written_day(at, "full", speaks.language)
    month = format_date(at, "LLLL y", babel)
    time = format_time(at, "short", locale=babel)
    return LogRow(entry, told, badge, day, month[:1].upper() + month[1:], time)


def _run(run: tuple[Entry, ...], speaks: Voice) -> LogRow:
    singles = tuple(_row(entry, speaks) for entry in run)
    if len(singles) == 1:
        return singles[0]
    told = speaks.tell(run[0].kind, run[0].actor, folding.together(run), len(run))
    return replace(singles[0], told=told, singles=singles)


def _by(rows: Iterable[LogRow], part: str) -> list[tuple[str, list[LogRow]]]:
    return [(label, list(found)) for label, found in groupby(rows, key=lambda row: str(getattr(row, part)))]


def _choices(identifiers: Iterable[str], named: Any) -> list[tuple[str, str]]:
    return sorted(((one, named(one) or one) for one in identifiers), key=lambda pair: collated(pair[1]))


# ---- one entry


def detail(known: Known, ctx: Context) -> Response:
    """One entry of her access log, with every fact it holds. 404 for what is not hers."""
    speaks = voice(known, ctx)
    seq = ctx.path["seq"]
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        raise NotFound("log entry")
    entry = reading.one(ctx.session, ctx.house.log, ctx.person.person, int(seq))
    if entry is None:
        raise NotFound("log entry")
    return ctx.page(
        "log/detail.html",
        row=_row(entry, speaks),
        entry=entry,
        facts=list(_facts(entry, speaks, known.legal_entity(ctx.session, str(entry.facts.get("client", ""))))),
        place=reading.place(ctx.session, entry),
        payload=json.dumps(json.loads(entry.payload), indent=2, ensure_ascii=False) if entry.payload else "",
    )


def _facts(entry: Entry, speaks: Voice, operator: str) -> Iterable[tuple[str, str]]:
    """(label, value) of what the entry says, in words; both translated."""
    facts, _ = entry.facts, speaks.translations.gettext
    said: dict[str, str] = {
        N_("Done by"): "" if _told_already(entry) else _in_words(ACTORS, entry.actor, speaks),
        N_("App"): speaks.app(facts) if facts.get("client") else "",
        N_("Operated by"): operator,
        N_("On behalf of"): str(facts.get("on_behalf_of", "")),
        N_("Organisation"): speaks.organisations(facts),
        N_("Types of data"): speaks.datasets(facts.get("datasets", ()), places(facts)),
        N_("Purpose stated by the app"): speaks.word(speaks.names.purpose, facts.get("purpose")),
        N_("Outcome"): _in_words(OUTCOMES, facts.get("outcome"), speaks),
        N_("Period of the data given"): speaks.period(facts),
        N_("Records given"): _number(facts.get("records"), speaks),
        N_("Records withheld"): _number(facts.get("records_withheld"), speaks),
        N_("Details given"): _fields(facts.get("fields_delivered"), speaks, places(facts)),
        N_("Details withheld"): _fields(facts.get("fields_withheld"), speaks, places(facts)),
        N_("What was refused"): speaks.term(str(facts["term"])) if facts.get("term") else "",
        N_("The app asked for"): speaks.value(str(facts.get("asked", "")), places(facts)),
        N_("You had agreed to"): speaks.value(str(facts.get("allowed", "")), places(facts)),
        N_("Until"): speaks.day(facts.get("until")),
        N_("Reference of the request"): _code(str(facts.get("request_id", ""))),
    }
    if facts.get("present") is not None:
        said[N_("Were you there?")] = (
            _(N_("yes")) if facts["present"] else _(N_("no, this happened while you were away"))
        )
    return ((_(label), value) for label, value in said.items() if value)


def _in_words(table: Mapping[str, str], key: object, speaks: Voice) -> str:
    return speaks.translations.gettext(table[str(key)]) if key in table else str(key or "")


def _told_already(entry: Entry) -> bool:
    """Whether the sentence, or the app or organisation named below it, says who did it."""
    wordings = EVENTS[entry.kind].wordings if entry.kind in EVENTS else ()
    if entry.actor == "person":
        return bool(wordings) and wordings[-1].text.startswith("You ")
    named = {"app": "client", "organisation": "organisation"}.get(entry.actor)
    if named:
        return bool(entry.facts.get(named))
    return any(wording.when.get("actor") == entry.actor for wording in wordings)


def _code(text: str) -> str:
    return Markup("<code>{}</code>").format(text) if text else ""


def _number(value: object, speaks: Voice) -> str:
    return format_decimal(value, locale=locale(speaks.language)) if isinstance(value, int) else ""


def _fields(value: object, speaks: Voice, at: Sequence[str]) -> str:
    return speaks.joined(speaks.datum(one, at) for one in value) if isinstance(value, list) else _number(value, speaks)


# ---- exactly what is shown, as a file

COLUMNS = ("number", "time", "badge", "what", "event", "commitment")


def export(known: Known, ctx: Context) -> Response:
    """Exactly the entries that her page of the access log shows, as a file."""
    speaks = voice(known, ctx)
    rows = [_export_row(_row(entry, speaks)) for entry in _page(ctx, speaks).entries]
    form = ctx.request.url.path.rpartition(".")[2]
    if form == "json":
        body, media = json.dumps(rows, indent=2, ensure_ascii=False).encode(), "application/json"
    else:
        body, media = _csv(rows), "text/csv; charset=utf-8"
    disposition = f'attachment; filename="access-log.{form}"'
    return Response(body, headers={**PAGE_HEADERS, "Content-Disposition": disposition}, media_type=media)


def _export_row(row: LogRow) -> dict[str, Any]:
    return {
        "number": row.entry.seq,
        "time": row.entry.at.isoformat() if row.entry.at else "",
        "badge": row.badge,
        "what": " ".join((row.told.sentence, *row.told.notes)),
        "event": row.entry.kind,
        "commitment": row.entry.commitment.hex(),
    }


def _csv(rows: list[dict[str, Any]]) -> bytes:
    return written([COLUMNS, *([str(row[name]) for name in COLUMNS] for row in rows)])


def doors(known: Known) -> list[Door]:
    return [
        Door("/log", partial(index, known), person=True, name="log"),
        Door("/log/export.csv", partial(export, known), person=True, name="log_csv"),
        Door("/log/export.json", partial(export, known), person=True, name="log_json"),
        Door("/log/{seq}", partial(detail, known), person=True, name="log_entry"),
    ]
