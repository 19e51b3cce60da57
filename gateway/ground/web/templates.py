"""Jinja2 templates, one per screen: no logic beyond `if` and `for`, texts are whole sentences, everything is escaped.

Every template is rendered with: `lang`, `caller`, `csrf`, `csrf_field`, `_` (gettext), `date`, `moment`,
`static`, `theme`, `operator`, `operator_contact`, `path`, and `url_here` (for the language switch; a page
that answers a form at an address without a GET gives `return_to` instead).
"""

import datetime
import functools
import hashlib
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from gateway.errors import LogFrozen
from gateway.ground.web import cookies
from gateway.ground.web.context import Context
from gateway.ground.web.languages import NAMES, written_day, written_moment
from gateway.ground.web.translations import Translations

STATIC = Path(__file__).parent / "static"
THEMES = ("light", "dark")  # neither: as the device says


@functools.lru_cache(maxsize=16)
def _environment(translations: Translations, language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.ground.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        auto_reload=False,  # else new templates meet the old code while an update is installed
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install_texts(environment, translations.of(language))
    return environment


def install_texts(environment: Environment, texts: NullTranslations) -> None:
    """Provide `_` and `{% trans %}`. Texts contain no markup and are escaped like everything else.

    Jinja's new-style gettext is not used, because it marks its argument as safe HTML: `_(variable)` would then not
    escape the variable.
    """
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: escape(texts.gettext(text)),
        lambda one, many, count: escape(texts.ngettext(one, many, count)),
        newstyle=True,
        pgettext=lambda context, text: escape(texts.pgettext(context, text)),
        npgettext=lambda context, one, many, count: escape(texts.npgettext(context, one, many, count)),
    )


@functools.cache
def static(name: str) -> str:
    """The address of a file in static/, with a part that changes when the file does, so that browsers may cache it."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def render(context: Context, template: str, **values: Any) -> str:
    settings = context.house.settings
    zone = ZoneInfo(settings.zone)

    def date(at: datetime.date | None) -> str:
        day = at.astimezone(zone) if isinstance(at, datetime.datetime) else at
        return written_day(day, "long", context.language) if day else ""

    def moment(at: datetime.datetime | None) -> str:
        return written_moment(at.astimezone(zone), context.language) if at else ""

    url = context.request.url
    theme = cookies.read(context.request, cookies.THEME, settings)
    return (
        _environment(context.house.translations, context.language)
        .get_template(template)
        .render(
            {
                "lang": context.language,
                "languages": NAMES,
                "theme": theme if theme in THEMES else "",
                "caller": context.caller,
                "csrf": context.csrf,
                "csrf_field": Markup('<input type="hidden" name="csrf" value="{}">').format(context.csrf),
                "date": date,
                "moment": moment,
                "static": static,
                "operator": settings.operator_name,
                "operator_contact": settings.operator_contact,
                "frozen": LogFrozen.public if context.house.log.frozen else "",
                "path": url.path,
                "url_here": url.path + (f"?{url.query}" if url.query else ""),
                **values,
            }
        )
    )
