"""The doors of the consent screen.

    GET  /authorize            shows the screen: the authorization room calls `screen`
    POST /consent/{id}         takes the answer
    GET  /sharings/{id}/seen   shows a screen that was agreed to, rendered again from the evidence

What other rooms know is asked through `Facts`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl, quote, urlsplit

from sqlmodel import Session, col, select
from starlette.responses import Response

from gateway import errors
from gateway.consent import amending, asking, deciding, evidence
from gateway.consent.actors import acting
from gateway.consent.agreement import Agreement, Notice
from gateway.consent.described import app_facts, item_name
from gateway.consent.facts import AppView, Facts, Offered
from gateway.consent.request import Ask
from gateway.consent.rules import KEPT, EndReason, State
from gateway.consent.tables import Consent, Evidence
from gateway.consent.terms import offered_durations
from gateway.consent.words import wording
from gateway.ground.web.answers import own_path, sign_in_again, sign_in_ended
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door
from gateway.ground.web.marks import N_
from gateway.screen import choices, contents, rendering
from gateway.screen import seen as seen_words
from gateway.screen.choices import Problem
from gateway.screen.gathering import Showing, accounts_of, answerable, gather, shareable
from gateway.screen.seen import ScreenSeen

_SIGNED_IN_ANEW = Problem(
    "items", N_("You signed in again since you opened this page, so nothing is decided yet. Answer it here.")
)
_CHANGED = Problem("items", N_("Something on this page has changed since you opened it. Look at it again."))
# Why a policy forbids it, for the person to read. Keys: errors.REASONS.
_WHY = {
    "suspended": N_("The app or the organisation is suspended."),
    "purpose": N_("The app may not ask for this purpose."),
    "app_not_allowed": N_("At this age, a guardian has to agree."),
    "policy": N_("The rules of this service forbid it."),
}


Decided = Callable[[Session, Consent, Caller, datetime], None]


def doors(facts: Facts, decided: Decided) -> list[Door]:
    """`decided`: what else follows from an answer, in its transaction."""
    return [
        Door(
            "/consent/{id}",
            partial(decide, facts, decided),
            ("POST",),
            opens="write",
            person=True,
            outlived=partial(ask_again, facts),
            name="consent_decide",
        ),
        Door("/sharings/{id}/seen", partial(as_agreed, facts), person=True, name="consent_seen"),
    ]


def screen(
    others: Facts, ctx: Context, consent: Consent, *, resume: str, redirect_uri: str, later: bool = False
) -> Response:
    """The screen of a consent in state requested. `resume`: the /authorize address of this request. `redirect_uri`: the
    app's address, to which the answer will go. `later`: she may put it off."""
    to = urlsplit(redirect_uri)
    return _show(ctx, gather(others, ctx, consent, to.netloc, to.scheme), resume, later=later)


def decide(others: Facts, decided: Decided, ctx: Context) -> Response:
    """A person's answer to a request: agree to what she chose, or refuse. 410 when it came too late, 422 with the
    screen for what is to be mended.
    """
    consent = _decidable(others, ctx)
    resume = _resume(ctx, consent)
    app = others.app(ctx.session, consent.app_id)
    if consent.reason == EndReason.LAPSED:
        return _late(ctx, app)
    if consent.state != State.REQUESTED:  # a second click, or the back button: the same result again
        return ctx.go(resume)
    if ctx.now > asking.answer_by(consent, ctx.house.settings):
        asking.lapse(ctx.session, ctx.house.log, consent, ctx.now)
        return _late(ctx, app)
    if ctx.form.get("decision") == "refuse":
        deciding.refuse(ctx.session, ctx.house, consent, acting(ctx.person.person, consent.person_id), ctx.now)
        decided(ctx.session, consent, ctx.person, ctx.now)
        return ctx.go(resume)
    answer = _allow(others, ctx, consent, resume)
    if consent.state != State.REQUESTED:
        decided(ctx.session, consent, ctx.person, ctx.now)
    return answer


