"""How what a call rests on ends, as a person's page or an operator's command does it."""

from sqlmodel import Session

from gateway.authorization import families
from gateway.authorization.tables import TokenFamily
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.organisations import declare, links
from tests.proxy.bank import Bank
from tests.proxy.proxy_world import World

REASONS = {"stopped": "ended", "paused": "paused", "unlinked": "not_linked", "suspended": "suspended"}


def ends(world: World, bank: Bank, how: str) -> None:
    """Whoever does it is told when this returns."""
    with world.house.store.write() as session:
        _ends(session, world, bank, how)


def _ends(session: Session, world: World, bank: Bank, how: str) -> None:
    log, now, consent = world.house.log, world.clock(), session.get_one(Consent, bank.consent)
    if how == "stopped":
        deciding.end(session, log, consent, herself(bank.person), EndReason.WITHDRAWN, now)
    elif how == "paused":
        deciding.pause(session, log, consent, herself(bank.person), now)
    elif how == "revoked":
        families.end(session, log, session.get_one(TokenFamily, f"family-{bank.consent}"), "revoked_by_app", now)
    elif how == "unlinked":
        link = links.current(session, bank.person, bank.id)
        assert link is not None and links.end(session, link.id, now)
    else:
        declare.suspend(session, bank.id, "It asked for it.", now)
