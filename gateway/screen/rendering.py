"""The text of a consent screen, rendered from its facts and from nothing else (A37).

What is shared stands in one template that sees no token of the form and no address of the request. So the facts
kept as evidence give the same text again, to the letter, as long as template and translations are the ones named
by `version_sha256`. The hash of the text goes into the terms and the evidence.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.consent.words import Wording
from gateway.ground.web import templates, translations

TEMPLATE = "screen/_terms.html"
ROOMS = ("consent", "screen")  # whose words it takes


def text(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> Markup:
    """The content of the screen as HTML, from the facts alone."""
    say = Wording(language, texts, shown["zone"])
    return Markup(_environment(texts).get_template(TEMPLATE).render(shown=shown, say=say, lang=language))


def text_hash(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> str:
    return sha256(text(shown, language, texts))


def sha256(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()


@cache
def version_sha256() -> str:
    """One hash over the template and the translations it takes its words from."""
    template = Path(templates.__file__).parent / "templates" / TEMPLATE
    words = [translations.FOLDER / "fr" / "LC_MESSAGES" / f"{room}.po" for room in ROOMS]
    return hashlib.sha256(b"\n".join(path.read_bytes() for path in (template, *words))).hexdigest()


@cache
def _environment(texts: NullTranslations) -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.ground.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_texts(environment, texts)
    return environment
