"""What of a person's account an app is told, or is not: judged and recorded like a data call, in the transaction of the
answer."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import case
from sqlmodel import Session, col

from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.openid import fields_of
from gateway.authorization.rules import Refused
from gateway.authorization.tables import FailedAuthentication, TokenFamily
from gateway.consent import asking, deciding
from gateway.consent.actors import SYSTEM
from gateway.consent.facts import PersonFacts
from gateway.consent.itself import ITSELF
from gateway.consent.request import Ask
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.errors import REASONS
from gateway.ground.keys import hashed
from gateway.ground.store import insert
from gateway.ground.web.context import Context
from gateway.log import Event


def person(call: EndpointCall, granted: GrantedFamily) -> PersonFacts:
    return call.facts.person(call.ctx.session, granted.consent.person_id)


def account(call: EndpointCall, granted: GrantedFamily) -> dict[str, object]:
    """What the account says, by the names of claims."""
    return dict(person(call, granted).claims)


def check_permitted(call: EndpointCall, granted: GrantedFamily) -> None:
    """Whatever she agreed to, no policy forbids it now, and the app is not suspended. Raises Refused."""
    ctx, whose = call.ctx, person(call, granted)
    facts = asking.sharing(
        call.facts.app(ctx.session, granted.family.client_id),
        ITSELF,
        True,
        Ask.from_json(granted.consent.asked),
        person=whose.id,
        minor=whose.minor,
        guardian_agreed=granted.terms["acted_by"][0]["capacity"] == "guardian",
    )
    decision = ctx.house.policies.decide("read", facts)
    if not decision.permitted:
        record_refusal(ctx, granted.family, decision.reason, 403)
        raise Refused("access_denied", REASONS[decision.reason][1], status=403, reason=decision.reason)


def record(ctx: Context, granted: GrantedFamily, operation: str, claims: Collection[str]) -> None:
    """That these claims are told. The entry is committed with the transaction in which the answer is made, before any
    of it is sent."""
    told = fields_of(granted.terms, claims, ctx.house.catalogue)
    fields = [name for each in told.values() for name in each]
    every = sum(len(ctx.house.catalogue.datasets[name].fields) for name in told)
    facts = {
        **_about(ctx, granted.consent, granted.terms),
        "datasets": list(told),
        "fields_delivered": fields,
        "fields_withheld": every - len(fields),
        "operation": operation,
        "outcome": "delivered",
        "records": 1,
    }
    granted.consent.last_access_at = ctx.now
    ctx.session.add(granted.consent)
    ctx.house.log.record(ctx.session, Event("access", granted.consent.person_id, ctx.now, "app", facts))
    if granted.terms["valid"]["max_uses"] == 1:
        deciding.end(ctx.session, ctx.house.log, granted.consent, SYSTEM, EndReason.USED_UP, ctx.now)


def _about(ctx: Context, consent: Consent, terms: Mapping[str, Any] | None) -> dict[str, Any]:
    """As people read it in the log, also when the app has gone."""
    operator = ctx.house.settings.operator_name
    return {
        "consent": consent.id,
        "version": consent.version,
        "generation": consent.generation,
        "client": consent.app_id,
        **({"client_name": terms["app"]["name"]} if terms else {}),
        "organisation": ITSELF,
        "organisation_name": {"fr": operator, "en": operator},
        "purpose": consent.purpose,
    }


# ---- refusals

EACH = 20  # entries of one sharing and reason in one minute; then one that counts, each time there are twice as many


def how_it_ended(ctx: Context, family: TokenFamily) -> str:
    """The reason, if what the token stood on is over, by a word or by time; "": the app gave its tokens back."""
    consent = ctx.session.get(Consent, family.consent_id)
    if consent is None or family.ended_at is not None:
        return ""
    if consent.state != State.ENDED and not deciding.is_over(consent, ctx.now):
        return ""
    return "max_uses" if consent.reason == EndReason.USED_UP else "ended"


def record_refusal(ctx: Context, family: TokenFamily, reason: str, status: int) -> None:
    """That nothing was told, committed with the answer although it is an error. A looping app does not fill her log,
    and does not hide in the flood. An empty `reason` tells her nothing that she does not know, and is left out."""
    consent = ctx.session.get(Consent, family.consent_id)
    if consent is None or not reason:
        return
    count = _nth(ctx.session, f"userinfo\n{consent.id}\n{reason}", int(ctx.now.timestamp()) // 60)
    facts = {**_about(ctx, consent, deciding.current(ctx.session, consent)), "reason": reason, "status": status}
    if count > EACH:
        rounds, rest = divmod(count, EACH)
        if rest or rounds & (rounds - 1):
            return
        facts |= {"more": count // 2, "reasons": {reason: count // 2}}
    ctx.house.log.record(ctx.session, Event("denied", consent.person_id, ctx.now, "app", facts))


def _nth(session: Session, what: str, minute: int) -> int:
    """How many there were of it in this minute, with this one."""
    row = insert(session, FailedAuthentication).values(id=hashed(what), minute=minute, count=1)
    counted = col(FailedAuthentication.count)
    more = case((col(FailedAuthentication.minute) == minute, counted), else_=0) + 1
    kept = row.on_conflict_do_update(index_elements=["id"], set_={"minute": minute, "count": more}).returning(counted)
    return int(session.execute(kept).scalar_one())