def _decidable(others: Facts, ctx: Context) -> Consent:
    """The consent of this address. Raises NotFound also if somebody else decides it, so nobody learns it exists."""
    consent = _consent(ctx)
    person = others.person(ctx.session, consent.person_id) if consent else None
    if consent is None or person is None or not person.decided_by(ctx.person.person):
        raise errors.NotFound
    return consent


def _consent(ctx: Context) -> Consent | None:
    """The consent of this address. For a form, in the turn of the person whose it is."""
    consent = ctx.session.get(Consent, ctx.path["id"])
    if consent and ctx.request.method == "POST":
        ctx.house.log.turn(ctx.session, consent.person_id)
        consent = ctx.session.get(Consent, ctx.path["id"])
    return consent


def _resume(ctx: Context, consent: Consent) -> str:
    """Where to go on after the form: /authorize, or the page of the sharing. Nowhere else, whatever the form says."""
    wanted = own_path(ctx.form.get("resume", ""))
    return wanted if wanted.startswith("/authorize?") else f"/sharings/{consent.id}"


def _allow(others: Facts, ctx: Context, consent: Consent, resume: str) -> Response:
    seen = seen_words.unsealed(ctx.form.get("seen", ""), ctx.house.keys, consent.id, ctx.person.person)
    if seen is None:  # she was not shown this screen, so she cannot agree to it: show it
        return ctx.go(resume)
    # The screen as it would be shown now, with the marks it was sent with: its hash must be the one in `seen`.
    showing = replace(
        gather(others, ctx, consent, seen.redirect_host, seen.redirect_scheme),
        chosen=seen.chosen,
        problems=[Problem(*problem) for problem in seen.problems],
    )
    if not answerable(showing, ctx.house.catalogue, ctx.now):
        asking.lapse(ctx.session, ctx.house.log, consent, ctx.now)
        return _late(ctx, showing.app)
    if (organisation := ctx.form.get("link", "")) in set(showing.ask.organisations()) - showing.linked:
        asking.keep_draft(ctx.session, consent, ctx.person.person, _marks(ctx, showing))
        return ctx.go(f"/organisations/{organisation}/link?next={quote(resume, safe='')}")
    if ctx.form.get("decision") == "sign-in":
        return _sign_in_again(ctx, showing, resume)
    if ctx.form.get("decision") != "allow":  # the Enter key in a field: the same screen, with what is marked so far
        return _again(ctx, showing, resume, [], status=200)
    whole = contents.whole(ctx.house.catalogue, showing)
    offered = showing.ask, showing.accounts, showing.shareable, whole
    more, fixed = _merges(showing), showing.fixed
    chosen = choices.parse(ctx.form_lists, *offered, durations=showing.durations, fixed=fixed, may_be_none=more)
    shown = contents.facts(ctx.house.catalogue, ctx.house.settings, showing, seen.language, ctx.now)
    if rendering.text_hash(shown, seen.language, ctx.house.translations.of(seen.language)) != seen.text_sha256:
        return _again(ctx, showing, resume, [_CHANGED])
    if isinstance(chosen, list):
        return _again(ctx, showing, resume, chosen)
    notice = Notice(
        language=seen.language,
        template=rendering.TEMPLATE,
        template_sha256=rendering.version_sha256(),
        shown=shown,
        text_sha256=seen.text_sha256,
        shown_at=seen.shown_at,
    )
    agreement = Agreement(consent, showing.app, showing.directory, chosen, showing.decider, notice, showing.ask)
    agree = amending.amend if consent.amends else deciding.agree
    refusal = agree(ctx.session, ctx.house, agreement, ctx.now)
    if refusal is not None and refusal.reason == "strong_sign_in_needed":
        return _sign_in_again(ctx, showing, resume)
    return _answer(ctx, consent, refusal, resume)


