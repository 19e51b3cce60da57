"""What of a person's account an app is told: judged and recorded like a data call, in the transaction of the answer."""

from collections.abc import Collection

from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.openid import fields_of
from gateway.authorization.rules import Refused
from gateway.consent import asking, deciding
from gateway.consent.actors import SYSTEM
from gateway.consent.facts import PersonFacts
from gateway.consent.itself import ITSELF
from gateway.consent.request import Ask
from gateway.consent.rules import EndReason
from gateway.errors import REASONS
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
        raise Refused("access_denied", REASONS[decision.reason][1], status=403, reason=decision.reason)


def record(ctx: Context, granted: GrantedFamily, operation: str, claims: Collection[str]) -> None:
    """That these claims are told. The entry is committed with the transaction in which the answer is made, before any
    of it is sent."""
    told = fields_of(granted.terms, claims, ctx.house.catalogue)
    fields = [name for each in told.values() for name in each]
    every = sum(len(ctx.house.catalogue.datasets[name].fields) for name in told)
    facts = {
        "consent": granted.consent.id,
        "version": granted.consent.version,
        "generation": granted.consent.generation,
        "client": granted.family.client_id,
        "client_name": granted.terms["app"]["name"],
        "organisation": ITSELF,
        "organisation_name": {"fr": ctx.house.settings.operator_name, "en": ctx.house.settings.operator_name},
        "purpose": granted.consent.purpose,
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
