"""/authorize: the only dispatcher of the flow. Every step comes back here, and here alone the next one is decided.

    1. no parameter is given twice                   4. what comes next (steps.py)
    2. the app is known, and so is the address       5. sign in, link, consent: a page of that room
    3. the request is kept, and is this caller's     6. issue, refuse: a page that goes on to the app

The end is a page and not a redirect: browsers block a redirect chain that leaves the origin
of the form it began with. Only prompt=none, which no form precedes, is answered by redirect.
Whatever is wrong before the app and its address are known ends on a page of ours.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol
from urllib.parse import quote

from starlette.responses import Response

from gateway.apps import addresses
from gateway.apps.tables import App
from gateway.apps.views import must_push, view
from gateway.authorization import checks, clients, parameters, requests, rules, steps
from gateway.authorization.protocol import note
from gateway.authorization.rules import Refused, Step
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent import deciding
from gateway.consent.actors import acting
from gateway.consent.facts import Facts, PersonFacts
from gateway.consent.request import Ask
from gateway.consent.tables import Consent
from gateway.consent.terms import granted_items
from gateway.errors import Forbidden, NotSignedIn, OldForm
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.web import answers
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door
from gateway.ground.web.headers import see_other
from gateway.ground.web.languages import choose_language
from gateway.organisations.views import directory

# What is wrong with a link from an app, as the person reads it. Keys: `why` of _problem().
PROBLEMS = {
    "malformed": "The link from the app is not of the right form.",
    "unknown_app": "No app of that name is registered here.",
    "suspended": "This app is suspended. It may not ask for data at the moment.",
    "unknown_address": "The app did not say to which of its registered addresses to return.",
    "over": "This request is unknown, has expired or has been answered already.",
}


class Screen(Protocol):
    """The screen room's page, handed in by the composition root."""

    def __call__(self, ctx: Context, consent: Consent, *, resume: str, redirect_uri: str) -> Response: ...


def doors(facts: Facts, screen: Screen) -> list[Door]:
    handler = partial(authorize, facts, screen)
    return [
        Door("/authorize", handler, ("GET",), opens="write", name="authorize"),
        # an app may send its request as a form of its own; nothing is decided by it
        Door("/authorize", handler, ("POST",), opens="write", csrf=False, name="authorize_form"),
        Door(
            "/authorize/continue",
            partial(go_on, facts),
            ("POST",),
            opens="write",
            person=True,
            gives=True,
            outlived=ask_again,
            name="go_on",
        ),
    ]


def authorize(others: Facts, screen: Screen, ctx: Context) -> Response:
    """Lead a person through an app's request, one step after the other: sign in, link, agree, back to the app (RFC 6749
    §3.1).
    """
    try:  # 1
        sent = parameters.given(ctx, parameters.AUTHORIZE, ctx.form if ctx.request.method == "POST" else ctx.query)
    except Refused:
        return _problem(ctx, "malformed")
    app = ctx.session.get(App, sent.get("client_id", ""))  # 2
    if app is None:
        return _problem(ctx, "unknown_app")
    if app.status != "active":
        return _problem(ctx, "suspended", 403)
    if "request_uri" not in sent or "request" in sent:
        return _plain(ctx, app, sent)
    request_uri = sent["request_uri"]
    row = requests.held(ctx.session, ctx.house.log, request_uri, app, ctx.now)  # 3
    if row is None:
        return _problem(ctx, "over")
    if ctx.request.method == "POST":
        return ctx.go(requests.resume_path(app.client_id, request_uri))
    silent = "none" in row.prompt.split()
    if not silent:
        ctx.house.log.require_whole()
    requests.open_(row, ctx.now, ctx.house.settings.ask_seconds)
    preferred = ctx.caller.language if ctx.caller else None
    ctx.language = choose_language(ctx.request, ctx.house.settings, preferred, row.ui_locales)
    if silent:
        return _silent(others, ctx, row)
    return _interactive(others, screen, ctx, app, row, requests.resume_path(app.client_id, request_uri))


