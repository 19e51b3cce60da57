"""Doors of "Data sharing": the list, one sharing, stop, pause, resume, remove.

A GET never changes anything, because mail scanners and browsers open links by themselves. Stopping takes two clicks,
asks for no reason and needs no new sign-in.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from gateway.consent import deciding
from gateway.consent.described import account_name, app_facts, dataset_facts, item_name, said
from gateway.consent.facts import SharingFacts
from gateway.consent.rules import EndReason, State
from gateway.consent.terms import granted_items
from gateway.consent.words import wording
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.languages import collated
from gateway.ground.web.marks import N_
from gateway.log import reading as log_reading
from gateway.log.sentences import Voice
from gateway.sharings import all_pages, erasure, reading, receipt_pages, silences
from gateway.sharings.all_pages import ALL, Everything
from gateway.sharings.cards import by_data, card
from gateway.sharings.reading import Sharing, Wanted

ACCESSES_SHOWN = 10

Handler = Callable[[SharingFacts, Context], Response]


def doors(facts: SharingFacts) -> list[Door]:
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/sharings", listing),
        ("GET", "/sharings/{id}", detail),
        ("GET", "/sharings/{id}/stop", confirm_stop),
        ("POST", "/sharings/{id}/stop", stop),
        ("GET", "/sharings/{id}/stopped", stopped),
        ("POST", "/sharings/{id}/pause", pause),
        ("POST", "/sharings/{id}/resume", resume),
        ("POST", "/sharings/{id}/remove", remove),
        ("POST", "/sharings/{id}/erasure", ask_erasure),
    )
    pages = [
        Door(
            path,
            partial(handler, facts),
            (method,),
            opens="write" if method == "POST" else "read",
            person=True,
            name=f"sharings_{handler.__name__}",
        )
        for method, path, handler in table
    ]
    return [*all_pages.doors(facts), *pages, *silences.doors(facts), *receipt_pages.doors(facts)]


def _one(facts: SharingFacts, ctx: Context, counting: bool | None = None) -> Sharing:
    """The sharing of this address. `counting`: whether to count accesses. None: for a page (GET), which shows the
    number, but not for an act."""
    shows = ctx.request.method != "POST" if counting is None else counting
    return reading.one(ctx.session, ctx.house.log, facts, ctx.person.person, ctx.path["id"], ctx.now, counting=shows)


# ---- the list


def listing(facts: SharingFacts, ctx: Context) -> Response:
    """ "Data sharing": all that a person shares or has shared, and for a guardian her children's."""
    wanted = Wanted.read(ctx.query)
    every = reading.all_of(ctx.session, ctx.house.log, ctx.house.settings, facts, ctx.person.person, ctx.now)
    shown = reading.narrowed(every, wanted, ctx.house.catalogue, ctx.language)
    cards = [card(ctx, one) for one in shown if wanted.narrows or one.running or not one.waits]
    waiting = sorted((one for one in every if one.waits), key=lambda one: one.consent.created_at)
    return ctx.page(
        "sharings/list.html",
        wanted=wanted,
        waiting=[card(ctx, sharing) for sharing in waiting],
        silences=silences.listed(facts, ctx),
        lengths=silences.LENGTHS,
        cards=cards,
        at_once=_at_once(every),
        by_data=by_data(cards) if wanted.by == "data" else [],
        choices=_choices(ctx, every),
        any=bool(every),
        say=wording(ctx),
    )


def _at_once(every: list[Sharing]) -> list[Everything]:
    """The acts on all sharings to offer. None if fewer than two sharings run."""
    if sum(sharing.running for sharing in every) < 2:
        return []
    return [all_ for all_ in ALL.values() if any(all_.concerns(sharing) for sharing in every)]


def _choices(ctx: Context, every: list[Sharing]) -> dict[str, list[tuple[str, str]]]:
    """The values the filters offer: only those that occur in the person's sharings."""
    apps = {s.app.client_id: said(s.app.name, ctx.language)["text"] for s in every}
    places = {o: reading.organisation_name(s, o, ctx.language) for s in every for o in s.organisations}
    types = {d: reading.label(ctx.house.catalogue, s, o, d, ctx.language) for s in every for o, d in s.data}

    def by_name(pair: tuple[str, str]) -> tuple[str, str]:
        return collated(pair[1])

    return {
        "app": sorted(apps.items(), key=by_name),
        "organisation": sorted(places.items(), key=by_name),
        "type": sorted(types.items(), key=by_name),
    }


# ---- one sharing


def detail(facts: SharingFacts, ctx: Context) -> Response:
    """One sharing: with whom, what, for what, until when, what happened, and the last accesses."""
    return _page_of(facts, ctx, _one(facts, ctx))


