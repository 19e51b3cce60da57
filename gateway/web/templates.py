"""Jinja2 templates, one per screen: no logic beyond `if` and `for`, whole sentences, escaped always.

Every template is rendered with: `lang`, `caller`, `csrf`, `t` (gettext), `date`, `moment`,
`operator`, `path` and `url_here` (for the language switch).
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from gateway.web.languages import locale

if TYPE_CHECKING:
    from gateway.web.doors import Context

STATIC = Path(__file__).parent / "static"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    return environment


_ENVIRONMENTS: dict[str, Environment] = {}


def _for(context: "Context") -> Environment:
    language = context.language
    if language not in _ENVIRONMENTS:
        environment = _environment()
        environment.install_gettext_translations(  # type: ignore[attr-defined]
            context.house.translations.of(language), newstyle=True
        )
        _ENVIRONMENTS[language] = environment
    return _ENVIRONMENTS[language]


def render(context: "Context", template: str, **values: Any) -> str:
    zone = ZoneInfo(context.house.settings.zone)
    babel_locale = locale(context.language)

    def date(at: datetime | None) -> str:
        return format_date(at.astimezone(zone), "long", babel_locale) if at else ""

    def moment(at: datetime | None) -> str:
        return format_datetime(at, "long", tzinfo=zone, locale=babel_locale) if at else ""

    url = context.request.url
    return _for(context).get_template(template).render(
        lang=context.language,
        caller=context.caller,
        csrf=context.csrf,
        csrf_field=Markup('<input type="hidden" name="csrf" value="{}">').format(context.csrf),
        date=date,
        moment=moment,
        operator=context.house.settings.operator_name,
        operator_contact=context.house.settings.operator_contact,
        path=url.path,
        url_here=url.path + (f"?{url.query}" if url.query else ""),
        **values,
    )