def _plain(ctx: Context, app: App, sent: Mapping[str, str]) -> Response:
    """A request in the address itself: kept like a pushed one, for apps that may, and opened by its request_uri."""
    if "request_uri" in sent:
        return _problem(ctx, "malformed")
    try:
        asking = checks.Asking(ctx.session, ctx.house, app, sent)
        to = checks.redirect_uri(sent.get("redirect_uri", ""), asking)
        state = checks.state(sent.get("state", ""), asking)
    except Refused:
        return _problem(ctx, "unknown_address")
    try:
        if must_push(app):
            raise Refused("invalid_request", "This client pushes its requests (PAR).")
        clients.count_request(ctx.session, app.client_id, client_network(ctx.request, ctx.house.settings), ctx.now)
        checked = requests.check(ctx.session, ctx.house, app, sent)
    except Refused as refused:
        note(ctx, refused)
        answer = {"error": refused.error, "error_description": refused.description or None, "state": state}
        return _on_to_app(ctx, app, to, answer, plain="none" in sent.get("prompt", "").split())
    request_uri = requests.push(ctx.session, checked, fresh(), ctx.now, ctx.house.settings.request_seconds)
    return ctx.go(requests.resume_path(app.client_id, request_uri))


def _interactive(
    others: Facts, screen: Screen, ctx: Context, app: App, row: AuthorizationRequest, resume: str
) -> Response:
    caller = ctx.caller
    if caller is None:
        return _sign_in(resume)
    consent, person = _hers(others, ctx, app, row, caller)
    ask = Ask.from_json(row.ask)
    facts = steps.standing(ctx.session, consent, ask, person, caller, ctx.now)
    match steps.next_step(row, caller, facts, ctx.house.settings, ctx.now):  # 4
        case Step.ISSUE:  # 6
            code = requests.grant(row, ctx.house.keys, caller.auth_time, ctx.now, ctx.house.settings.code_seconds)
            return _on_to_app(ctx, app, row.redirect_uri, {"code": code, "state": row.state})
        case Step.REFUSED:
            requests.refuse(row, ctx.now, ctx.house.settings.code_seconds)
            return _on_to_app(ctx, app, row.redirect_uri, {"error": "access_denied", "state": row.state})
        case Step.SIGN_IN_AGAIN:  # 5
            return see_other(answers.sign_in_again(resume))
        case Step.LINK if ask.still_fits(ctx.house.catalogue, directory(ctx.session)):
            return _link(ctx, app, consent, facts.unlinked, person if person.id != caller.person else None, resume)
        case Step.CONSENT if "change" not in ctx.query and (earlier := _to_continue(others, ctx, row, person)):
            return _continue(ctx, app, row, earlier, consent, resume)
        case _:
            return screen(ctx, consent, resume=resume, redirect_uri=row.redirect_uri)


def _to_continue(others: Facts, ctx: Context, row: AuthorizationRequest, person: PersonFacts) -> Consent | None:
    """The live agreement to this very request, unless the app wants the whole screen, or what was agreed to is not
    there any more."""
    if "consent" in row.prompt.split():
        return None
    earlier = steps.agreed_before(ctx.session, row, person.id, ctx.now)
    terms = deciding.current(ctx.session, earlier) if earlier else None
    for item in granted_items(terms) if terms else ():
        known = others.accounts(ctx.session, row.client_id, person.id, item["organisation"])
        if not any(account.ref in item["accounts"] for account in known):
            return None
    return earlier


