"""Removes secrets and mail addresses from log lines: by the name of a value and by patterns in its text."""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

Line = MutableMapping[str, Any]
HIDDEN = "[hidden]"

# A value with one of these names is never written, whatever it contains.
SECRET_NAMES = re.compile(
    r"(^|_)(authorization|cookie|set_cookie|csrf|passw(or)?d|secret|token|code|otp|totp|pin|state|nonce|verifier"
    r"|assertion|ticket|request_uri|e?mail|customer(_number)?|iban|birth_date|phone|address|payload|sealed|salt)$",
    re.IGNORECASE,
)
SECRET_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\b(bearer|dpop|basic)\s+[^\s,;\"']+", rf"\1 {HIDDEN}"),
        (
            r"\b(code|state|nonce|ticket|request_uri|[a-z_]*(?:token|secret|password|verifier|assertion))=[^&\s\"']+",
            rf"\1={HIDDEN}",
        ),
        (r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}", HIDDEN),  # JWS and JWE, compact
        (r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43,}(?![A-Za-z0-9_-])", HIDDEN),  # 256 random bits, base64url
        (
            r"\b(failing row contains )\([\s\S]*?\)\.?(?=\n|\Z)",
            rf"\1{HIDDEN}",
        ),  # PostgreSQL's DETAIL: a whole row, or a part of it
        (
            r"\b(key \([^)\n]*\)=)\([\s\S]*?\)(?= already exists| is not present| is still| conflicts|\n|\Z)",
            rf"\1{HIDDEN}",
        ),
        (r"[^\s@<>\"'=,;]+@[^\s@<>\"',;]+\.[^\s@<>\"',;]+", HIDDEN),  # mail addresses
    )
)

# Without one of these no pattern fits: most texts are passed after one look instead of seven.
_MAY_FIT = re.compile(r"[=@(]|eyJ|bearer|dpop|basic|[A-Za-z0-9_-]{43}", re.IGNORECASE)


def redacted(text: str) -> str:
    if not _MAY_FIT.search(text):
        return text
    for pattern, instead in SECRET_PATTERNS:
        text = pattern.sub(instead, text)
    return text


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return SECRET_NAMES.search(name) is not None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {str(key): HIDDEN if _is_secret(str(key)) else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redacted(repr(value)) if not isinstance(value, bytes) else HIDDEN


def redact(_logger: object, _method: str, line: Line) -> Line:
    """The last processor before a line is written."""
    return {str(key): HIDDEN if _is_secret(str(key)) else _clean(value) for key, value in line.items()}
