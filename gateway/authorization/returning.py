"""Where a request ends: on the page that goes on to the app, or on one that says what is wrong.

It is a page and not a redirect: browsers block a redirect chain that leaves the origin of the form it began with. Only
prompt=none, which no form precedes, is answered by redirect.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from gateway.apps import addresses
from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import polling, responses
from gateway.authorization.tables import AuthorizationRequest
from gateway.ground.web.context import Context
from gateway.ground.web.headers import see_other

# What is wrong with a link from an app, as the person reads it. Keys: `why` of problem().
PROBLEMS = {
    "malformed": "The link from the app is not of the right form.",
    "unknown_app": "No app of that name is registered here.",
    "suspended": "This app is suspended. It may not ask for data at the moment.",
    "document": "What the app says of itself cannot be read, or is not right.",
    "unknown_address": "The app did not say to which of its registered addresses to return.",
    "over": "This request is unknown, has expired or has been answered already.",
}


@dataclass(frozen=True, slots=True)
class Returns:
    uri: str  # "": nowhere, the app polls for the answer
    state: str | None
    mode: str
    silent: bool  # no page may be shown
    device: bool = False  # … on a device of the person's


def is_silent(prompt: str) -> bool:
    return "none" in prompt.split()


def returns_of(row: AuthorizationRequest) -> Returns:
    device = row.kind == polling.DEVICE
    return Returns(row.redirect_uri, row.state, row.response_mode, is_silent(row.prompt), device)


def address(ctx: Context, app: App, to: Returns, answer: Mapping[str, str | None]) -> str:
    said = {**answer, "state": to.state}
    return responses.address(ctx.house, registration(app), to.uri, to.mode, said, ctx.now)


def on_to_app(
    ctx: Context,
    app: App,
    to: Returns,
    answer: Mapping[str, str | None],
    *,
    plain: bool = False,
    goes_on: bool = False,
    later: bool = False,
) -> Response:
    """The page that goes on to the app: by itself, and by a link that names where it leads. To an app that registered
    itself by the link alone, as long as nobody has signed in: else a link to us would lead anywhere (RFC 9700
    §4.11.2, which excepts silent requests: `prompt=none` is answered at once). An app that polls has no page to go to:
    it asks by itself."""
    if not to.uri:
        name = view(app).name[ctx.language]
        page = "device_done" if to.device else "asked_done"
        return ctx.page(f"authorization/{page}.html", granted="code" in answer, app_name=name, goes_on=goes_on)
    target = address(ctx, app, to, answer)
    if plain:
        return see_other(target)
    return ctx.page(
        "authorization/back.html",
        target=target,
        by_itself=ctx.caller is not None or app.came_by == "file",
        app_name=view(app).name[ctx.language],
        place=addresses.place(to.uri),
        granted="code" in answer,
        later=later,  # she decides
        refused=answer.get("error") == "access_denied",
        goes_on=goes_on,  # what was agreed before
    )


def problem(ctx: Context, why: str, status: int = 400) -> Response:
    return ctx.page("authorization/problem.html", status, text=PROBLEMS[why])
