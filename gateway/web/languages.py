"""Which of our languages a page is in: the switch, then the app's ui_locales, then the person, then the browser."""

from babel import Locale
from starlette.requests import Request

from gateway.settings import Settings
from gateway.web import cookies

LANGUAGES = ("fr", "en")


def choose_language(request: Request, settings: Settings, preferred: str | None, ui_locales: str = "") -> str:
    switched = request.cookies.get(cookies.LANGUAGE)
    if switched in LANGUAGES:
        return str(switched)
    for tag in ui_locales.split():
        if tag.split("-")[0].lower() in LANGUAGES:
            return tag.split("-")[0].lower()
    if preferred in LANGUAGES:
        return str(preferred)
    return _accepted(request.headers.get("accept-language", "")) or settings.default_language


def _accepted(header: str) -> str | None:
    """RFC 9110 §12.5.4, as far as two languages need it."""
    ranked: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for weight, tag in sorted(ranked, key=lambda pair: pair[0]) if tag in LANGUAGES and weight), None)


def locale(language: str) -> Locale:
    return Locale.parse(language)
