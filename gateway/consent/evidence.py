"""What the person saw when she decided, as it is kept (A37): the facts her screen was rendered from, sealed.

They name her accounts as she knows them, so whoever reads the database does not read them.
The screen room renders them again, and gets the same text as long as template and
translations are the ones whose hash stands beside them.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.consent.tables import Evidence
from gateway.ground.keys import KeyRing


def sealed(facts: Mapping[str, Any], keys: KeyRing, consent: str, version: int) -> bytes:
    """The facts of a screen as they are kept."""
    plain = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return keys.seal(plain.encode(), _context(consent, version))


def shown(kept: Evidence, keys: KeyRing) -> dict[str, Any]:
    """Raises Unavailable for what was sealed for another consent, or by another gateway."""
    facts: dict[str, Any] = json.loads(keys.open(kept.shown_sealed, _context(kept.consent_id, kept.version)))
    return facts


def _context(consent: str, version: int) -> str:
    return f"evidence:{consent}:{version}"