def _merges(showing: Showing) -> bool:
    return showing.amendment is not None and showing.amendment.merges


def _sign_in_again(ctx: Context, showing: Showing, resume: str) -> Response:
    asking.keep_draft(ctx.session, showing.consent, ctx.person.person, _marks(ctx, showing))
    return ctx.go(sign_in_again(resume, why="sensitive"))


def ask_again(others: Facts, ctx: Context) -> Response:
    """For an answer that comes after the sign-in of its page has ended (`Door.outlived`). Nothing is decided. What was
    marked is kept, and shown again after the person has signed in, or at once if she has done so already (WCAG 2.2,
    3.3.7).

    The sealed field `seen` says to whom the page was shown, so that nobody else can leave marks in this request.
    Whoever has not signed in gets the same answer whatever the request is, and whether there is one.
    """
    resume = own_path(ctx.form.get("resume", ""))
    if ctx.caller is None and not resume.startswith("/authorize?"):
        raise errors.NotSignedIn
    consent = _consent(ctx)
    reader, seen = _shown_to(others, ctx, consent) if consent else ("", None)
    if consent and seen:
        asking.keep_draft(ctx.session, consent, reader, _offered_marks(others, ctx, consent))
    if ctx.caller is None:
        return ctx.go(sign_in_ended(resume))
    if consent is None or seen is None or reader != ctx.caller.person:
        raise errors.OldForm("csrf token")
    if consent.state != State.REQUESTED:
        return ctx.go(_resume(ctx, consent))
    showing = gather(others, ctx, consent, seen.redirect_host, seen.redirect_scheme)
    return _again(ctx, showing, _resume(ctx, consent), [_SIGNED_IN_ANEW], status=403)


def _shown_to(others: Facts, ctx: Context, consent: Consent) -> tuple[str, ScreenSeen | None]:
    """To whom the page of this form was shown, and what: the person, or her guardian. ("", None) if it was shown to
    nobody who may decide now."""
    person = others.person(ctx.session, consent.person_id)
    for reader in (person.id, person.guardian_id):
        if reader and person.decided_by(reader):
            seen = seen_words.unsealed(ctx.form.get("seen", ""), ctx.house.keys, consent.id, reader)
            if seen:
                return reader, seen
    return "", None


def _offered_marks(others: Facts, ctx: Context, consent: Consent) -> dict[str, list[str]]:
    ask, accounts = Ask.from_json(consent.asked), accounts_of(others, ctx.session, consent)
    open_ = shareable(others.linked(ctx.session, consent.person_id), accounts)
    return _offered(ask, (KEPT, *offered_durations(ask)), accounts, open_, ctx.form_lists)


def _answer(ctx: Context, consent: Consent, refusal: errors.Refusal | None, resume: str) -> Response:
    if refusal is None:
        return ctx.go(resume)
    deciding.record_service_refused(ctx.session, ctx.house.log, consent, refusal.reason, ctx.now)
    why = _WHY.get(refusal.reason, _WHY["policy"])
    return ctx.page("screen/refused.html", 403, why=why, resume=resume, say=wording(ctx))


def _again(ctx: Context, showing: Showing, resume: str, problems: Sequence[Problem], status: int = 422) -> Response:
    """The screen again, with what is marked in the form and what has to be mended."""
    return _show(ctx, replace(showing, chosen=_marks(ctx, showing), problems=problems), resume, status)


def _marks(ctx: Context, showing: Showing) -> dict[str, list[str]]:
    return _offered(showing.ask, showing.durations, showing.accounts, showing.shareable, ctx.form_lists)


