"""Collects everything one consent screen needs: to show it, to read an answer to it, or to preview it."""

from collections.abc import Collection, Mapping, Sequence
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
    """Everything one screen needs. Showing, answering and previewing all work from this and nothing else."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    accounts: Mapping[str, Sequence[Offered]]  # by organisation, by the references this app would see
    linked: frozenset[str]  # those organisations of the request where it is known which account is the person's
    decider: Decider
    ward: str | None  # name of the child, if a guardian decides; None: the person decides for herself
    redirect_host: str
    redirect_scheme: str
    running: Mapping[str, Any] | None  # terms of the sharing that this one would replace
    chosen: Mapping[str, list[str]] = field(default_factory=dict)  # what is ticked; empty when first shown
    problems: Sequence[Problem] = ()

    @cached_property
    def ask(self) -> Ask:
        return Ask.from_json(self.consent.asked)

    @cached_property
    def shareable(self) -> frozenset[str]:
        return shareable(self.linked, self.accounts)


def shareable(linked: Collection[str], accounts: Mapping[str, Sequence[Offered]]) -> frozenset[str]:
    """The organisations from which anything can be shared now: linked, with at least one available account."""
    return frozenset(name for name, held in accounts.items() if name in linked and any(one.available for one in held))


def accounts_of(others: Facts, session: Session, consent: Consent) -> dict[str, Sequence[Offered]]:
    organisations = Ask.from_json(consent.asked).organisations()
    return {name: others.accounts(session, consent.app_id, consent.person_id, name) for name in organisations}


def gather(others: Facts, ctx: Context, consent: Consent, redirect_host: str, redirect_scheme: str) -> Showing:
    """For the caller as of now: the person herself, or her guardian."""
    session, caller = ctx.session, ctx.person
    person = others.person(session, consent.person_id)
    actor = acting(caller.person, person.id)
    accounts = accounts_of(others, session, consent)
    return Showing(
        consent=consent,
        app=others.app(session, consent.app_id),
        directory=others.directory(session),
        accounts=accounts,
        linked=frozenset(others.linked(session, person.id)) & accounts.keys(),
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
    """The terms of the running sharing that agreeing would replace (`deciding.agree`); None: there is none."""
    found = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    return next((deciding.current(session, one) for one in found if not deciding.is_over(one, now)), None)


def answerable(showing: Showing, catalogue: Catalogue) -> bool:
    """False if an organisation was removed after the app asked, or the policies have changed what was asked for."""
    ask = showing.ask
    return ask.still_fits(catalogue, showing.directory) and all(
        name in showing.directory for name in ask.organisations()
    )
