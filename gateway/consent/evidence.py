"""What the person saw when she decided: the facts the consent screen was rendered from, encrypted.

They name the person's accounts in clear, so they are encrypted against anyone who reads the database.
The screen room can render them again. The text is the same as long as template and translations still have the hash
that is stored beside the facts.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.consent.tables import Evidence
from gateway.ground.keys import KeyRing


def sealed(facts: Mapping[str, Any], keys: KeyRing, consent: str, version: int) -> bytes:
    """The facts of a screen, encrypted for storage."""
    plain = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return keys.seal(plain.encode(), _context(consent, version))


def shown(kept: Evidence, keys: KeyRing) -> dict[str, Any]:
    """The facts, decrypted. Raises Unavailable for facts encrypted for another consent or by another gateway."""
    facts: dict[str, Any] = json.loads(keys.open(kept.shown_sealed, _context(kept.consent_id, kept.version)))
    return facts


def _context(consent: str, version: int) -> str:
    return f"evidence:{consent}:{version}"
