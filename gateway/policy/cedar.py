"""The only file that calls Cedar."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import cedarpy

Action = Literal["ask", "agree", "read"]

# policy id → reason in errors.REASONS, as told to apps and in the log
REASON_OF = {
    "app-suspended": "suspended",
    "organisation-suspended": "suspended",
    "app-not-registered-for-purpose": "purpose",
    "sensitive-data-needs-recent-sign-in": "strong_sign_in_needed",
    "under-age-needs-guardian": "app_not_allowed",
}


class PolicyError(Exception):
    """The files in policies/ cannot be read, do not parse or do not fit the schema. They are not used then."""


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """The facts for one decision: one app, one organisation, one purpose, one person."""

    person: str
    minor: bool
    app: str
    app_active: bool
    app_purposes: tuple[str, ...]
    organisation: str
    organisation_active: bool
    purpose: str
    sensitivity: str  # the highest of the items concerned
    guardian_agreed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    permitted: bool
    policies: tuple[str, ...]  # ids of the rules that decided

    @property
    def reason(self) -> str:
        """Why it was refused: one of errors.REASONS."""
        return next((REASON_OF[rule] for rule in self.policies if rule in REASON_OF), "policy")


class Policies:
    def __init__(self, folder: Path) -> None:
        try:
            text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.cedar")))
            schema = (folder / "schema.cedarschema").read_text(encoding="utf-8")
            self._schema = cedarpy.Schema.from_str(schema)
            self._policies = cedarpy.PolicySet.from_str(text)
        except OSError as error:
            raise PolicyError(f"{error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise PolicyError(f"{folder}: {error}") from error
        checked = cedarpy.validate_policies(text, self._schema)
        if not checked.validation_passed:
            raise PolicyError(f"{folder}: " + "; ".join(str(error) for error in checked.errors))
        self.sha256 = hashlib.sha256((schema + text).encode()).hexdigest()
        # Whether an app may ask: of no person, and the same each time.
        self._asked = lru_cache(maxsize=1024)(partial(self._decided, "ask", recent_sign_in=False))

    def decide(self, action: Action, sharing: PolicyFacts, *, recent_sign_in: bool = False) -> Decision:
        """Permitted only if Cedar says Allow and no rule had an error."""
        return self._asked(sharing) if action == "ask" else self._decided(action, sharing, recent_sign_in)

    def _decided(self, action: Action, sharing: PolicyFacts, recent_sign_in: bool) -> Decision:
        principal = _uid("Person", sharing.person) if action == "agree" else _uid("App", sharing.app)
        request = {
            "principal": principal,
            "action": _uid("Action", action),
            "resource": _uid("Sharing", "this"),
            "context": {"recent_sign_in": recent_sign_in} if action == "agree" else {},
        }
        try:
            entities = cedarpy.Entities.from_json_str(json.dumps(_entities(sharing)), schema=self._schema)
            result = cedarpy.is_authorized(request, self._policies, entities, self._schema)
        except ValueError:  # facts that do not fit the schema
            return Decision(False, ())
        named = result.diagnostics.id_annotations_by_reason
        rules = tuple(named.get(rule, rule) for rule in result.diagnostics.reasons)
        return Decision(result.decision is cedarpy.Decision.Allow and not result.diagnostics.errors, rules)


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _entities(sharing: PolicyFacts) -> list[dict[str, object]]:
    def entity(kind: str, name: str, **attributes: object) -> dict[str, object]:
        return {"uid": _uid(kind, name), "attrs": attributes, "parents": []}

    def reference(kind: str, name: str) -> dict[str, object]:
        return {"__entity": _uid(kind, name)}

    return [
        entity("Person", sharing.person, minor=sharing.minor),
        entity("App", sharing.app, active=sharing.app_active, purposes=list(sharing.app_purposes)),
        entity("Organisation", sharing.organisation, active=sharing.organisation_active),
        entity(
            "Sharing",
            "this",
            subject=reference("Person", sharing.person),
            app=reference("App", sharing.app),
            organisation=reference("Organisation", sharing.organisation),
            purpose=sharing.purpose,
            sensitivity=sharing.sensitivity,
            guardian_agreed=sharing.guardian_agreed,
        ),
    ]
