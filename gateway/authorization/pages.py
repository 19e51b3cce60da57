"""/authorize: the only dispatcher of the flow. Every page comes back here, and here alone the next one is decided.

ASKING and OPENING are its steps: a link that holds a request is checked and kept like a pushed one; a link to one that
is kept opens it, and leads the person on (dispatch.py): to sign in, to link, to agree, and back to the app.

The end is a page and not a redirect: browsers block a redirect chain that leaves the origin
of the form it began with. Only prompt=none, which no form precedes, is answered by redirect.
Whatever is wrong before the app and its address are known ends on a page of ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import quote

from starlette.responses import Response

from gateway.apps import addresses
from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import checks, clients, dispatch, parameters, reading, requests, responses, rules, steps
from gateway.authorization.calls import EndpointCall
from gateway.authorization.protocol import Protocol as ServerProtocol
from gateway.authorization.protocol import note
from gateway.authorization.rules import Refused, Step
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent import asking, deciding
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
from gateway.organisations.views import everyone

# What is wrong with a link from an app, as the person reads it. Keys: `why` of _problem().
PROBLEMS = {
    "malformed": "The link from the app is not of the right form.",
    "unknown_app": "No app of that name is registered here.",
    "suspended": "This app is suspended. It may not ask for data at the moment.",
    "document": "What the app says of itself cannot be read, or is not right.",
    "unknown_address": "The app did not say to which of its registered addresses to return.",
    "over": "This request is unknown, has expired or has been answered already.",
}


class Screen(Protocol):
    """The screen room's page, handed in by the composition root."""

    def __call__(self, ctx: Context, consent: Consent, *, resume: str, redirect_uri: str) -> Response: ...


@dataclass
class Visit(EndpointCall):
    """A call of /authorize: by a person's browser."""

    screen: Screen | None = None
    returns: "_Returns | None" = None  # once it is known where errors are answered


@dataclass(frozen=True, slots=True)
class _Returns:
    uri: str
    state: str | None
    mode: str
    silent: bool  # no page may be shown


VisitStep = Callable[[Visit], Response | None]


def doors(protocol: ServerProtocol, facts: Facts, screen: Screen) -> list[Door]:
    handler = partial(authorize, protocol, facts, screen)
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


def authorize(protocol: ServerProtocol, facts: Facts, screen: Screen, ctx: Context) -> Response:
    """Lead a person through an app's request, one step after the other: sign in, link, agree, back to the app (RFC 6749
    §3.1).
    """
    visit = Visit(ctx, parameters.AUTHORIZE, protocol, facts, screen=screen)
    try:
        given = ctx.form_lists if ctx.request.method == "POST" else ctx.query_lists
        visit.sent = parameters.given(ctx, parameters.AUTHORIZE, given)
        for step in OPENING if "request_uri" in visit.sent else ASKING:
            answer = step(visit)
            if answer is not None:
                return answer
    except Refused as refused:
        note(ctx, refused)
        return _refused(visit, refused)
    raise AssertionError("the last step answers")


def _refused(visit: Visit, refused: Refused) -> Response:
    """To the app, where its address is known to be right; else to the person, on a page."""
    if visit.returns is None:
        status = 400 if refused.status == 401 else refused.status  # no way to authenticate that a person has
        return _problem(visit.ctx, refused.members.get("page", "malformed"), status)
    to, said = visit.returns, {"error": refused.error, "error_description": refused.description or None}
    return _on_to_app(visit.ctx, visit.app, to, said, plain=to.silent)


# ---- the steps


def load_client(visit: Visit) -> None:
    """The app that the link names."""
    app = clients.find(visit.ctx.session, visit.sent.get("client_id", ""))
    if app is None:
        raise Refused("invalid_client", page="unknown_app")
    if app.status != "active":
        raise Refused("unauthorized_client", status=403, page="suspended")
    visit.app = app


def load_pushed_request(visit: Visit) -> None:
    """The request that was pushed, or kept from the link: nobody else goes on with it at the same time."""
    if "request" in visit.sent:
        raise Refused("invalid_request", "request and request_uri together.")
    ctx = visit.ctx
    visit.row = requests.held(ctx.session, ctx.house.log, visit.sent["request_uri"], visit.app, ctx.now)
    if visit.row is None:
        raise Refused("invalid_request_uri", page="over")


def come_by_get(visit: Visit) -> Response | None:
    """A form of the app's own that names a pushed request leads to the page of that request."""
    if visit.ctx.request.method == "POST":
        return visit.ctx.go(_resume(visit))
    return None


def open_request(visit: Visit) -> None:
    """The time to answer begins; the pages speak the language that the person or the app prefers."""
    ctx, row = visit.ctx, _row(visit)
    if not _is_silent(row.prompt):
        ctx.house.log.require_whole()
    requests.open_(row, ctx.now, ctx.house.settings.ask_seconds)
    preferred = ctx.caller.language if ctx.caller else None
    ctx.language = choose_language(ctx.request, ctx.house.settings, preferred, row.ui_locales)


