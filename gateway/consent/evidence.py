"""What the person saw, so that it can be shown again (A37).

The part of the consent screen that says what is shared is one template, rendered from one
dict of facts and from nothing else: no token of the form, no address of the request. The
hash of its text goes into the terms and the evidence; rendering the stored facts again
gives the same hash as long as template and translations are the ones named by
`version_sha256`.

What was shown travels through the form as a sealed word (`Seen`): the answer counts only
if the same page would be shown now, so nobody agrees to a page that has changed meanwhile.
The facts name the person's accounts as she knows them, so they are kept sealed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.consent.tables import Evidence
from gateway.consent.words import Wording
from gateway.keys import KeyRing, same
from gateway.keys.ring import b64url, unb64url
from gateway.web import templates, translations

TEMPLATE = "consent/_terms.html"
_USE = "consent-seen"


@dataclass(frozen=True, slots=True)
class Seen:
    """A screen as it left: when, in which language, with which text, what was ticked and what was pointed out."""

    at: str  # RFC 3339
    language: str
    text_sha256: str
    redirect_host: str
    redirect_scheme: str
    chosen: Mapping[str, list[str]] = field(default_factory=dict)
    problems: list[list[str]] = field(default_factory=list)  # [field, text]

    def sealed(self, keys: KeyRing, consent: str, person: str) -> str:
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{b64url(text.encode())}.{keys.mac(_USE, consent, person, text)}"

    @property
    def shown_at(self) -> datetime:
        return datetime.fromisoformat(self.at)


def unsealed(word: str, keys: KeyRing, consent: str, person: str) -> Seen | None:
    """None: not a word of ours for this consent and this person."""
    encoded, _, mac = word.partition(".")
    try:
        text = unb64url(encoded).decode()
    except ValueError:
        return None
    if not same(mac, keys.mac(_USE, consent, person, text)):
        return None
    return Seen(**json.loads(text))


def text(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> Markup:
    """The content of the screen as HTML, from the facts alone."""
    say = Wording(language, texts, shown["zone"])
    return Markup(_environment(texts).get_template(TEMPLATE).render(shown=shown, say=say, lang=language))


def text_hash(shown: Mapping[str, Any], language: str, texts: NullTranslations) -> str:
    return sha256(text(shown, language, texts))


def rendered_again(kept: Evidence, keys: KeyRing, texts: NullTranslations) -> Markup:
    return text(shown(kept, keys), kept.language, texts)


def sealed(facts: Mapping[str, Any], keys: KeyRing, consent: str, version: int) -> bytes:
    """The facts of a screen as they are kept: whoever reads the database does not read her addresses and nicknames."""
    plain = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return keys.seal(plain.encode(), _context(consent, version))


def shown(kept: Evidence, keys: KeyRing) -> dict[str, Any]:
    """Raises Unavailable for what was sealed for another consent, or by another gateway."""
    facts: dict[str, Any] = json.loads(keys.open(kept.shown_sealed, _context(kept.consent_id, kept.version)))
    return facts


def _context(consent: str, version: int) -> str:
    return f"evidence:{consent}:{version}"


def sha256(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()


@cache
def version_sha256() -> str:
    """One hash over the template and the translations it takes its words from."""
    template = Path(templates.__file__).parent / "templates" / TEMPLATE
    catalogue = translations.FOLDER / "fr" / "LC_MESSAGES" / "consent.po"
    return hashlib.sha256(template.read_bytes() + b"\n" + catalogue.read_bytes()).hexdigest()


@cache
def _environment(texts: NullTranslations) -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_texts(environment, texts)
    return environment
