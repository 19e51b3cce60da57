"""Going on with a request that is kept: sign in, link, agree, back to the app. dispatch.py decides which is next."""

from typing import Protocol
from urllib.parse import quote

from starlette.responses import Response

from gateway.apps import addresses
from gateway.apps.registration import Registration, registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import asked, clients, dispatch, openid, requests, rules
from gateway.authorization.returning import address, on_to_app, problem, returns_of
from gateway.authorization.rules import Step
from gateway.authorization.subjects import subject
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent import asking, deciding
from gateway.consent.actors import acting
from gateway.consent.facts import Facts, PersonFacts
from gateway.consent.request import Ask
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.consent.terms import granted_items
from gateway.errors import Forbidden, NotSignedIn, OldForm
from gateway.ground.keys import fresh
from gateway.ground.web import answers
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.headers import see_other
from gateway.organisations.views import everyone


class Screen(Protocol):
    """The screen room's page, handed in by the composition root."""

    def __call__(self, ctx: Context, consent: Consent, *, resume: str, redirect_uri: str, later: bool) -> Response: ...


def interactive(
    others: Facts, screen: Screen, ctx: Context, app: App, row: AuthorizationRequest, resume: str
) -> Response:
    caller = ctx.caller
    if caller is None:
        return _sign_in(resume)
    if asked.is_asked(row) and row.outcome:
        return _answered(others, ctx, app, row, caller)
    if not _may_be_meant(ctx, app, row, caller):
        return _another_is_meant(ctx, app, row, caller, resume)
    if not dispatch.may_change_grant(ctx.session, row, others, caller, ctx.now):
        return _no_such_grant(others, ctx, app, row)
    _sign_in_as_before(ctx, app, row, caller)
    consent, person = _hers(others, ctx, app, row, caller)
    ask = Ask.from_json(row.ask)
    facts = _standing(ctx, app, row, consent, person, caller)
    if row.outcome == "later":
        code = requests.grant(row, ctx.house.keys, caller, ctx.now, ctx.house.settings.code_seconds)
        waits = consent.state == State.REQUESTED
        return on_to_app(ctx, app, returns_of(row), {"code": code}, later=waits)
    match dispatch.next_step(row, caller, facts, ctx.house.settings, ctx.now):
        case Step.ISSUE:
            code = requests.grant(row, ctx.house.keys, caller, ctx.now, ctx.house.settings.code_seconds)
            asked.settled(ctx.session, app, row, consent, ctx.now)
            return on_to_app(ctx, app, returns_of(row), {"code": code})
        case Step.REFUSED:
            _refuse(ctx, app, row, consent)
            return on_to_app(ctx, app, returns_of(row), {"error": "access_denied"}, goes_on=bool(row.grant_id))
        case Step.UNMET if asked.is_asked(row):  # nobody waits for her: she may come again, signed in as is needed
            return see_other(answers.sign_in_again(resume, _why_again(facts)))
        case Step.UNMET:
            return on_to_app(ctx, app, returns_of(row), {"error": facts.unmet})
        case Step.HAND_OVER:
            called = view(app).name[ctx.language]
            return ctx.page("authorization/hand_over.html", app_name=called, ward=person.name, resume=resume)
        case Step.SIGN_IN_AGAIN:
            return see_other(answers.sign_in_again(resume, _why_again(facts)))
        case Step.LINK if ask.still_fits(ctx.house.catalogue, everyone(ctx.session, ctx.house)):
            return _link(ctx, app, consent, facts.unlinked, person if person.id != caller.person else None, resume)
        case Step.CONSENT if "change" not in ctx.query and (earlier := _to_continue(others, ctx, row, person)):
            return _continue(ctx, app, row, earlier, consent, resume)
        case _:
            return screen(ctx, consent, resume=resume, redirect_uri=row.redirect_uri, later=row.deferrable)


