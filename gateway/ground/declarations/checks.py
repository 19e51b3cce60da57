"""Checks that more than one kind of declaration needs. Each returns what would be right; None: the value is fine."""

import re
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.ground.declarations.form import Check
from gateway.ground.declarations.texts import hidden
from gateway.settings import LANGUAGES

TEXT_LENGTH = 200  # characters
_IN_NO_ADDRESS = set(" \"'<>\\`{}|^")


def matches(expression: str, otherwise: str) -> Check:
    compiled = re.compile(expression)
    return lambda value: None if isinstance(value, str) and compiled.fullmatch(value) else otherwise


def text(value: object, length: int = TEXT_LENGTH) -> str | None:
    """A text that people will read, without characters they cannot see."""
    if not isinstance(value, str) or not value.strip() or value.strip() != value or len(value) > length:
        return f"write a text of 1 to {length} characters"
    found = hidden(value)
    return f"leave out the invisible character {found}" if found else None


def words(length: int = TEXT_LENGTH) -> Check:
    """A table with a text in each of the gateway's languages."""

    def check(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != set(LANGUAGES):
            return "give both languages: { " + ", ".join(f'{name} = "…"' for name in LANGUAGES) + " }"
        return next((wrong for each in value.values() if (wrong := text(each, length))), None)

    return check


def website(value: object) -> str | None:
    """An https address that a page may link to. It is shown, never fetched."""
    fine = isinstance(value, str) and value.isascii() and value.isprintable() and not set(value) & _IN_NO_ADDRESS
    return None if fine and _leads_somewhere(str(value)) else "write an https address"


def _leads_somewhere(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # a port that is not a number, or brackets around something other than an IPv6 address
        return False
    no_user = parts.username is None and parts.password is None
    return parts.scheme == "https" and bool(parts.hostname) and no_user and port != 0


mail = matches(r"[^@\s<>\"']{1,64}@[A-Za-z0-9.-]{1,190}", "write a mail address")


def contact(value: object) -> str | None:
    return None if mail(value) is None or website(value) is None else "write a mail address or an https address"


def texts(value: object) -> str | None:
    strings = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    fine = isinstance(value, list) and 0 < len(value) <= 50 and len(set(strings)) == len(value)
    return None if fine else "write a list of 1 to 50 different texts"


def some_of(words: Collection[str]) -> Check:
    """A list of some of these words, none of them twice."""

    def check(value: object) -> str | None:
        fine = isinstance(value, list) and all(one in words for one in value) and len(set(value)) == len(value)
        return None if fine else f"write a list of some of {', '.join(words)}"

    return check


def flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "write true or false"


def table(value: object) -> str | None:
    return None if isinstance(value, dict) else "write it as a table, [in brackets]"


def tables(name: str, least: int = 0, most: int = 50) -> Check:
    """A list of tables: `least` to `most` of [[name]]."""
    otherwise = f"write {'at least one' if least else 'it as'} [[{name}]], at most {most}"

    def check(value: object) -> str | None:
        fine = isinstance(value, list) and least <= len(value) <= most and all(isinstance(row, dict) for row in value)
        return None if fine else otherwise

    return check


def between(low: float, high: float) -> Callable[[Any], str | None]:
    def check(value: object) -> str | None:
        fine = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if fine else f"write a number from {low:g} to {high:g}"

    return check


def zone(value: object) -> str | None:
    try:
        ZoneInfo(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "write an IANA name, as in Europe/Paris"
    return None
