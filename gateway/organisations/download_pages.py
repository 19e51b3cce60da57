"""The person's doors for her own copy of her data at an organisation."""

from functools import partial

from starlette.responses import Response

from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import fresh
from gateway.ground.web.answers import sign_in_again
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Later
from gateway.ground.web.headers import PAGE_HEADERS
from gateway.log import Event
from gateway.log.record import Fact
from gateway.organisations import calls, downloads, here, links, tokens, views
from gateway.organisations.tables import Link
from gateway.organisations.throttle import once_more
from gateway.organisations.views import OrganisationView


def download_form(ctx: Context) -> Response:
    """The page that says what her own copy of her data will hold."""
    view, link = here.found(ctx)
    if link is None:
        return ctx.go(here.HOME)
    accounts = links.accounts_of(ctx.house.keys, link)
    return ctx.page("organisations/download.html", view=view, datasets=here.datasets(ctx, view), accounts=accounts)


def download(ctx: Context) -> Response | Later:
    """Her own copy of her data at this organisation, after a recent sign-in; in her access log before it leaves.

    1. a recent sign-in   2. read everything   3. the entry is durable   4. the bytes leave
    """
    if not ctx.signed_in_within(ctx.house.settings.recent_minutes):  # 1.
        return ctx.go(sign_in_again(f"{here.HOME}/{ctx.path['id']}/download"))
    view, link = here.linked(ctx)
    if not view.active:
        return here.failed(ctx, view, "suspended")
    once_more(ctx.house.store, "download", ctx.person.person)
    return here.asks(ctx, view, partial(_download, ctx, view, link), _again(view), "download")


def _again(view: OrganisationView) -> str:
    return f"{here.HOME}/{view.id}/download"


def _download(ctx: Context, view: OrganisationView, link: Link) -> Response:
    line = calls.Line(ctx.house, view, links.view_of(ctx.house.keys, link), fresh(16))
    try:
        copy = downloads.read(line, links.accounts_of(ctx.house.keys, link), ctx.now)  # 2.
    except ConnectorError as fault:
        return here.failed(ctx, view, fault.reason, _again(view), missing=here.datasets(ctx, view))
    languages = {name: ctx.house.translations.of(name) for name in downloads.README}
    labels = {name: found.label for name, found in views.known(view, ctx.house.catalogue).items()}
    body = downloads.packed(copy, languages, labels)
    _record_download(ctx, copy, len(body), line.request_id)  # 3.
    return _attachment(copy, body)  # 4.


def _record_download(ctx: Context, copy: downloads.Copy, size: int, request_id: str) -> None:
    view = copy.organisation
    facts: dict[str, Fact] = {
        "organisation": view.id,
        "organisation_name": tokens.spoken(ctx.house.settings, view),
        "datasets": list(copy.datasets),
        "records": copy.records,
        "files": len(copy.files),
        "bytes": size,
        "request_id": request_id,
    }
    with ctx.house.store.write() as session:
        ctx.house.log.require_whole()  # it may have been frozen while the organisation answered
        ctx.house.log.record(session, Event("download", ctx.person.person, ctx.now, facts=facts))


def _attachment(copy: downloads.Copy, body: bytes) -> Response:
    headers = {
        **PAGE_HEADERS,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f'attachment; filename="{downloads.file_name(copy)}"',
    }
    media_type = copy.files[0].media_type if copy.single else downloads.ZIP_TYPE
    return Response(body, 200, headers, media_type)
