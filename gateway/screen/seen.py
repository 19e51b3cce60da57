"""Which screen a form was sent from: a hidden field that says what was shown, with a MAC so that nobody can forge it.

An answer counts only if the same screen would be shown now. So nobody agrees to a screen that has changed meanwhile.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from gateway.ground.keys import KeyRing, same
from gateway.ground.keys.jose import decoded, encoded

_USE = "consent-seen"


@dataclass(frozen=True, slots=True)
class ScreenSeen:
    """A screen as it was sent: when, in which language, the hash of its HTML, what was ticked, and its problems."""

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


def unsealed(word: str, keys: KeyRing, consent: str, person: str) -> ScreenSeen | None:
    """None: this gateway did not make the field for this consent and this person."""
    part, _, mac = word.partition(".")
    try:
        text = decoded(part).decode()
    except ValueError:
        return None
    if not same(mac, keys.mac(_USE, consent, person, text)):
        return None
    return ScreenSeen(**json.loads(text))
