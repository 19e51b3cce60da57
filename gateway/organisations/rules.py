"""What an organisation's declaration may contain: every key, the kind of its value, and the check of each kind."""

import re

from gateway.formats.espi.calls import PUBLISHED
from gateway.ground.declarations import REQUIRED, Form, checks
from gateway.organisations import connections, owned
from gateway.organisations.addresses import network_fault

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+|\{[a-z_]+\}|\$?[A-Za-z0-9-]+")


def _networks(value: object) -> str | None:
    if not isinstance(value, list):
        return 'write a list: ["10.1.0.0/16"]'
    return next((fault for fault in map(network_fault, value) if fault), None)


def _secret(value: object) -> str | None:
    fine = isinstance(value, dict) and len(value) == 1 and set(value) <= {"env", "file"}
    fine = fine and all(isinstance(name, str) and name for name in value.values())  # type: ignore[attr-defined]
    return None if fine else 'never in this file: write { env = "NAME" } or { file = "path" }'


def pattern_fault(text: object) -> str | None:
    """What is wrong with a path pattern; the words are those of `gateway.formats.paths`."""
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


def _patterns(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return 'write a list of paths: ["/accounts/{account}"]'
    return next((f"{text!r}: {fault}" for text in value if (fault := pattern_fault(text))), None)


FORM = Form(
    tables={
        "": {
            "id": ("id", REQUIRED),
            "name": ("words", REQUIRED),
            "legal_entity": ("text", REQUIRED),
            "sector": ("sector", REQUIRED),
            "zone": ("zone", REQUIRED),
            "website": ("website", REQUIRED),
            "contact": ("table", REQUIRED),
            "connection": ("table", REQUIRED),
            "datasets": ("datasets", REQUIRED),
            "scope": ("scopes", []),
            "format": ("table", None),
            "strict": ("flag", None),
            "espi": ("table", None),
        },
        "espi": {"published": ("published", REQUIRED)},
        "contact": {"privacy": ("mail", REQUIRED), "support": ("text", REQUIRED)},
        "connection": {
            "kind": ("kind", REQUIRED),
            "base_url": ("text", None),  # `connections` asks for it
            "networks": ("networks", None),
            "timeout_seconds": ("seconds", None),
            "max_calls": ("calls", None),
            "oauth": ("table", None),
            "link": ("table", None),
            **connections.KEYS,
        },
        **connections.TABLES,
        "connection.oauth": {
            "authorize": ("endpoint", REQUIRED),
            "token": ("endpoint", REQUIRED),
            "revoke": ("endpoint", None),
            "client_id": ("visible", REQUIRED),
            "client_secret": ("secret", REQUIRED),
            "scope": ("visible", REQUIRED),
            "subscription": ("subscription", None),
        },
        "connection.link": {
            "start": ("path", REQUIRED),
            "confirm": ("path", REQUIRED),
            "unlink": ("path", REQUIRED),
            "number_label": ("words", REQUIRED),
        },
        "datasets[]": {
            "id": ("text", REQUIRED),
            "paths": ("patterns", None),
            **{key: ("own", None) for key in owned.OWN},
        },
    },
    kinds={
        "id": checks.matches(
            r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", "write 1 to 40 of a-z, 0-9 and -, as in city-energy"
        ),
        "text": checks.text,
        "words": checks.words(),
        "mail": checks.mail,
        "website": checks.website,
        "zone": checks.zone,
        "sector": checks.matches(r"[a-z][a-z0-9-]{1,39}", "write a word in small letters, as in energy"),
        "flag": checks.flag,
        "published": PUBLISHED,
        "own": lambda value: None,  # `owned` reads them
        **connections.KINDS_OF_VALUE,
        "kind": connections.KINDS,
        "path": checks.matches(r"(/[A-Za-z0-9._~-]+)+", "write a plain path, as in /oauth/token"),
        "visible": checks.matches(
            r"[\x21\x23-\x5b\x5d-\x7e ]{1,400}", "write visible ASCII without quotes and backslashes"
        ),
        "networks": _networks,
        "seconds": checks.between(1, 120),
        "calls": checks.between(1, 1000),
        "secret": _secret,
        "patterns": _patterns,
        "subscription": checks.matches("lasting|new", 'write "lasting" or "new"'),
        "table": checks.table,
        "datasets": checks.tables("datasets", least=1),
        "scopes": checks.tables("scope"),
    },
)