def _answered(others: Facts, ctx: Context, app: App, row: AuthorizationRequest, caller: Caller) -> Response:
    """The last page once more of what waited in an inbox; nobody else learns what came of it."""
    consent = ctx.session.get(Consent, row.consent_id) if row.consent_id else None
    theirs = consent is not None and others.person(ctx.session, consent.person_id).decided_by(caller.person)
    if not theirs or row.outcome == "taken_back":
        return problem(ctx, "over")
    said = {"code": ""} if row.outcome == "granted" else {"error": "access_denied"}
    return on_to_app(ctx, app, returns_of(row), said, goes_on=bool(row.grant_id))


def _refuse(ctx: Context, app: App, row: AuthorizationRequest, consent: Consent) -> None:
    requests.refuse(row, ctx.now, ctx.house.settings.code_seconds)
    asked.settled(ctx.session, app, row, consent, ctx.now)


def _may_be_meant(ctx: Context, app: App, row: AuthorizationRequest, caller: Caller) -> bool:
    """Whether the app names nobody by a `sub`, or her, or somebody for whom she may decide."""
    named = openid.named(row.claims)
    theirs = [caller.person, *(caller.wards(ctx.session) if named and caller.wards else ())]
    return not named or any(subject(ctx.house.keys, one, registration(app)) in named for one in theirs)


def _another_is_meant(ctx: Context, app: App, row: AuthorizationRequest, caller: Caller, resume: str) -> Response:
    """She is asked nothing that is meant for another, and the request stays as it is for whoever is meant."""
    if dispatch.before_opening(row, caller):
        return see_other(answers.sign_in_again(resume, "another"))
    return on_to_app(ctx, app, returns_of(row), {"error": "login_required"})


def _why_again(facts: dispatch.StepFacts) -> str:
    """What the page for signing in again says above."""
    if facts.unmet == "login_required":
        return "another"
    return "surer" if facts.unmet or facts.weak else ""


def _no_such_grant(others: Facts, ctx: Context, app: App, row: AuthorizationRequest) -> Response:
    """The answer to a request for a grant that is not this person's or has ended meanwhile; nobody is told which. Who
    opens somebody else's request spoils nothing of it."""
    consent = ctx.session.get(Consent, row.consent_id) if row.consent_id else None
    if consent is None or others.person(ctx.session, consent.person_id).decided_by(ctx.person.person):
        if consent:
            asking.lapse(ctx.session, ctx.house.log, consent, ctx.now)
            _refuse(ctx, app, row, consent)
        else:
            requests.refuse(row, ctx.now, ctx.house.settings.code_seconds)
    said = {"error": "invalid_grant_id", "error_description": rules.DESCRIPTIONS["invalid_grant_id"]}
    return on_to_app(ctx, app, returns_of(row), said)


def _standing(
    ctx: Context, app: App, row: AuthorizationRequest, consent: Consent | None, person: PersonFacts, caller: Caller
) -> dispatch.StepFacts:
    ask, sub = Ask.from_json(row.ask), subject(ctx.house.keys, person.id, registration(app))
    facts = dispatch.standing(ctx.session, ctx.house.catalogue, consent, ask, person, caller, ctx.now)
    return dispatch.signing_in(facts, row, person, caller, sub)


def _is_the_app(client: Registration, row: AuthorizationRequest) -> bool:
    """Whether it can be only the app that asks: it proves who it is, or its answer goes to its website. In the name of
    a program on her device any other may ask, so she answers each time, if by one click (RFC 8252 §8.6)."""
    return not (client.public and client.native) or row.redirect_uri.startswith("https:")


def _sign_in_as_before(ctx: Context, app: App, row: AuthorizationRequest, caller: Caller) -> None:
    """Who agreed that an app signs her in is not asked each time: the request hangs from that agreement."""
    if (
        asked.is_asked(row)
        or row.consent_id is not None
        or row.grant_management_action
        or "consent" in row.prompt.split()
        or not _is_the_app(registration(app), row)
    ):
        return
    if Ask.from_json(row.ask).is_sign_in:
        earlier = dispatch.agreed_before(ctx.session, row, caller.person, ctx.now)
        if earlier:
            row.opened_by, row.consent_id = caller.person, earlier.id


