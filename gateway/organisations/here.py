"""What the pages of one organisation share: which it is, where she goes on, what a failure looks like."""

from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from gateway.errors import NotFound
from gateway.ground.web.answers import own_path
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Later
from gateway.organisations import links, sentences, views
from gateway.organisations.tables import Link
from gateway.organisations.views import OrganisationView

HOME = "/organisations"
AGAIN_SECONDS = "30"  # Retry-After of a page that says how busy an organisation is


def asks(ctx: Context, view: OrganisationView, work: Callable[[], Response], again: str, duty: str = "page") -> Later:
    """The rest of the answer asks this organisation. `again`: the page from which she may try again when it is full."""
    return Later(duty, view.id, work, partial(failed, ctx, view, "crowded", again))


def found(ctx: Context) -> tuple[OrganisationView, Link | None]:
    """The organisation in the path, and her live link with it."""
    with ctx.house.store.read() as session:
        view = views.view(session, ctx.path["id"])
        if view is None:
            raise NotFound("organisation")
        return view, links.kept(session, links.current(session, ctx.person.person, view.id))


def linked(ctx: Context) -> tuple[OrganisationView, Link]:
    view, link = found(ctx)
    if link is None:
        raise NotFound("no link")
    return view, link


def onward(ctx: Context) -> str:
    """Where to go on afterwards: one of our own pages."""
    path = own_path(ctx.form.get("next") or ctx.query.get("next", ""))
    return HOME if path == "/" else path


def datasets(ctx: Context, view: OrganisationView) -> list[tuple[str, str]]:
    """(label, one line) of each type of data it holds, in the catalogue's words."""
    found = [ctx.house.catalogue.of(view, name) for name in view.datasets]
    held = [dataset for dataset in found if dataset is not None]
    return [(dataset.label[ctx.language], dataset.short[ctx.language]) for dataset in held]


def failed(
    ctx: Context,
    view: OrganisationView,
    reason: str,
    onward: str = HOME,
    missing: list[tuple[str, str]] | None = None,
) -> Response:
    words = ctx.house.translations.of(ctx.language)
    status, sentence = sentences.failed(reason, view.name[ctx.language], words, view.kind)
    response = ctx.page(
        "organisations/failed.html",
        status,
        view=view,
        reason=reason,
        sentence=sentence,
        onward=onward,
        missing=missing or [],
        return_to=HOME,
    )
    if status == 503:
        response.headers["Retry-After"] = AGAIN_SECONDS
    return response
