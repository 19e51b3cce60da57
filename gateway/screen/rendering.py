"""Renders the HTML of what a person agrees to, from `contents.facts` and nothing else.

The template knows neither the token of the form nor the address of the request. So the facts kept as evidence give the
same HTML again, byte for byte, as long as `version_sha256` is the same. The hash of the HTML goes into the terms and
the evidence.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gateway.consent.words import Wording
from gateway.ground.web import templates, translations

TEMPLATE = "screen/_terms.html"
ROOMS = ("consent", "screen")  # whose translations the template uses
REMEMBERED = 10_000  # hashes at most
_remembered: dict[tuple[str, str, NullTranslations], str] = {}


def text(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> Markup:
    """The HTML for these facts, in this language."""
    say = Wording(language, texts, shown["zone"])
    return Markup(templates.environment(texts).get_template(TEMPLATE).render(shown=shown, say=say, lang=language))


def hashed_text(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> tuple[Markup, str]:
    """That HTML and its hash. Of what is shown to a person hashes alone are remembered, until she answers."""
    html = text(shown, language, texts)
    if len(_remembered) >= REMEMBERED:
        _remembered.clear()
    _remembered[_facts(shown), language, texts] = found = sha256(html)
    return html, found


def text_hash(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> str:
    """The hash alone."""
    return _remembered.get((_facts(shown), language, texts)) or hashed_text(shown, language, texts)[1]


def _facts(shown: Mapping[str, Any]) -> str:
    return sha256(json.dumps(shown, sort_keys=True))


def sha256(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()


@cache
def version_sha256() -> str:
    """One hash of the template and the translations it uses: tells whether evidence was rendered with other words."""
    template = Path(templates.__file__).parent / "templates" / TEMPLATE
    words = [translations.FOLDER / "fr" / "LC_MESSAGES" / f"{room}.po" for room in ROOMS]
    return hashlib.sha256(b"\n".join(path.read_bytes() for path in (template, *words))).hexdigest()