def go_on(others: Facts, ctx: Context) -> Response:
    """Go on with what she agreed to before: the new request hangs from the agreement that is there."""
    app = ctx.session.get(App, ctx.form.get("client_id", ""))
    asked = ctx.form.get("request_uri", "")
    row = requests.held(ctx.session, ctx.house.log, asked, app, ctx.now) if app else None
    if app is None or row is None or app.status != "active":
        return _problem(ctx, "over")
    consent, person = _hers(others, ctx, app, row, ctx.person)
    facts = steps.standing(ctx.session, consent, Ask.from_json(row.ask), person, ctx.person, ctx.now)
    earlier = _to_continue(others, ctx, row, person)
    if earlier and steps.next_step(row, ctx.person, facts, ctx.house.settings, ctx.now) is Step.CONSENT:
        row.consent_id = earlier.id
        deciding.go_on(ctx.session, ctx.house.log, consent, earlier, acting(ctx.person.person, person.id), ctx.now)
    return ctx.go(requests.resume_path(app.client_id, ctx.form["request_uri"]))


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
            row.consent_id = consent.id
            return consent, person
    taken = steps.take(ctx.session, ctx.house, row, caller, view(app), fresh(), ctx.now)
    return taken, others.person(ctx.session, caller.person)


def _silent(others: Facts, ctx: Context, row: AuthorizationRequest) -> Response:
    """prompt=none: no page, ever (OpenID Connect Core §3.1.2.1). A code only if this very request is agreed to."""
    caller, settings = ctx.caller, ctx.house.settings
    if row.opened_by and caller and row.opened_by != caller.person:
        raise Forbidden("request of another person", say="This request was answered by somebody else.")
    if ctx.house.log.frozen:
        answer: dict[str, str | None] = {"error": "temporarily_unavailable", "state": row.state}
        return see_other(_answer_uri(ctx, row.redirect_uri, answer))
    facts, consent = steps.StepFacts(), None
    if caller:
        person = others.person(ctx.session, caller.person)
        consent = steps.agreed_before(ctx.session, row, person.id, ctx.now)
        facts = steps.standing(ctx.session, consent, Ask.from_json(row.ask), person, caller, ctx.now)
    step = steps.next_step(row, caller, facts, settings, ctx.now)
    answer = {"error": rules.SILENT.get(step, "consent_required")}
    if step is Step.ISSUE and caller and consent:
        row.opened_by, row.consent_id = caller.person, consent.id
        code = requests.grant(row, ctx.house.keys, caller.auth_time, ctx.now, settings.code_seconds)
        answer = {"code": code}
    return see_other(_answer_uri(ctx, row.redirect_uri, {**answer, "state": row.state}))


def _continue(
    ctx: Context, app: App, row: AuthorizationRequest, earlier: Consent, consent: Consent, resume: str
) -> Response:
    terms = deciding.current(ctx.session, earlier)
    catalogue, language, known = ctx.house.catalogue, ctx.language, directory(ctx.session)
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
        place=addresses.place(row.redirect_uri),
    )


def _sign_in(resume: str) -> Response:
    return see_other("/sign-in?next=" + quote(resume, safe=""))


def _link(
    ctx: Context, app: App, consent: Consent, unlinked: tuple[str, ...], ward: PersonFacts | None, resume: str
) -> Response:
    """What has to be linked before there is anything to choose from; refusing is possible without linking."""
    known, catalogue, language = directory(ctx.session), ctx.house.catalogue, ctx.language
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
        purpose=catalogue.purposes[ask.purpose].title[language],
        organisations=[(name, known[name].name[language], data[name]) for name in unlinked],
        next=quote(resume, safe=""),
        ward=ward.name if ward else None,
        consent=consent.id,
        resume=resume,
    )


def _answer_uri(ctx: Context, uri: str, answer: Mapping[str, str | None]) -> str:
    """With `iss`, in success and error alike (RFC 9207)."""
    return requests.answer_uri(uri, {**answer, "iss": ctx.house.settings.public_url})


def _on_to_app(ctx: Context, app: App, uri: str, answer: Mapping[str, str | None], *, plain: bool = False) -> Response:
    """The page that goes on to the app: by itself, and by a link that names where it leads."""
    target = _answer_uri(ctx, uri, answer)
    if plain:
        return see_other(target)
    return ctx.page(
        "authorization/back.html",
        target=target,
        app_name=view(app).name[ctx.language],
        place=addresses.place(uri),
        granted="code" in answer,
        refused=answer.get("error") == "access_denied",
    )


def _problem(ctx: Context, why: str, status: int = 400) -> Response:
    return ctx.page("authorization/problem.html", status, text=PROBLEMS[why])
