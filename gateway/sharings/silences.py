"""Apps that may not ask a person by themselves, because she has refused: until when, and her own word on it.

A refusal counts for months (consent/inbox.py). She may let an app ask again at once, or keep it silent for longer.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from starlette.responses import Response

from gateway import errors
from gateway.consent import inbox
from gateway.consent.actors import acting
from gateway.consent.described import said
from gateway.consent.facts import SharingFacts
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.marks import N_
from gateway.sharings import reading

# What she may choose, from now on. Keys: values of the form.
LENGTHS: Mapping[str, tuple[str, timedelta]] = {
    "again": (N_("may ask again now"), timedelta()),
    "d30": (N_("not for 30 days"), timedelta(days=30)),
    "d365": (N_("not for 12 months"), timedelta(days=365)),
    "ever": (N_("never again"), inbox.FOR_EVER),
}


def listed(facts: SharingFacts, ctx: Context) -> list[dict[str, Any]]:
    """Her own, and those of the children for whom she decides."""
    catalogue, found = ctx.house.catalogue, []
    for owner in reading.owners(ctx.session, facts, ctx.person.person):
        for one in inbox.of_person(ctx.session, owner.id, ctx.now):
            purpose = catalogue.purposes.get(one.purpose)
            found.append(
                {
                    "person": owner.id,
                    "ward": None if owner.id == ctx.person.person else owner.name,
                    "app_id": one.app_id,
                    "app": said(facts.app(ctx.session, one.app_id).name, ctx.language),
                    "purpose_id": one.purpose,
                    "purpose": purpose.title[ctx.language] if purpose else one.purpose,
                    "since": one.since,
                    "until": None if one.until - one.since >= inbox.FOR_EVER else one.until,
                }
            )
    return found


def change(facts: SharingFacts, ctx: Context) -> Response:
    """Let an app ask again, or keep it silent for longer. What the form does not offer changes nothing."""
    theirs = reading.owners(ctx.session, facts, ctx.person.person)
    owner = next((one for one in theirs if one.id == ctx.form.get("person")), None)
    if owner is None:
        raise errors.NotFound
    if (chosen := ctx.form.get("length", "")) in LENGTHS:
        app, purpose, length = ctx.form.get("app", ""), ctx.form.get("purpose", ""), LENGTHS[chosen][1]
        actor = acting(ctx.person.person, owner.id)
        inbox.change(ctx.session, ctx.house.log, owner.id, app, purpose, length, actor, ctx.now)
    return ctx.go("/sharings#silences")


def doors(facts: SharingFacts) -> list[Door]:
    handler = partial(change, facts)
    return [Door("/silences", handler, ("POST",), opens="write", person=True, name="silences_change")]
