"""Doors of receipts as files: one for each version of an agreement, one for its end. Open to those who may see the
sharing."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from gateway import errors
from gateway.consent import evidence
from gateway.consent.facts import SharingFacts
from gateway.consent.rules import EndReason, State
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.headers import PAGE_HEADERS
from gateway.sharings import reading, receipts
from gateway.sharings.reading import Sharing


def doors(facts: SharingFacts) -> list[Door]:
    paths = {"receipt_of_end": "/sharings/{id}/receipt/end.json", "receipt": "/sharings/{id}/receipt/{version}.json"}
    return [Door(path, partial(receipt, facts), person=True, name=name) for name, path in paths.items()]


def receipt(facts: SharingFacts, ctx: Context) -> Response:
    """The file. It is made from the stored record each time and not stored itself."""
    reader, id_ = ctx.person.person, ctx.path["id"]
    sharing = reading.one(ctx.session, ctx.house.log, facts, reader, id_, ctx.now, counting=False)
    number = ctx.path.get("version", "end")
    made = _of_end(ctx, sharing) if number == "end" else _of_version(ctx, sharing, number)
    body = json.dumps(receipts.signed(made, ctx.house.keys), indent=2, ensure_ascii=False)
    name = f"aval-{sharing.app.client_id}-{number}.json"
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, headers=headers, media_type="application/json")


def _of_version(ctx: Context, sharing: Sharing, number: str) -> dict[str, Any]:
    id_ = sharing.consent.id
    row = next((row for row in reading.versions(ctx.session, id_) if str(row.version) == number), None)
    if row is None:
        raise errors.NotFound("version")
    chain = reading.events(ctx.session, id_)
    return receipts.of_version(ctx.house.settings, json.loads(row.json_), row, chain, _shown(ctx, id_, row.version))


def _of_end(ctx: Context, sharing: Sharing) -> dict[str, Any]:
    consent = sharing.consent
    ended_at = consent.ended_at or consent.until
    if sharing.state != State.ENDED or sharing.terms is None or ended_at is None:
        raise errors.NotFound("not ended")
    row = reading.versions(ctx.session, consent.id)[-1]
    chain, shown = reading.events(ctx.session, consent.id), _shown(ctx, consent.id, row.version)
    after = reading.after(ctx.session, consent.id) if sharing.reason == EndReason.REPLACED else None
    return receipts.of_end(ctx.house.settings, sharing.terms, row, chain, shown, sharing.reason, ended_at, after)


def _shown(ctx: Context, consent: str, version: int) -> Mapping[str, Any] | None:
    kept = next((one for one in reading.evidence_of(ctx.session, consent) if one.version <= version), None)
    return evidence.shown(kept, ctx.house.keys) if kept else None