def _to_continue(others: Facts, ctx: Context, row: AuthorizationRequest, person: PersonFacts) -> Consent | None:
    """The live agreement to this very request, unless the app wants the whole screen or a grant of its own, or what was
    agreed to is not there any more."""
    if row.grant_management_action or "consent" in row.prompt.split():
        return None
    earlier = dispatch.agreed_before(ctx.session, row, person.id, ctx.now)
    terms = deciding.current(ctx.session, earlier) if earlier else None
    for item in granted_items(terms) if terms else ():
        known = others.accounts(ctx.session, row.client_id, person.id, item["organisation"])
        if not any(account.ref in item["accounts"] for account in known):
            return None
    return earlier


def go_on(others: Facts, ctx: Context) -> Response:
    """Go on with what she agreed to before: the new request hangs from the agreement that is there."""
    app = clients.find(ctx.session, ctx.form.get("client_id", ""))
    uri = ctx.form.get("request_uri", "")
    row = requests.held(ctx.session, ctx.house.log, uri, app, ctx.now) if app else None
    if app is None or row is None or app.status != "active":
        return problem(ctx, "over")
    consent, person = _hers(others, ctx, app, row, ctx.person)
    facts = _standing(ctx, app, row, consent, person, ctx.person)
    earlier = _to_continue(others, ctx, row, person)
    if earlier and dispatch.next_step(row, ctx.person, facts, ctx.house.settings, ctx.now) is Step.CONSENT:
        row.consent_id = earlier.id
        deciding.go_on(ctx.session, ctx.house.log, consent, earlier, acting(ctx.person.person, person.id), ctx.now)
        if asked.is_asked(row):
            requests.grant(row, ctx.house.keys, ctx.person, ctx.now, ctx.house.settings.code_seconds)
            asked.settled(ctx.session, app, row, consent, ctx.now)
    return ctx.go(requests.resume_path(app.client_id, uri))


def put_off(others: Facts, ctx: Context) -> Response:
    """She decides later, or her guardian: the request waits in the inbox, and the app is told so in place of tokens.
    400 where the app cannot wait."""
    app = clients.find(ctx.session, ctx.form.get("client_id", ""))
    uri = ctx.form.get("request_uri", "")
    row = requests.held(ctx.session, ctx.house.log, uri, app, ctx.now) if app else None
    if app is None or row is None or app.status != "active" or not row.deferrable:
        return problem(ctx, "over")
    consent, _ = _hers(others, ctx, app, row, ctx.person)
    if consent.state == State.REQUESTED and not row.outcome:
        asked.put_off(ctx.session, ctx.house, row, consent, ctx.now)
    return ctx.go(requests.resume_path(app.client_id, uri))


def ask_again(ctx: Context) -> Response:
    """Her answer came after the sign-in of its page had ended (`Door.outlived`): the same request is put once more."""
    if not ctx.form.get("request_uri"):
        raise OldForm("csrf token") if ctx.caller else NotSignedIn
    resume = requests.resume_path(ctx.form.get("client_id", ""), ctx.form["request_uri"])
    return ctx.go(resume if ctx.caller else answers.sign_in_ended(resume))


def _hers(
    others: Facts, ctx: Context, app: App, row: AuthorizationRequest, caller: Caller
) -> tuple[Consent, PersonFacts]:
    """The consent this request is about and whose it is: the caller's own, or that of an under-age person whose
    guardian she is. A request of somebody else's becomes hers as long as nobody decided it."""
    consent = ctx.session.get(Consent, row.consent_id) if row.consent_id else None
    if consent:
        person = others.person(ctx.session, consent.person_id)
        if person.decided_by(caller.person):
            consent = deciding.holding(ctx.session, consent, ctx.now)
            row.consent_id, row.opened_by = consent.id, row.opened_by or caller.person
            return consent, person
    taken = dispatch.take(ctx.session, ctx.house, row, caller, view(app), fresh(), ctx.now)
    return taken, others.person(ctx.session, caller.person)