def _page_of(facts: SharingFacts, ctx: Context, sharing: Sharing, problem: str = "", status: int = 200) -> Response:
    """`problem`: what is wrong with the form "Remove some data" as it was sent."""
    kept = reading.evidence_of(ctx.session, sharing.consent.id)
    entries = log_reading.page(
        ctx.session,
        ctx.house.log,
        sharing.owner.id,
        log_reading.Filter(consent=sharing.consent.id),
        size=ACCESSES_SHOWN,
    ).entries
    speaks = voice(facts, ctx)
    return ctx.page(
        "sharings/detail.html",
        status,
        problem=problem,
        return_to=f"/sharings/{sharing.consent.id}",
        card=card(ctx, sharing),
        erasure=_erasure(ctx, sharing),
        app=app_facts(sharing.app, ctx.language, ctx.now, ctx.house.settings.zone),
        places=places(ctx, sharing, reading.account_labels(kept, ctx.house.keys)),
        terms=sharing.terms,
        changed=_changed(ctx, sharing),
        before=sharing.consent.replaces,
        after=reading.after(ctx.session, sharing.consent.id),
        versions=reading.versions(ctx.session, sharing.consent.id),
        events=reading.events(ctx.session, sharing.consent.id),
        evidence=kept[0] if kept else None,
        entries=[(entry, speaks.tell(entry.kind, entry.actor, entry.facts)) for entry in entries],
        disconnected=_disconnected(entries),
        say=wording(ctx),
    )


def places(ctx: Context, sharing: Sharing, accounts: dict[str, str]) -> list[dict[str, Any]]:
    """What is shared, by organisation, in the catalogue's words, as on the consent screen and the receipt."""
    return [
        {
            "id": organisation,
            "name": reading.organisation_name(sharing, organisation, ctx.language),
            "accounts": _accounts(ctx, sharing, organisation, accounts),
            "items": [
                {
                    **item,
                    "name": item_name(organisation, item["dataset"]),
                    "said": said(item["reason"], ctx.language),
                    "accounts": [accounts.get(ref, ref) for ref in item["accounts"]],
                    **dataset_facts(
                        ctx.house.catalogue.of(sharing.directory.get(organisation), item["dataset"]),
                        item["dataset"],
                        item["shown_fields"],
                        ctx.language,
                    ),
                }
                for item in _items(sharing)
                if item["organisation"] == organisation
            ],
        }
        for organisation in dict.fromkeys(item["organisation"] for item in _items(sharing))
    ]


def _accounts(ctx: Context, sharing: Sharing, organisation: str, labels: dict[str, str]) -> list[dict[str, str]]:
    """The accounts of which each can be removed alone: those of what is shared there, if there are several."""
    if not sharing.terms:
        return []
    place, catalogue = sharing.directory.get(organisation), ctx.house.catalogue
    here = [item for item in granted_items(sharing.terms) if item["organisation"] == organisation]
    known = [(item, catalogue.of(place, item["dataset"])) for item in here]
    parted = [item for item, dataset in known if dataset is None or not dataset.whole]
    refs = list(dict.fromkeys(ref for item in parted for ref in item["accounts"]))
    if len(refs) < 2:
        return []
    return [{"name": account_name(organisation, ref), "label": labels.get(ref, ref)} for ref in refs]


def _items(sharing: Sharing) -> list[dict[str, Any]]:
    if sharing.terms:
        return [{**item, "shown_fields": item["fields"] or item["asked"]["fields"]} for item in sharing.terms["items"]]
    return [
        {
            "organisation": item.organisation,
            "dataset": item.dataset,
            "shown_fields": item.fields,
            "accounts": [],
            "granted": False,
            "necessity": item.necessity,
            "reason": item.reason,
            "sensitivity": item.sensitivity,
        }
        for item in sharing.ask.items
    ]


def _changed(ctx: Context, sharing: Sharing) -> dict[str, Any]:
    """What the app was when she agreed, if it has changed since and the sharing runs; {}: it has not. `called`: by its
    name or its company. `waits`: it gets no more tokens until she has agreed again."""
    then = sharing.terms["app"] if sharing.terms and sharing.running else None
    if then is None or then["metadata_sha256"] == sharing.app.metadata_sha256:
        return {}
    return {
        "name": said(then["name"], ctx.language),
        "legal_entity": then["legal_entity"],
        "called": (then["name"], then["legal_entity"]) != (dict(sharing.app.name), sharing.app.legal_entity),
        "waits": ctx.house.settings.changed_apps == "ask",
    }


