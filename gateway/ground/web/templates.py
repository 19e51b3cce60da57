"""Jinja2 templates, one per screen: no logic beyond `if` and `for`, texts are whole sentences, everything is escaped.

Every template is rendered with: `lang`, `caller`, `csrf`, `csrf_field`, `_` (gettext), `date`, `moment`,
`static`, `theme`, `operator`, `operator_contact`, `path`, and `url_here` (for the language switch; a page
that answers a form at an address without a GET gives `return_to` instead).
"""

import datetime
import functools
import hashlib
import re
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, nodes
from jinja2.ext import InternationalizationExtension
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

from gateway.errors import LogFrozen
from gateway.ground.web import cookies
from gateway.ground.web.context import Context
from gateway.ground.web.languages import NAMES, written_day, written_moment

STATIC = Path(__file__).parent / "static"
_VARIABLE = re.compile(r"%\((\w+)\)s")
THEMES = ("light", "dark")  # neither: as the device says


@functools.lru_cache(maxsize=16)
def environment(texts: NullTranslations) -> Environment:
    """The templates in the language of these texts."""
    return _InOneLanguage(texts)


class _InOneLanguage(Environment):
    """Provides `_` and `{% trans %}`. Texts contain no markup and are escaped like everything else.

    What stands in a template is translated as it is compiled, not each time it is shown. The rest is given to Jinja's
    new-style gettext as escaped text, because it marks its argument as safe HTML: `_(variable)` would otherwise not
    escape the variable.
    """

    def __init__(self, texts: NullTranslations) -> None:
        self.texts = texts
        super().__init__(
            loader=PackageLoader("gateway.ground.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # else new templates meet the old code while an update is installed
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Translated],
        )
        self.install_gettext_callables(  # type: ignore[attr-defined]
            self.translated,
            lambda one, many, count: escape(texts.ngettext(one, many, count)),
            newstyle=True,
            pgettext=lambda context, text: escape(texts.pgettext(context, text)),
            npgettext=lambda context, one, many, count: escape(texts.npgettext(context, one, many, count)),
        )

    def translated(self, text: str) -> Markup:
        return escape(self.texts.gettext(text))

    def _generate(self, source: nodes.Template, *names: Any, **how: Any) -> str:
        return super()._generate(_Words(self).visit(source), *names, **how)


class _Words(NodeTransformer):
    """`_("text")` → the text itself, translated and escaped."""

    def __init__(self, environment: _InOneLanguage) -> None:
        self._environment = environment

    def visit_Call(self, call: nodes.Call) -> nodes.Node:
        self.generic_visit(call)
        match call.node, call.args, call.kwargs:
            case nodes.Name(name="_"), [nodes.Const(value=text)], []:
                return nodes.TemplateData(self._environment.translated(text) % {}, lineno=call.lineno)
        return call


class _Translated(InternationalizationExtension):
    """The same of `{% trans %}` without a plural: its texts, and between them the variables."""

    def _make_node(
        self,
        singular: str,
        plural: str | None,
        context: str | None,
        variables: dict[str, nodes.Expr],
        *others: Any,
    ) -> nodes.Output:
        if plural is not None or context is not None or not isinstance(self.environment, _InOneLanguage):
            return super()._make_node(singular, plural, context, variables, *others)
        parts = _VARIABLE.split(self.environment.translated(singular))
        found: list[nodes.Expr] = [
            variables[part] if at % 2 else nodes.TemplateData(Markup(part) % {}) for at, part in enumerate(parts)
        ]
        return nodes.Output(found)


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
        environment(context.house.translations.of(context.language))
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
