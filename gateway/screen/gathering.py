"""What one consent screen is about, gathered in one place: for the page, for an answer to it, and for the preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlmodel import Session

from gateway.catalogue import Catalogue
from gateway.consent import asking, deciding
from gateway.consent.actors import acting
from gateway.consent.agreement import Decider
from gateway.consent.facts import AppView, Facts, Offered, OrganisationFacts
from gateway.consent.request import Ask
from gateway.consent.tables import Consent
from gateway.ground.web.context import Context
from gateway.screen.choices import Problem


@dataclass(frozen=True)
class Showing:
    """Everything one screen is about: whoever shows it, reads an answer to it or previews it has this and no more."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    accounts: Mapping[str, Sequence[Offered]]  # by organisation, by the references this app would see
    linked: frozenset[str]  # of the organisations asked for, those where we know which account is hers
    decider: Decider
    ward: str | None  # whom the guardian decides for
    redirect_host: str
    redirect_scheme: str
    running: Mapping[str, Any] | None  # terms of the sharing that this one would replace
    chosen: Mapping[str, list[str]] = field(default_factory=dict)  # what is ticked; empty on first display
    problems: Sequence[Problem] = ()

    @cached_property
    def ask(self) -> Ask:
        return Ask.from_json(self.consent.asked)

    @cached_property
    def shareable(self) -> frozenset[str]:
        """The organisations from which anything can be shared now: linked, with at least one available account."""
        return frozenset(name for name in self.linked if any(one.available for one in self.accounts[name]))


def gather(others: Facts, ctx: Context, consent: Consent, redirect_host: str, redirect_scheme: str) -> Showing:
    """The screen as it would be shown now to the caller: the person herself, or her guardian for her."""
    session, caller = ctx.session, ctx.person
    person = others.person(session, consent.person_id)
    actor = acting(caller.person, person.id)
    organisations = Ask.from_json(consent.asked).organisations()
    return Showing(
        consent=consent,
        app=others.app(session, consent.app_id),
        directory=others.directory(session),
        accounts={name: others.accounts(session, consent.app_id, person.id, name) for name in organisations},
        linked=frozenset(others.linked(session, person.id)) & set(organisations),
        decider=Decider(
            actor=actor,
            minor=person.minor,
            auth_time=caller.auth_time,
            methods=caller.methods,
            recent_sign_in=ctx.signed_in_within(ctx.house.settings.recent_minutes),
            until=person.of_age_at if actor.for_another else None,
        ),
        ward=person.name if actor.for_another else None,
        redirect_host=redirect_host,
        redirect_scheme=redirect_scheme,
        running=_running(session, consent, ctx.now),
    )


def _running(session: Session, consent: Consent, now: datetime) -> dict[str, Any] | None:
    """The terms in force of the same person, app and purpose: what `deciding.agree` would replace."""
    found = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    return next((deciding.current(session, one) for one in found if not deciding.is_over(one, now)), None)


def answerable(showing: Showing, catalogue: Catalogue) -> bool:
    """False: the purpose, an organisation or a type of data has gone since it was asked."""
    ask = showing.ask
    known = ask.purpose in catalogue.purposes and all(i.dataset in catalogue.datasets for i in ask.items)
    return known and all(name in showing.directory for name in ask.organisations())
