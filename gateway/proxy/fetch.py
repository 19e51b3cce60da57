"""The fourth step: the organisation's own credential for this person, and its answer.

The credential never leaves this module but towards the organisation that gave it.
"""

import re
from datetime import datetime
from functools import partial

from gateway.formats.model import NotThere
from gateway.ground.http.connector import Answer, ConnectorError, GoesOn, Headers, OutboundRequest, Withdrawn
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.pools import Full
from gateway.house import House
from gateway.organisations import assertion, links, proofs, tokens
from gateway.organisations.file_rules import KIND as FILES
from gateway.organisations.links import DECLARED, LinkView
from gateway.organisations.proofs import Outgoing, Proof
from gateway.proxy import headers
from gateway.proxy.admit import Permit
from gateway.proxy.filed import of_files
from gateway.proxy.grants import Field, Grant
from gateway.settings import Settings

SMALL = 64 * 1024
WAIT_SECONDS = 86_400  # that an app is told to wait, at most
_SECONDS = re.compile(rb"[0-9]{1,9}")
REUSED_SECONDS = 45  # of an assertion's 60: reads of one link share it, as they would share an access token


class Renewed(Exception):
    """The link has new credentials: judge the call again, by the link as it is now."""


# status of the organisation → reason of errors.REASONS; others of the same hundred as the last lines say
_REASON = {401: "organisation_refused", 403: "organisation_refused", 429: "busy", 503: "organisation_unavailable",
           504: "organisation_slow"}  # fmt: skip
_REASON_OF_HUNDRED = {4: "organisation_refused", 5: "organisation_unavailable"}


async def fetch(
    house: House, permit: Permit, request_id: str, now: datetime, *, may_renew: bool, goes_on: GoesOn
) -> Answer:
    """The answer's beginning, status 200. Raises ConnectorError, NotThere, Withdrawn, and, if it may, Renewed."""
    link, target = permit.grant.link, permit.grant.target
    assert link is not None and target is not None  # a permit is of a grant that is not refused
    if permit.grant.organisation is not None and permit.grant.organisation.kind == FILES:
        return await of_files(house, permit, permit.grant.organisation, link.whose, now, goes_on)
    upstream = permit.route.upstream
    if link.kind == DECLARED:
        answer = await _declared(house, permit, link, request_id, now, may_renew, goes_on)
    else:
        if may_renew and links.runs_out(link, now):
            await _renew(house, permit.grant, link, now, refused=None)
        credential = _credential(house.keys, house.settings, permit, link, now)
        sent = headers.upstream(credential, upstream.accept, request_id)
        if permit.route.body:
            sent.append((b"content-type", upstream.content_type.encode("latin-1")))
        out = OutboundRequest(target, upstream.method, permit.route.path, sent, permit.route.body, link.id)
        answer = await house.connector.get(out, goes_on)
    if answer.status == 200:
        return answer
    await _throw_away(answer)
    if answer.status == 401 and link.expires_at is not None and may_renew:
        await _renew(house, permit.grant, link, now, refused=link.access_token)
    if answer.status in (404, 410):
        raise NotThere
    # Redirects are not followed: nobody declared where they lead. A part, or nothing, is not what was asked for.
    by_hundred = _REASON_OF_HUNDRED.get(answer.status // 100, "organisation_answer_invalid")
    reason = _REASON.get(answer.status, by_hundred)
    raise ConnectorError(reason, f"status {answer.status}", _wait(answer) if answer.status in (429, 503) else None)


def _wait(answer: Answer) -> int | None:
    """The seconds of its Retry-After (RFC 9110 §10.2.3), within reason; None: it says none, or a date."""
    said = next((value for name, value in answer.headers if name == b"retry-after"), b"")
    return min(max(int(said), 1), WAIT_SECONDS) if _SECONDS.fullmatch(said) else None


async def _declared(
    house: House, permit: Permit, link: LinkView, request_id: str, now: datetime, may_renew: bool, goes_on: GoesOn
) -> Answer:
    """The answer's beginning. Raises what `fetch` does."""
    grant, route = permit.grant, permit.route
    proof = grant.proof
    if proof is None or grant.target is None:
        raise ConnectorError("not_linked", "linked by another kind of connection")
    if not route.named:
        raise ConnectorError("organisation_refused", "the call names nobody")
    upstream = route.upstream
    request = Outgoing(upstream.method, route.path, route.body, upstream.content_type, route.fields)
    token = await _token(house, proof, link, now, goes_on)
    sent: Headers = proofs.fields(house, proof, link, request, token, now) + request.described
    sent.append((b"accept", upstream.accept.encode("latin-1")))
    sent.append((b"x-request-id", request_id.encode()))
    out = OutboundRequest(grant.target, upstream.method, route.path, sent, route.body, link.id)
    answer = await house.connector.get(out, goes_on)
    if answer.status == 401 and may_renew and proofs.forgotten(house.lasting, proof, token, link):
        await _throw_away(answer)
        raise Renewed
    return answer


async def _token(house: House, proof: Proof, link: LinkView, now: datetime, goes_on: GoesOn) -> str:
    """The gateway's own token for this call; "" where the kind has none. However many calls need one, it is asked for
    once. Raises ConnectorError and, where the call may not be made any more after that wait, Withdrawn."""
    key = proofs.token_key(proof, link)
    if key is None:
        return ""
    held = house.lasting.get(key, now.timestamp())
    if held is not None:
        return held
    try:
        work = partial(proofs.obtained, house, proof, link, now)
        made = await house.pools.share("renewal", proof.organisation.id, key, work)
    except Full:
        raise ConnectorError("busy", "too many renewals") from None
    if not await goes_on():
        raise Withdrawn
    return made


async def _throw_away(answer: Answer) -> None:
    """Read a short error page to its end, so that the connection can be kept; it is passed on to nobody."""
    try:
        await answer.read(SMALL)
    except ConnectorError:
        await answer.abort()


def _credential(keys: KeyRing, settings: Settings, permit: Permit, link: LinkView, now: datetime) -> Field:
    if link.kind == "oauth":
        return b"authorization", f"Bearer {link.access_token}".encode("latin-1")
    organisation = permit.grant.organisation
    assert organisation is not None
    signed, held = permit.grant.assertions.get(link.subject, (None, None))
    if signed is not None and held is not None and 0 <= (now - signed).total_seconds() < REUSED_SECONDS:
        return held
    made = assertion.header(keys, settings.public_url, organisation.base_url, link.subject, now, fresh(16))
    permit.grant.assertions[link.subject] = now, made
    return made


async def _renew(house: House, grant: Grant, link: LinkView, now: datetime, refused: str | None) -> None:
    """Always raises: Renewed, or ConnectorError."""
    assert grant.organisation is not None
    organisation, work = grant.organisation.id, partial(tokens.refreshed, house, link.id, now, refused=refused)
    try:
        renewed = await house.pools.share("renewal", organisation, (link.id, refused), work)
    except Full:
        raise ConnectorError("busy", "too many renewals") from None
    if renewed is None:
        raise ConnectorError("not_linked", "the organisation ended the link")
    raise Renewed
