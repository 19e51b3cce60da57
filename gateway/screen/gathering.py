"""Collects everything one consent screen needs: to show it, to read an answer to it, or to preview it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlmodel import Session

from gateway.catalogue import Catalogue
from gateway.consent import amending, asking, deciding
from gateway.consent.actors import acting
from gateway.consent.agreement import Decider
from gateway.consent.amending import Amendment
from gateway.consent.facts import AppView, Facts, Offered, OrganisationFacts
from gateway.consent.request import Ask, InvalidDetails
from gateway.consent.tables import Consent
from gateway.consent.terms import offered_durations
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
    replaces: int  # how many there are of these
    asked: Ask  # what she is asked: of a merge, only what is new
    durations: tuple[str, ...]  # she may choose from
    amendment: Amendment | None = None  # what would change of a running sharing, if the app asks for that
    chosen: Mapping[str, list[str]] = field(default_factory=dict)  # what is ticked; empty when first shown
    problems: Sequence[Problem] = ()

    @property
    def ask(self) -> Ask:
        return self.asked

    @cached_property
    def fixed(self) -> frozenset[str]:
        """The organisations whose accounts are part of the sharing already, so that there are none to choose."""
        found = self.amendment
        return frozenset(name for name in self.accounts if found is not None and found.accounts(name) is not None)

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
    amendment, directory = amending.of(session, consent, ctx.now), others.directory(session)
    asked, accounts = Ask.from_json(consent.asked), accounts_of(others, session, consent)
    latest = person.of_age_at if actor.for_another else None
    replaced = _replaced(session, consent, amendment, ctx.now)
    if amendment is not None:
        asked = amendment.new(asked, ctx.house.catalogue, directory)
        accounts = {name: _within(offered, amendment.accounts(name)) for name, offered in accounts.items()}
    return Showing(
        consent=consent,
        app=others.app(session, consent.app_id),
        directory=directory,
        accounts=accounts,
        linked=frozenset(others.linked(session, person.id)) & accounts.keys(),
        decider=Decider(
            actor=actor,
            minor=person.minor,
            auth_time=caller.auth_time,
            methods=caller.methods,
            recent_sign_in=ctx.signed_in_within(ctx.house.settings.recent_minutes),
            until=latest,
        ),
        ward=person.name if actor.for_another else None,
        redirect_host=redirect_host,
        redirect_scheme=redirect_scheme,
        running=next(iter(replaced), None),
        replaces=len(replaced),
        asked=asked,
        durations=amendment.durations(asked, ctx.now, latest) if amendment else offered_durations(asked),
        amendment=amendment,
    )


def _within(offered: Sequence[Offered], refs: Collection[str] | None) -> Sequence[Offered]:
    return offered if refs is None else [one for one in offered if one.ref in refs]


def _replaced(
    session: Session, consent: Consent, amendment: Amendment | None, now: datetime
) -> list[Mapping[str, Any]]:
    """The terms of the running sharings that agreeing would replace, the latest first."""
    if consent.action:
        return [amendment.terms] if amendment and not amendment.merges else []
    found = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    running = sorted((one for one in found if not deciding.is_over(one, now)), key=_agreed_at, reverse=True)
    return [agreed for one in running if (agreed := deciding.current(session, one)) is not None]


def _agreed_at(consent: Consent) -> datetime:
    return consent.granted_at or consent.created_at


def answerable(showing: Showing, catalogue: Catalogue, now: datetime) -> bool:
    """False if an organisation was removed after the app asked, the policies have changed what was asked for, or what
    it was to change has ended or changed otherwise."""
    ask = showing.ask
    if showing.consent.amends and not _can_change(showing, now):
        return False
    return ask.still_fits(catalogue, showing.directory) and all(
        name in showing.directory for name in ask.organisations()
    )


def _can_change(showing: Showing, now: datetime) -> bool:
    found = showing.amendment
    if found is None or not found.live:
        return False
    try:
        amending.check(Ask.from_json(showing.consent.asked), found.action, found.target, found.terms, now)
    except InvalidDetails:
        return False
    return True