def silently(others: Facts, ctx: Context, app: App, row: AuthorizationRequest) -> Response:
    """A code only if this very request is agreed to."""
    caller, settings = ctx.caller, ctx.house.settings
    if row.opened_by and caller and row.opened_by != caller.person:
        raise Forbidden("request of another person", say="This request was answered by somebody else.")
    if ctx.house.log.frozen:
        return see_other(address(ctx, app, returns_of(row), {"error": "temporarily_unavailable"}))
    facts, consent = dispatch.StepFacts(), None
    if caller:
        person = others.person(ctx.session, caller.person)
        # a grant is made or changed by her word alone
        if not row.grant_management_action and _is_the_app(registration(app), row):
            consent = dispatch.agreed_before(ctx.session, row, person.id, ctx.now)
        facts = _standing(ctx, app, row, consent, person, caller)
    step = dispatch.next_step(row, caller, facts, settings, ctx.now)
    answer = {"error": rules.SILENT.get(step, "consent_required")}
    if caller and not dispatch.may_change_grant(ctx.session, row, others, caller, ctx.now):
        answer = {"error": "invalid_grant_id"}
    if step is Step.ISSUE and caller and consent:
        row.opened_by, row.consent_id = caller.person, consent.id
        code = requests.grant(row, ctx.house.keys, caller, ctx.now, settings.code_seconds)
        answer = {"code": code}
    return see_other(address(ctx, app, returns_of(row), answer))


def _continue(
    ctx: Context, app: App, row: AuthorizationRequest, earlier: Consent, consent: Consent, resume: str
) -> Response:
    terms = deciding.current(ctx.session, earlier)
    catalogue, language, known = ctx.house.catalogue, ctx.language, everyone(ctx.session, ctx.house)
    return ctx.page(
        "authorization/continue.html",
        app_name=view(app).name[language],
        purpose=catalogue.purposes[earlier.purpose].title[language],
        shared=[
            (
                catalogue.at(known.get(item["organisation"]), item["dataset"]).label[language],
                item["organisation_name"][language],
            )
            for item in granted_items(terms or {"items": []})
        ],
        until=earlier.until,
        sharing=earlier.id,
        client_id=app.client_id,
        request_uri=ctx.query["request_uri"],
        consent=consent.id,
        resume=resume,
        place=addresses.place(row.redirect_uri) if row.redirect_uri else "",
        sent=asked.is_asked(row),
        message=consent.message,
    )


def _sign_in(resume: str) -> Response:
    return see_other("/sign-in?next=" + quote(resume, safe=""))


def _link(
    ctx: Context, app: App, consent: Consent, unlinked: tuple[str, ...], ward: PersonFacts | None, resume: str
) -> Response:
    """What has to be linked before there is anything to choose from; refusing is possible without linking."""
    known, catalogue, language = everyone(ctx.session, ctx.house), ctx.house.catalogue, ctx.language
    ask = Ask.from_json(consent.asked)
    data = {
        name: [
            catalogue.at(known[name], item.dataset).label[language] for item in ask.items if item.organisation == name
        ]
        for name in unlinked
    }
    return ctx.page(
        "authorization/link.html",
        app_name=view(app).name[language],
        unchecked=not view(app).verified,
        purpose=catalogue.purposes[ask.purpose].title[language],
        organisations=[(name, known[name].name[language], data[name]) for name in unlinked],
        next=quote(resume, safe=""),
        ward=ward.name if ward else None,
        consent=consent.id,
        resume=resume,
    )