def answer_silently(visit: Visit) -> Response | None:
    """prompt=none: no page, ever (OpenID Connect Core §3.1.2.1)."""
    row = _row(visit)
    return _silent(visit.facts, visit.ctx, visit.app, row) if _is_silent(row.prompt) else None


def show_next(visit: Visit) -> Response:
    """Sign in, link, agree, or back to the app: dispatch.py decides."""
    assert visit.screen is not None
    return _interactive(visit.facts, visit.screen, visit.ctx, visit.app, _row(visit), _resume(visit))


def load_return_address(visit: Visit) -> None:
    """Where the app wants its answer: from here on it is told of errors there (RFC 6749 §4.1.2.1)."""
    asking = checks.Asking(visit.ctx.session, visit.ctx.house, visit.app, visit.sent)
    try:
        to = checks.redirect_uri(visit.sent.get("redirect_uri", ""), asking)
        state = checks.state(visit.sent.get("state", ""), asking)
    except Refused as refused:
        raise Refused(refused.error, refused.description, page="unknown_address") from None
    signed = visit.client.response_alg or visit.sent.get("response_mode") in rules.SIGNED_MODES
    visit.returns = _Returns(to, state, "jwt" if signed else "query", _is_silent(visit.sent.get("prompt", "")))


def check_may_be_plain(visit: Visit) -> None:
    """A client that registered to push its requests must (RFC 9126 §6)."""
    if visit.client.pushes:
        raise Refused("invalid_request", "This client pushes its requests (PAR).")


def count_request(visit: Visit) -> None:
    """Every request is stored, and anyone can make such a link: so many in a minute and no more."""
    ctx = visit.ctx
    network = client_network(ctx.request, ctx.house.settings)
    clients.count_request(ctx.session, visit.app.client_id, network, ctx.now)


def keep_request(visit: Visit) -> Response:
    """Kept like a pushed one, and opened by its request_uri."""
    assert visit.checked is not None
    ctx = visit.ctx
    request_uri = requests.push(ctx.session, visit.checked, fresh(), ctx.now, ctx.house.settings.request_seconds)
    return ctx.go(requests.resume_path(visit.app.client_id, request_uri))


# A link with a request_uri, and one with the request itself.
OPENING: tuple[VisitStep, ...] = (
    load_client, load_pushed_request, come_by_get, open_request, answer_silently, show_next,
)  # fmt: skip
ASKING: tuple[VisitStep, ...] = (
    reading.read_elsewhere, load_client, steps.load_request_object, load_return_address, steps.check_signed,
    check_may_be_plain, count_request, steps.check_request, keep_request,
)  # fmt: skip


def _row(visit: Visit) -> AuthorizationRequest:
    assert visit.row is not None
    return visit.row


def _resume(visit: Visit) -> str:
    return requests.resume_path(visit.app.client_id, visit.sent["request_uri"])


def _is_silent(prompt: str) -> bool:
    return "none" in prompt.split()


def _to(row: AuthorizationRequest) -> _Returns:
    return _Returns(row.redirect_uri, row.state, row.response_mode, _is_silent(row.prompt))


# ---- what follows from each


def _interactive(
    others: Facts, screen: Screen, ctx: Context, app: App, row: AuthorizationRequest, resume: str
) -> Response:
    caller = ctx.caller
    if caller is None:
        return _sign_in(resume)
    if not dispatch.may_change_grant(ctx.session, row, others, caller, ctx.now):
        return _no_such_grant(others, ctx, app, row)
    _sign_in_as_before(ctx, row, caller)
    consent, person = _hers(others, ctx, app, row, caller)
    ask = Ask.from_json(row.ask)
    facts = _standing(ctx, row, consent, person, caller)
    match dispatch.next_step(row, caller, facts, ctx.house.settings, ctx.now):
        case Step.ISSUE:
            code = requests.grant(row, ctx.house.keys, caller, ctx.now, ctx.house.settings.code_seconds)
            return _on_to_app(ctx, app, _to(row), {"code": code})
        case Step.REFUSED:
            requests.refuse(row, ctx.now, ctx.house.settings.code_seconds)
            return _on_to_app(ctx, app, _to(row), {"error": "access_denied"}, goes_on=bool(row.grant_id))
        case Step.UNMET:
            return _on_to_app(ctx, app, _to(row), {"error": facts.unmet})
        case Step.HAND_OVER:
            called = view(app).name[ctx.language]
            return ctx.page("authorization/hand_over.html", app_name=called, ward=person.name, resume=resume)
        case Step.SIGN_IN_AGAIN:
            return see_other(answers.sign_in_again(resume))
        case Step.LINK if ask.still_fits(ctx.house.catalogue, everyone(ctx.session, ctx.house)):
            return _link(ctx, app, consent, facts.unlinked, person if person.id != caller.person else None, resume)
        case Step.CONSENT if "change" not in ctx.query and (earlier := _to_continue(others, ctx, row, person)):
            return _continue(ctx, app, row, earlier, consent, resume)
        case _:
            return screen(ctx, consent, resume=resume, redirect_uri=row.redirect_uri)


