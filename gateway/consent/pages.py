"""The person's doors of this room: the consent screen's answer, and the pages of her sharings.

    GET  /authorize          the authorization room asks `screen` here to show it
    POST /consent/{id}       the answer: one record, one event, one log entry
    /sharings …              the list, one sharing, stop, pause, resume, remove (sharings.py)
    /sharings/{id}/receipt/… receipts as files (receipt_pages.py)

What other rooms know comes in through `Facts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from starlette.responses import Response

from gateway import errors
from gateway.consent import asking, choices, deciding, evidence, receipt_pages, sharings
from gateway.consent.choices import Problem
from gateway.consent.facts import AppView, Facts, Offered, OrganisationFacts, PersonFacts
from gateway.consent.request import Ask
from gateway.consent.rules import DURATIONS, EndReason, State
from gateway.consent.screen import Showing, answer_by, answerable, facts, late, running, show, wording
from gateway.consent.tables import Consent
from gateway.consent.words import N_
from gateway.web.answers import own_path
from gateway.web.doors import Context, Door

_CHANGED = Problem("items", N_("Something on this page has changed since you opened it. Look at it again."))
# why a policy forbids it, as the person reads it; keys: errors.REASONS
_WHY = {
    "suspended": N_("The app or the organisation is suspended."),
    "purpose": N_("The app may not ask for this purpose."),
    "app_not_allowed": N_("At this age, a guardian has to agree."),
    "policy": N_("The rules of this service forbid it."),
}


def doors(facts: Facts) -> list[Door]:
    return [
        Door("/consent/{id}", partial(decide, facts), ("POST",), opens="write", person=True, name="consent_decide"),
        *sharings.doors(facts),
        *receipt_pages.doors(facts),
    ]


def screen(
    ctx: Context,
    consent: Consent,
    *,
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    accounts: Mapping[str, Sequence[Offered]],
    decider: deciding.Decider,
    ward_name: str | None,
    resume: str,
    redirect_host: str,
    redirect_scheme: str,
    problems: Sequence[Problem] = (),
) -> Response:
    """The consent screen for a consent in state requested. `resume`: the /authorize address that shows it again.
    `accounts`: by organisation, with references pairwise for the app. `ward_name`: whom the guardian decides for."""
    showing = Showing(
        consent=consent,
        app=app,
        directory=directory,
        accounts=accounts,
        ward=ward_name,
        redirect_host=redirect_host,
        redirect_scheme=redirect_scheme,
        running=running(ctx.session, consent, ctx.now),
        latest=asking.latest_end(ctx.session, ctx.house, consent, ward_name is not None),
        problems=tuple(problems),
    )
    return show(ctx, showing, decider, resume)


def decide(others: Facts, ctx: Context) -> Response:
    consent = ctx.session.get(Consent, ctx.path["id"])
    person = others.person(ctx.session, consent.person_id) if consent else None
    if consent is None or person is None or not person.decided_by(ctx.person.person):
        raise errors.NotFound
    resume = _resume(ctx, consent)
    app = others.app(ctx.session, consent.app_id)
    if consent.reason == EndReason.LAPSED:
        return late(ctx, app)
    if consent.state != State.REQUESTED:  # a second click, or the back button: the same result again
        return ctx.go(resume)
    if ctx.now > answer_by(ctx.house, consent):
        asking.lapse(ctx.session, ctx.house, consent, ctx.now)
        return late(ctx, app)
    guardian = ctx.person.person if person.id != ctx.person.person else None
    if ctx.form.get("decision") == "refuse":
        deciding.refuse(ctx.session, ctx.house, consent, ctx.now, guardian)
        return ctx.go(resume)
    return _allow(others, ctx, consent, app, person, guardian, resume)


def _resume(ctx: Context, consent: Consent) -> str:
    """Back to the one dispatcher, or to the sharing: never to an address from outside (A32)."""
    wanted = own_path(ctx.form.get("resume", ""))
    return wanted if wanted.startswith("/authorize?") else f"/sharings/{consent.id}"


def _allow(
    others: Facts,
    ctx: Context,
    consent: Consent,
    app: AppView,
    person: PersonFacts,
    guardian: str | None,
    resume: str,
) -> Response:
    seen = evidence.unsealed(ctx.form.get("seen", ""), ctx.house.keys, consent.id, ctx.person.person)
    if seen is None:  # she cannot agree to a page we did not show her: show it
        return ctx.go(resume)
    decider = deciding.Decider(
        person=person.id,
        minor=person.minor,
        guardian=guardian,
        auth_time=ctx.person.auth_time,
        methods=ctx.person.methods,
        recent_sign_in=ctx.signed_in_within(ctx.house.settings.recent_minutes),
    )
    showing = _shown_before(others, ctx, consent, app, person if guardian else None, seen)
    if not answerable(ctx.house, showing):
        asking.lapse(ctx.session, ctx.house, consent, ctx.now)
        return late(ctx, app)
    if ctx.form.get("decision") != "allow":  # Enter in a field: the same page, with what she has marked so far
        return _again(ctx, showing, decider, resume, [], status=200)
    chosen = choices.parse(ctx.form_lists, showing.ask, showing.accounts)
    shown = facts(ctx.house, showing, seen.language, ctx.now)
    if evidence.text_hash(shown, seen.language, ctx.house.translations.of(seen.language)) != seen.text_sha256:
        return _again(ctx, showing, decider, resume, [_CHANGED])
    if isinstance(chosen, list):
        return _again(ctx, showing, decider, resume, chosen)
    notice = deciding.Notice(
        language=seen.language,
        template=evidence.TEMPLATE,
        template_sha256=evidence.version_sha256(),
        shown=shown,
        text_sha256=seen.text_sha256,
        shown_at=seen.shown_at,
    )
    refusal = deciding.agree(ctx.session, ctx.house, consent, app, showing.directory, chosen, decider, notice, ctx.now)
    return _answer(ctx, consent, refusal, resume)


def _answer(ctx: Context, consent: Consent, refusal: errors.Refusal | None, resume: str) -> Response:
    if refusal is None:
        return ctx.go(resume)
    if refusal.reason == "strong_sign_in_needed":
        return ctx.go(sign_in_again(resume))
    deciding.record_service_refused(ctx.session, ctx.house, consent, refusal.reason, ctx.now)
    why = _WHY.get(refusal.reason, _WHY["policy"])
    return ctx.page("consent/refused.html", 403, why=why, resume=resume, say=wording(ctx))


def sign_in_again(resume: str) -> str:
    return f"/sign-in?again=1&next={quote(resume, safe='')}"


def _shown_before(
    others: Facts, ctx: Context, consent: Consent, app: AppView, ward: PersonFacts | None, seen: evidence.Seen
) -> Showing:
    """The screen as it would be shown now, with the marks it had when it left."""
    organisations = Ask.from_json(consent.asked).organisations()
    return Showing(
        consent=consent,
        app=app,
        directory=others.directory(ctx.session),
        accounts={name: others.accounts(ctx.session, app.client_id, consent.person_id, name) for name in organisations},
        ward=ward.name if ward else None,
        redirect_host=seen.redirect_host,
        redirect_scheme=seen.redirect_scheme,
        running=running(ctx.session, consent, ctx.now),
        latest=asking.latest_end(ctx.session, ctx.house, consent, ward is not None),
        chosen=seen.chosen,
        problems=[Problem(*problem) for problem in seen.problems],
    )


def _again(
    ctx: Context,
    showing: Showing,
    decider: deciding.Decider,
    resume: str,
    problems: Sequence[Problem],
    status: int = 422,
) -> Response:
    """The screen once more, with what is to be mended and what she had ticked."""
    offered = {"duration": {duration for duration, _ in DURATIONS}}
    for item in showing.ask.items:
        offered[choices.item_name(item.organisation, item.dataset)] = {"yes"}
        refs = {one.ref for one in showing.accounts.get(item.organisation, ())}
        offered[choices.accounts_name(item.organisation)] = refs
    chosen = {name: sorted(offered[name] & set(values)) for name, values in ctx.form_lists.items() if name in offered}
    again = replace(showing, chosen=chosen, problems=problems)
    return show(ctx, again, decider, resume, status)
