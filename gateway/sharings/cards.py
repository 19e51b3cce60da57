"""One sharing as a card, for the list, the pages of one sharing and the pages of all at once."""

from typing import Any

from gateway.consent.described import said
from gateway.consent.words import wording
from gateway.ground.web.context import Context
from gateway.ground.web.languages import collated
from gateway.sharings import reading
from gateway.sharings.reading import Sharing

SOON_DAYS = 30  # this long before the end the page begins to say how to continue the sharing


def card(ctx: Context, sharing: Sharing) -> dict[str, Any]:
    consent, say = sharing.consent, wording(ctx)
    return {
        "id": consent.id,
        "app": said(sharing.app.name, ctx.language),
        "app_id": sharing.app.client_id,
        "legal_entity": sharing.app.legal_entity,
        "logo": sharing.app.has_logo,
        "ward": None if sharing.mine else sharing.owner.name,
        "organisations": [reading.organisation_name(sharing, one, ctx.language) for one in sharing.organisations],
        "purpose": reading.purpose_title(sharing, ctx.house.catalogue, ctx.language),
        "data": [
            {
                "organisation": organisation,
                "organisation_name": reading.organisation_name(sharing, organisation, ctx.language),
                "dataset": dataset,
                "label": reading.label(ctx.house.catalogue, sharing, organisation, dataset, ctx.language),
            }
            for organisation, dataset in sharing.data
        ],
        "state": sharing.state,
        "why": sharing.why_ended(say),
        "suspended": sharing.suspended,
        "running": sharing.running,
        "held": sharing.held,
        "restored": sharing.restored,
        "granted_at": consent.granted_at,
        "until": consent.until,
        "lasts": sharing.lasts,
        "ends_soon": sharing.ends_within(SOON_DAYS, ctx.now),
        "once": bool(sharing.terms) and sharing.terms["valid"]["max_uses"] == 1,  # type: ignore[index]
        "ended_at": consent.ended_at or consent.until,
        "last_access_at": consent.last_access_at,
        "accesses": sharing.accesses,
        "asked_at": consent.created_at,
        "waits": sharing.waits,
        "message": consent.message,
        "answer_by": consent.answer_by,
    }


def by_data(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same sharings, grouped by organisation and type of data, each with the apps that read it."""
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for one in cards:
        for datum in one["data"]:
            place = places.setdefault(
                (datum["organisation"], datum["dataset"]),
                {"organisation": datum["organisation_name"], "label": datum["label"], "cards": []},
            )
            place["cards"].append(one)
    return sorted(places.values(), key=lambda place: (collated(place["organisation"]), collated(place["label"])))
