"""The only door of apps: their logos, served from our own address so that pages load nothing from elsewhere."""

from starlette.responses import Response

from gateway.apps.tables import App
from gateway.apps.views import logo as logo_of
from gateway.errors import NotFound
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door

# A browser that opens an SVG by itself treats it as a document, which must not run or load anything.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "public, max-age=300",
}


def logo(ctx: Context) -> Response:
    """An app's logo, as it was registered. 404 when there is none."""
    row = ctx.session.get(App, ctx.path["client_id"])
    found = logo_of(row) if row else None
    if found is None:
        raise NotFound("logo")
    media_type, content = found
    return Response(content, 200, HEADERS, media_type)


DOORS = [Door("/apps/{client_id}/logo", logo, name="app_logo")]