def _offered(
    ask: Ask,
    durations: Collection[str],
    accounts: Mapping[str, Sequence[Offered]],
    open_: Collection[str],
    marks: Mapping[str, Sequence[str]],
) -> dict[str, list[str]]:
    """Those marks that are offered now, each once: whatever else a form may hold is never kept. `open_`: see
    `gathering.shareable`."""
    offered = {"duration": set(durations)}
    for item in ask.items:
        if item.organisation in open_:
            offered[item_name(item.organisation, item.dataset)] = {"yes"}
        refs = {one.ref for one in accounts.get(item.organisation, ())}
        offered[choices.accounts_name(item.organisation)] = refs
    return {name: sorted(offered[name] & set(values)) for name, values in marks.items() if name in offered}


def _show(ctx: Context, showing: Showing, resume: str, status: int = 200, *, later: bool = False) -> Response:
    """The screen in the language of the page, with the sealed field `seen` in its form."""
    house, consent, decider = ctx.house, showing.consent, showing.decider
    late = ctx.now > asking.answer_by(consent, house.settings)
    if late or not answerable(showing, house.catalogue, ctx.now):
        return _late(ctx, showing.app)
    if not showing.chosen:
        drafted = asking.draft(consent, ctx.person.person)
        kept = _offered(showing.ask, showing.durations, showing.accounts, showing.shareable, drafted)
        showing = replace(showing, chosen=kept or contents.first_marks(showing))
    shown = contents.facts(house.catalogue, house.settings, showing, ctx.language, ctx.now)
    html, text_sha256 = rendering.hashed_text(shown, ctx.language, house.translations.of(ctx.language))
    seen = ScreenSeen(
        at=ctx.now.isoformat(),
        language=ctx.language,
        text_sha256=text_sha256,
        redirect_host=showing.redirect_host,
        redirect_scheme=showing.redirect_scheme,
        chosen=shown["chosen"],
        problems=[[problem.field, problem.text] for problem in showing.problems],
    )
    sensitive = any(item.sensitivity != "none" for item in showing.ask.items)
    return ctx.page(
        "screen/guardian.html" if decider.minor and not decider.actor.for_another else "screen/screen.html",
        status,
        shown=shown,
        terms=html,
        consent=consent.id,
        seen=seen.sealed(house.keys, consent.id, ctx.person.person),
        resume=resume,
        return_to=resume,
        sign_in_again=sensitive and not decider.recent_sign_in,
        to_link=[
            (name, showing.directory[name].name[ctx.language])
            for name in showing.ask.organisations()
            if name not in showing.linked and not decider.actor.for_another
        ],
        answer_by=asking.answer_by(consent, house.settings),
        later=dict(parse_qsl(urlsplit(resume).query)) if later or "later" in ctx.form else {},
        say=wording(ctx),
    )


def _late(ctx: Context, app: AppView) -> Response:
    described = app_facts(app, ctx.language, ctx.now, ctx.house.settings.zone)
    return ctx.page("screen/late.html", 410, app=described, say=wording(ctx))


def as_agreed(others: Facts, ctx: Context) -> Response:
    """The screen that was agreed to, rendered again from the evidence, and whether it is the same to the letter."""
    consent = _decidable(others, ctx)
    kept = _evidence(ctx, consent)
    texts = ctx.house.translations.of(kept.language)
    html = rendering.text(evidence.shown(kept, ctx.house.keys), kept.language, texts)
    return ctx.page(
        "screen/seen.html",
        id=consent.id,
        kept=kept,
        html=html,
        same=rendering.sha256(html) == kept.text_sha256,
        same_version=rendering.version_sha256() == kept.template_sha256,
        say=wording(ctx),
    )


def _evidence(ctx: Context, consent: Consent) -> Evidence:
    """Of the version in the address, or of the last that she agreed to on a screen. Raises NotFound."""
    found = select(Evidence).where(Evidence.consent_id == consent.id).order_by(col(Evidence.version).desc())
    wanted = ctx.query.get("version", "")
    kept = next((one for one in ctx.session.exec(found) if wanted in ("", str(one.version))), None)
    if kept is None:
        raise errors.NotFound
    return kept
