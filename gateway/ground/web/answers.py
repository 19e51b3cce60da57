"""Answers: pages, redirects, and errors in the form the caller expects (page, OAuth JSON or problem)."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import JSONResponse, Response

from gateway import errors
from gateway.ground.web import templates
from gateway.ground.web.context import Context, Kind
from gateway.ground.web.headers import PAGE_HEADERS, see_other
from gateway.settings import Settings

_YEARS_2 = 2 * 365 * 24 * 3600


def transport(settings: Settings) -> dict[str, str]:
    """Strict-Transport-Security (RFC 6797). Left out on plain http, where browsers ignore it."""
    return {"Strict-Transport-Security": f"max-age={_YEARS_2}; includeSubDomains"} if settings.secure else {}


def page(context: Context, template: str, status: int = 200, **values: Any) -> Response:
    html = templates.render(context, template, **values)
    return Response(html, status, {**PAGE_HEADERS, "Content-Language": context.language}, "text/html; charset=utf-8")


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(value, status, {**DATA_HEADERS, **(headers or {})})


def problem(status: int, code: str, title: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """RFC 9457. `type` is an address of this gateway's documentation of errors."""
    body = {"type": f"/problems/{code}", "title": title, "status": status, **members}
    return JSONResponse(body, status, {**DATA_HEADERS, **(headers or {})}, "application/problem+json")


def oauth_error(
    status: int, error: str, description: str = "", headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """RFC 6749 §5.2. `description` must be plain ASCII and must not repeat anything the caller sent."""
    body = {"error": error, **({"error_description": description} if description else {}), **members}
    return JSONResponse(body, status, {**DATA_HEADERS, "Pragma": "no-cache", **(headers or {})})


DATA_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# 429 is `temporarily_unavailable` (RFC 6749 §4.1.2.1), because `slow_down` is for devices that poll (RFC 8628 §3.5).
_OAUTH = {401: "invalid_client", 429: "temporarily_unavailable", 500: "server_error", 503: "temporarily_unavailable"}


def failure(error: errors.GatewayError, kind: Kind, context: Context) -> Response:
    headers = {}
    if isinstance(error, errors.Unavailable | errors.TooMany):
        headers["Retry-After"] = str(error.retry_after)
    if kind == "oauth":
        return oauth_error(error.status, _OAUTH.get(error.status, "invalid_request"), error.public, headers)
    if kind == "api":
        return problem(error.status, error.code, error.say, headers)
    response = page(context, "error.html", error.status, error=error)
    response.headers.update(headers)
    return response


def sign_in_first(kind: Kind, context: Context) -> Response:
    if kind != "page":
        return failure(errors.NotSignedIn(), kind, context)
    url = context.request.url
    here = url.path + (f"?{url.query}" if url.query else "")
    return see_other("/sign-in?next=" + quote(here if context.request.method in ("GET", "HEAD") else "/", safe=""))


def sign_in_again(then: str, why: str = "") -> str:
    """The address of a fresh sign-in that goes on to `then`, one of our own pages. `why`: what it says above."""
    return f"/sign-in?again=1&next={quote(then, safe='')}" + (f"&why={why}" if why else "")


def sign_in_ended(then: str) -> str:
    """The same for a person whose form came after her sign-in had ended. What she had marked on it must be kept."""
    return "/sign-in?" + urlencode({"next": then, "why": "ended"})


def own_path(path: str) -> str:
    """`path` if it leads to a page of this gateway, else "/", so that we never redirect to another site."""
    # Browsers take "//host" and "/\\host" for another origin, after dropping tabs and line ends.
    fine = path.startswith("/") and not path.startswith("//") and "\\" not in path
    fine = fine and not path.lower().startswith(("/%09", "/%0a", "/%0d", "/%2f", "/%5c"))
    return path if fine and all(" " < char < "\x7f" for char in path) else "/"
