"""What a declaration may say: every key, the kind of its value, and the check of each kind. No I/O.

A check returns what would be right, or None when the value is fine.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.organisations.addresses import network_fault
from gateway.settings import LANGUAGES

CONNECTIONS = {"oauth": "oauth", "assertion": "link"}  # kind of connection → its table under [connection]

Check = Callable[[Any], str | None]

# table → key → (kind of value, required)
KEYS: dict[str, dict[str, tuple[str, bool]]] = {
    "": {
        "id": ("id", True),
        "name": ("words", True),
        "legal_entity": ("text", True),
        "sector": ("sector", True),
        "zone": ("zone", True),
        "website": ("website", True),
        "contact": ("table", True),
        "connection": ("table", True),
        "datasets": ("tables", True),
    },
    "contact": {"privacy": ("mail", True), "support": ("text", True)},
    "connection": {
        "kind": ("kind", True),
        "base_url": ("text", True),
        "networks": ("networks", False),
        "timeout_seconds": ("seconds", False),
        "max_calls": ("calls", False),
        "oauth": ("table", False),
        "link": ("table", False),
    },
    "connection.oauth": {
        "authorize": ("path", True),
        "token": ("path", True),
        "revoke": ("path", True),
        "client_id": ("visible", True),
        "client_secret": ("secret", True),
        "scope": ("visible", True),
        "subscription": ("subscription", False),
    },
    "connection.link": {
        "start": ("path", True),
        "confirm": ("path", True),
        "unlink": ("path", True),
        "number_label": ("words", True),
    },
    "datasets[]": {"id": ("text", True), "paths": ("patterns", True)},
}

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+|\{[a-z_]+\}|\$?[A-Za-z0-9-]+")
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]{1,200}")  # no controls, no bidi


def _matches(expression: str, otherwise: str) -> Any:
    compiled = re.compile(expression)
    return lambda value: None if isinstance(value, str) and compiled.fullmatch(value) else otherwise


def _text(value: object) -> str | None:
    fine = isinstance(value, str) and value.strip() == value and _TEXT.fullmatch(value)
    return None if fine else "write a text of 1 to 200 visible characters"


def _words(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != set(LANGUAGES):
        return 'give both languages: { fr = "…", en = "…" }'
    return next((_text(text) for text in value.values() if _text(text)), None)


def _website(value: object) -> str | None:
    parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
    fine = parts and parts.scheme == "https" and parts.hostname and parts.username is None and " " not in str(value)
    return None if fine else "write an https address"


def _networks(value: object) -> str | None:
    if not isinstance(value, list):
        return 'write a list: ["10.1.0.0/16"]'
    return next((fault for fault in map(network_fault, value) if fault), None)


def _between(low: float, high: float) -> Any:
    def check(value: object) -> str | None:
        fine = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if fine else f"write a number from {low:g} to {high:g}"

    return check


def _secret(value: object) -> str | None:
    fine = isinstance(value, dict) and len(value) == 1 and set(value) <= {"env", "file"}
    fine = fine and all(isinstance(name, str) and name for name in value.values())  # type: ignore[attr-defined]
    return None if fine else 'never in this file: write { env = "NAME" } or { file = "path" }'


def pattern_fault(text: object) -> str | None:
    """What is wrong with a path pattern; the words are those of `gateway.sectors.paths`."""
    if not isinstance(text, str) or not text.startswith("/"):
        return "a path begins with /"
    segments = text.removesuffix("/…").split("/")[1:]
    if text == "/…" or "" in segments[:-1] or segments == [""]:
        return "a path names at least one segment and has no empty ones"
    for segment in segments:
        if segment and (segment in (".", "..") or not _SEGMENT.fullmatch(segment)):
            return f"{segment!r} is neither a plain segment nor one {{word}}; … may stand at the end only"
    names = [segment for segment in segments if segment.startswith("{")]
    return "each {word} may stand once" if len(set(names)) < len(names) else None


def _zone(value: object) -> str | None:
    try:
        ZoneInfo(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "write an IANA name, as in Europe/Paris"
    return None


def _patterns(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return 'write a list of paths: ["/accounts/{account}"]'
    return next((f"{text!r}: {fault}" for text in value if (fault := pattern_fault(text))), None)


CHECKS: dict[str, Any] = {
    "id": _matches(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", "write 1 to 40 of a-z, 0-9 and -, as in city-energy"),
    "text": _text,
    "words": _words,
    "mail": _matches(r"[^@\s<>\"']{1,64}@[A-Za-z0-9.-]{1,190}", "write a mail address"),
    "website": _website,
    "zone": _zone,
    "path": _matches(r"(/[A-Za-z0-9._~-]+)+", "write a plain path, as in /oauth/token"),
    "visible": _matches(r"[\x21\x23-\x5b\x5d-\x7e ]{1,400}", "write visible ASCII without quotes and backslashes"),
    "networks": _networks,
    "seconds": _between(1, 120),
    "calls": _between(1, 1000),
    "secret": _secret,
    "patterns": _patterns,
    "subscription": _matches("lasting|new", 'write "lasting" or "new"'),
    "table": lambda value: None if isinstance(value, dict) else "write it as a table, [in brackets]",
    "tables": lambda value: (
        None
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
        else "write at least one [[datasets]]"
    ),
}