def _no_such_grant(others: Facts, ctx: Context, app: App, row: AuthorizationRequest) -> Response:
    """The answer to a request for a grant that is not this person's or has ended meanwhile; nobody is told which. Who
    opens somebody else's request spoils nothing of it."""
    consent = ctx.session.get(Consent, row.consent_id) if row.consent_id else None
    if consent is None or others.person(ctx.session, consent.person_id).decided_by(ctx.person.person):
        if consent:
            asking.lapse(ctx.session, ctx.house.log, consent, ctx.now)
        requests.refuse(row, ctx.now, ctx.house.settings.code_seconds)
    said = {"error": "invalid_grant_id", "error_description": rules.DESCRIPTIONS["invalid_grant_id"]}
    return _on_to_app(ctx, app, _to(row), said)


def _standing(
    ctx: Context, row: AuthorizationRequest, consent: Consent | None, person: PersonFacts, caller: Caller
) -> dispatch.StepFacts:
    facts = dispatch.standing(ctx.session, consent, Ask.from_json(row.ask), person, caller, ctx.now)
    return dispatch.signing_in(facts, row, person, caller, ctx.house.keys)


def _sign_in_as_before(ctx: Context, row: AuthorizationRequest, caller: Caller) -> None:
    """Who agreed that an app signs her in is not asked each time: the request hangs from that agreement."""
    if row.consent_id is not None or row.grant_management_action or "consent" in row.prompt.split():
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
    asked = ctx.form.get("request_uri", "")
    row = requests.held(ctx.session, ctx.house.log, asked, app, ctx.now) if app else None
    if app is None or row is None or app.status != "active":
        return _problem(ctx, "over")
    consent, person = _hers(others, ctx, app, row, ctx.person)
    facts = _standing(ctx, row, consent, person, ctx.person)
    earlier = _to_continue(others, ctx, row, person)
    if earlier and dispatch.next_step(row, ctx.person, facts, ctx.house.settings, ctx.now) is Step.CONSENT:
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
    taken = dispatch.take(ctx.session, ctx.house, row, caller, view(app), fresh(), ctx.now)
    return taken, others.person(ctx.session, caller.person)


def _silent(others: Facts, ctx: Context, app: App, row: AuthorizationRequest) -> Response:
    """A code only if this very request is agreed to."""
    caller, settings = ctx.caller, ctx.house.settings
    if row.opened_by and caller and row.opened_by != caller.person:
        raise Forbidden("request of another person", say="This request was answered by somebody else.")
    if ctx.house.log.frozen:
        return see_other(_address(ctx, app, _to(row), {"error": "temporarily_unavailable"}))
    facts, consent = dispatch.StepFacts(), None
    if caller:
        person = others.person(ctx.session, caller.person)
        if not row.grant_management_action:  # a grant is made or changed by her word alone
            consent = dispatch.agreed_before(ctx.session, row, person.id, ctx.now)
        facts = _standing(ctx, row, consent, person, caller)
    step = dispatch.next_step(row, caller, facts, settings, ctx.now)
    answer = {"error": rules.SILENT.get(step, "consent_required")}
    if caller and not dispatch.may_change_grant(ctx.session, row, others, caller, ctx.now):
        answer = {"error": "invalid_grant_id"}
    if step is Step.ISSUE and caller and consent:
        row.opened_by, row.consent_id = caller.person, consent.id
        code = requests.grant(row, ctx.house.keys, caller, ctx.now, settings.code_seconds)
        answer = {"code": code}
    return see_other(_address(ctx, app, _to(row), answer))


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
        place=addresses.place(row.redirect_uri),
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
        purpose=catalogue.purposes[ask.purpose].title[language],
        organisations=[(name, known[name].name[language], data[name]) for name in unlinked],
        next=quote(resume, safe=""),
        ward=ward.name if ward else None,
        consent=consent.id,
        resume=resume,
    )


def _address(ctx: Context, app: App, to: _Returns, answer: Mapping[str, str | None]) -> str:
    said = {**answer, "state": to.state}
    return responses.address(ctx.house, registration(app), to.uri, to.mode, said, ctx.now)


def _on_to_app(
    ctx: Context,
    app: App,
    to: _Returns,
    answer: Mapping[str, str | None],
    *,
    plain: bool = False,
    goes_on: bool = False,
) -> Response:
    """The page that goes on to the app: by itself, and by a link that names where it leads. A device has no page to go
    to: it asks by itself."""
    if not to.uri:
        name = view(app).name[ctx.language]
        return ctx.page("authorization/device_done.html", granted="code" in answer, app_name=name)
    target = _address(ctx, app, to, answer)
    if plain:
        return see_other(target)
    return ctx.page(
        "authorization/back.html",
        target=target,
        app_name=view(app).name[ctx.language],
        place=addresses.place(to.uri),
        granted="code" in answer,
        refused=answer.get("error") == "access_denied",
        goes_on=goes_on,  # what was agreed before
    )


def _problem(ctx: Context, why: str, status: int = 400) -> Response:
    return ctx.page("authorization/problem.html", status, text=PROBLEMS[why])
