"""What the person saw, on its way through her browser: a sealed word in the form of the consent screen.

The answer counts only if the same page would be shown now, so nobody agrees to a page that has changed meanwhile.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from gateway.ground.keys import KeyRing, same
from gateway.ground.keys.jose import decoded, encoded

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
        return f"{encoded(text.encode())}.{keys.mac(_USE, consent, person, text)}"

    @property
    def shown_at(self) -> datetime:
        return datetime.fromisoformat(self.at)


def unsealed(word: str, keys: KeyRing, consent: str, person: str) -> Seen | None:
    """None: not a word of ours for this consent and this person."""
    part, _, mac = word.partition(".")
    try:
        text = decoded(part).decode()
    except ValueError:
        return None
    if not same(mac, keys.mac(_USE, consent, person, text)):
        return None
    return Seen(**json.loads(text))
