"""The fourth and fifth step where an app gets an answer over records: page after page, until there is no further one.

    the first page ──► what counts of it ──► asked again as declared ──► … ──► the last ──► one answer

All pages are one use, and one entry in the log. They are read within the window of the first, and each only while what
allowed the call still stands. Too many, too slow, or a page for the second time: no answer, since a part of a total is
a wrong one.
"""

import time
from dataclasses import replace
from datetime import datetime
from functools import partial

from gateway.formats.answering import Answering, leading
from gateway.formats.model import Asked, Cut, TooLarge, UnknownShape
from gateway.formats.paging import TOKEN
from gateway.formats.table_plan import TablePlan
from gateway.ground.http.connector import Answer, ConnectorError, GoesOn, Withdrawn
from gateway.house import House
from gateway.proxy import headers
from gateway.proxy.admit import Permit
from gateway.proxy.fetch import fetch
from gateway.proxy.filtering import filtered

PAGES = 400


async def answered(
    house: House, permit: Permit, path: str, answer: Answer, request_id: str, now: datetime, *, may_renew: bool,
    goes_on: GoesOn,
) -> Cut:  # fmt: skip
    """`answer`: the first page. Raises what `fetch` does, UnknownShape, TooLarge and NotThere."""
    plan, first = permit.route.part.plan, permit.route
    assert isinstance(plan, TablePlan), "only formats that tables describe have such calls"
    answering = Answering(plan, first.upstream, first.window)
    began, asked = time.monotonic(), set[object]()
    while True:
        sent = permit.route.upstream
        media_type, _, link = headers.described(answer.headers)
        if media_type is None:
            await answer.abort()
            raise ConnectorError("organisation_answer_invalid", "content type")
        body = await answer.read(house.settings.answer_limit_bytes)
        take = partial(answering.page, sent, media_type, body, link)
        token = await filtered(house.pools, permit, len(body), take)
        if not token:
            return await filtered(house.pools, permit, 0, answering.cut)
        asked.add((sent.path, sent.query, sent.body))
        permit = _following(plan, permit, Asked("GET", path, ((TOKEN, token),)))
        if (following := permit.route.upstream) and (following.path, following.query, following.body) in asked:
            raise UnknownShape(leading(plan.form))
        if len(asked) >= PAGES:
            raise TooLarge(f"{PAGES} pages")
        if time.monotonic() - began > house.settings.total_seconds:
            raise ConnectorError("organisation_slow", "pages")
        if not await goes_on():
            raise Withdrawn
        answer = await fetch(house, permit, request_id, now, may_renew=may_renew, goes_on=goes_on)


def _following(plan: TablePlan, permit: Permit, asked: Asked) -> Permit:
    route = permit.grant.page(permit.route, asked)
    if route is None:  # it was permitted a moment ago
        raise UnknownShape(leading(plan.form))
    return replace(permit, route=route)