def _disconnected(entries: tuple[log_reading.Entry, ...]) -> datetime | None:
    """When the app revoked its token (RFC 7009), if it has not got a new one since. The sharing itself goes on."""
    for entry in entries:  # newest first
        if entry.kind in ("app_disconnected", "token_issued"):
            return entry.at if entry.kind == "app_disconnected" else None
    return None


def voice(facts: SharingFacts, ctx: Context) -> Voice:
    texts, zone = ctx.house.translations.of(ctx.language), ZoneInfo(ctx.house.settings.zone)
    return Voice(ctx.language, texts, zone, facts.names(ctx.session))


# ---- stopping, pausing, removing


def confirm_stop(facts: SharingFacts, ctx: Context) -> Response:
    """The page that asks before a sharing is stopped."""
    sharing = _one(facts, ctx)
    if not sharing.running:
        return ctx.go(f"/sharings/{sharing.consent.id}")
    return ctx.page(
        "sharings/stop.html",
        card=card(ctx, sharing),
        app=app_facts(sharing.app, ctx.language, ctx.now, ctx.house.settings.zone),
        say=wording(ctx),
    )


def stop(facts: SharingFacts, ctx: Context) -> Response:
    """Stop a sharing, from the very next call on; with it, if she ticked it, ask the app to delete what it has."""
    sharing = _one(facts, ctx)
    deciding.end(ctx.session, ctx.house.log, sharing.consent, sharing.actor, EndReason.WITHDRAWN, ctx.now)
    if "yes" in ctx.form_lists.get("erase", ()):
        erasure.ask(ctx.session, ctx.house.log, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/{sharing.consent.id}/stopped")


def stopped(facts: SharingFacts, ctx: Context) -> Response:
    """The page after a sharing was stopped: since when, what the app may keep, the receipt."""
    sharing = _one(facts, ctx)
    if sharing.state != State.ENDED or sharing.terms is None:
        return ctx.go(f"/sharings/{sharing.consent.id}")
    return ctx.page(
        "sharings/stopped.html",
        card=card(ctx, sharing),
        erasure=_erasure(ctx, sharing),
        versions=reading.versions(ctx.session, sharing.consent.id),
        app=app_facts(sharing.app, ctx.language, ctx.now, ctx.house.settings.zone),
        say=wording(ctx),
    )


def ask_erasure(facts: SharingFacts, ctx: Context) -> Response:
    """Note that she asks the app to delete what it has received."""
    sharing = _one(facts, ctx)
    erasure.ask(ctx.session, ctx.house.log, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/{sharing.consent.id}")


def _erasure(ctx: Context, sharing: Sharing) -> dict[str, Any]:
    """When deletion was asked for, and how the app is told."""
    say, app = wording(ctx), said(sharing.app.name, ctx.language)["text"]
    contact, operator = sharing.app.deletion_contact, ctx.house.settings.operator_name
    return {
        "asked_at": erasure.asked_at(ctx.session, sharing.consent.id),
        "letter": erasure.letter(say, contact, app, operator, sharing.consent),
    }


def pause(facts: SharingFacts, ctx: Context) -> Response:
    """Pause a sharing: calls are refused as `paused` until she resumes it."""
    sharing = _one(facts, ctx)
    deciding.pause(ctx.session, ctx.house.log, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/{sharing.consent.id}")


def resume(facts: SharingFacts, ctx: Context) -> Response:
    """Resume a paused sharing."""
    sharing = _one(facts, ctx)
    if not sharing.held:
        deciding.resume(ctx.session, ctx.house.log, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/{sharing.consent.id}")


def remove(facts: SharingFacts, ctx: Context) -> Response:
    """Take out the ticked types of data and accounts. Names that are not part of the sharing are ignored."""
    sharing = _one(facts, ctx)
    ticked = set(ctx.form_lists.get("remove", ()))
    if not ticked and sharing.running:
        return _page_of(facts, ctx, _one(facts, ctx, counting=True), N_("Tick at least one box."), 422)
    keep = frozenset(pair for pair in sharing.data if item_name(*pair) not in ticked)
    items = granted_items(sharing.terms) if sharing.terms else []
    accounts = {(item["organisation"], ref) for item in items for ref in item["accounts"]}
    without = frozenset(pair for pair in accounts if account_name(*pair) in ticked)
    deciding.keep_only(ctx.session, ctx.house.log, sharing.consent, sharing.actor, keep, ctx.now, without)
    ended = sharing.consent.state == State.ENDED
    return ctx.go(f"/sharings/{sharing.consent.id}" + ("/stopped" if ended else ""))
