"""What every flow in Python has: its arguments, a person who opens addresses, and the last line. See ../play.py."""

import base64
import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

ARGUMENTS: dict[str, Any] = json.loads(sys.stdin.readline())
APP: dict[str, Any] = ARGUMENTS["app"]


def _say(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def person(address: str) -> str:
    """Where her browser ends, after she has opened the address and answered."""
    _say({"open": address})
    back: str = json.loads(sys.stdin.readline())["back"]
    return back


def verifier_and_challenge() -> tuple[str, str]:
    """RFC 7636, for libraries that leave it to the app."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class MixedUp(Exception):
    """The answer is of another server than the request (RFC 9207). These libraries leave the check to the app."""

    error = "mixed_up"


def checked(back: str, issuer: str) -> str:
    """The same address, when it says that it is of this issuer."""
    if parse_qs(urlsplit(back).query).get("iss") != [issuer]:
        raise MixedUp("iss")
    return back


def details() -> str:
    return json.dumps(ARGUMENTS["details"])


def answer(response: Any) -> dict[str, Any]:
    """What a call for data was answered."""
    return {
        "status": response.status_code,
        "type": response.headers.get("content-type", ""),
        "body": response.text[:200],
    }


def _refusal(error: Exception) -> dict[str, Any] | None:
    """From the errors of Authlib and oauthlib, which carry `error`; None: any other error."""
    code = getattr(error, "error", None)
    if not isinstance(code, str):
        return None
    status = getattr(error, "status_code", None)
    return {"message": f"{type(error).__name__}: {error}", "error": code, "status": status}


@contextmanager
def refused(into: dict[str, Any]) -> Iterator[None]:
    """Put into `into` what the step was refused with; nothing: it was not."""
    try:
        yield
    except Exception as error:
        told = _refusal(error)
        if told is None:
            raise
        into.update(told)


def play(flow: Callable[[], dict[str, Any]]) -> None:
    """Run the flow and say its last line."""
    try:
        _say({"result": flow()})
    except Exception as error:
        told = _refusal(error)
        if told is None:
            raise
        _say({"refused": told, "steps": []})
