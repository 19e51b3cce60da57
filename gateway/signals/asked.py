"""What a receiver sends, read strictly: unknown members are passed over, known ones must be right (SSF §8.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.authorization.rules import Refused
from gateway.ground.http import fetching
from gateway.ground.keys import strict
from gateway.ground.web.context import Context
from gateway.settings import Settings
from gateway.signals import rules
from gateway.signals.rules import Status
from gateway.signals.streams import WantedStream

_SUPPLIED = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout")
# Formats of RFC 9493 → the members that they need, each a text.
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "iss_sub": ("iss", "sub"),
    "email": ("email",),
    "opaque": ("id",),
    "account": ("uri",),
    "phone_number": ("phone_number",),
    "did": ("url",),
    "uri": ("uri",),
}


def body(ctx: Context) -> dict[str, Any]:
    """The JSON object that was sent. Raises Refused."""
    media_type = ctx.request.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        found = strict.loads(ctx.raw_body, depth=rules.BODY_DEPTH) if media_type == "application/json" else None
    except strict.Malformed:
        found = None
    if not isinstance(found, dict):
        raise _wrong("Send one JSON object: application/json.")
    return found


def text(given: Mapping[str, Any], name: str, limit: int = rules.TEXT) -> str:
    """The text of this member; "": it is not there. Raises Refused."""
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or not strict.is_text(value):
        raise _wrong(f"{name} is a text of at most {limit} characters.")
    return value


# ---- a stream


def wanted(given: Mapping[str, Any], before: WantedStream, settings: Settings) -> WantedStream:
    """What the receiver wants: what it names, and else as it was before. Raises Refused."""
    found = before
    if "delivery" in given:
        found = _delivery(given["delivery"], found, settings)
    if "events_requested" in given:
        found = replace(found, requested=_requested(given["events_requested"]))
    if "description" in given:
        found = replace(found, description=text(given, "description"))
    return found


def _delivery(given: object, before: WantedStream, settings: Settings) -> WantedStream:
    if not isinstance(given, dict) or given.get("method") not in rules.METHODS:
        raise _wrong(f"delivery has a method: {' or '.join(rules.METHODS)}.")
    if given["method"] == rules.POLL:
        if given.get("authorization_header") is not None:
            raise _wrong("authorization_header is for events that are pushed.")
        return replace(before, method=rules.POLL, endpoint="", authorization=None)
    endpoint = text(given, "endpoint_url")
    if not endpoint or fetching.fault(endpoint, settings):
        raise _wrong("endpoint_url is an https address, without port, fragment, name or password.")
    shown = text(given, "authorization_header", rules.AUTHORIZATION)
    if not all(" " <= char <= "~" for char in shown) or shown != shown.strip():
        raise _wrong("authorization_header is the value of an HTTP field: printable ASCII.")
    return replace(before, method=rules.PUSH, endpoint=endpoint, authorization=shown or None)


def _requested(given: object) -> Sequence[str]:
    fine = isinstance(given, list) and len(given) <= rules.EVENTS_ASKED
    if not fine or not all(isinstance(one, str) and len(one) <= rules.TEXT and strict.is_text(one) for one in given):  # type: ignore[attr-defined]
        raise _wrong(f"events_requested is a list of at most {rules.EVENTS_ASKED} types.")
    return list(dict.fromkeys(given))  # type: ignore[call-overload]


def check_supplied(given: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """What we say about a stream may be sent back, but not changed (SSF §8.1.1.3). Raises Refused."""
    for name in _SUPPLIED:
        if name in given and _plain(given[name]) != _plain(told[name]):
            raise _wrong(f"{name} is not the receiver's to choose.")
    delivery = given.get("delivery")
    if isinstance(delivery, dict) and delivery.get("method") == rules.POLL:
        address = delivery.get("endpoint_url")
        if address is not None and (told["delivery"]["method"], address) != (
            rules.POLL,
            told["delivery"]["endpoint_url"],
        ):
            raise _wrong("The address to poll is not the receiver's to choose.")


def _plain(value: object) -> object:
    """One audience may be written in two ways, and the order of types means nothing."""
    return sorted(map(str, value)) if isinstance(value, list) else [value] if isinstance(value, str) else value


def status(given: Mapping[str, Any]) -> tuple[Status, str]:
    """(status, reason). Raises Refused."""
    try:
        return Status(given.get("status", "")), text(given, "reason")
    except ValueError:
        raise _wrong(f"status is one of {', '.join(Status)}.") from None


# ---- people


def subject(given: Mapping[str, Any], issuer: str) -> str:
    """The `sub` of the person that is meant, if it is one of ours; "": any other subject, of which nothing is known
    here (RFC 9493). Raises Refused for what is no subject."""
    named = given.get("subject")
    if not isinstance(named, dict):
        raise _wrong("subject is an object.")
    simple = _simple(named)
    ours = next((one for one in simple if one.get("format") == "iss_sub" and one["iss"] == issuer), None)
    return str(ours["sub"]) if ours else ""


def _simple(named: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The simple subjects of which it is made: itself, or those of a complex one. Raises Refused."""
    form = named.get("format")
    if form == "aliases":
        parts = named.get("identifiers")
    elif form == "complex":
        parts = [part for name, part in named.items() if name != "format"]
    else:
        return [_checked(named)]
    if not isinstance(parts, list) or not parts:
        raise _wrong(f"A subject of format {form} names others.")
    found = [_checked(part) for part in parts]
    return found if form == "aliases" else [part for part in found if part is named.get("user")]


def _checked(named: object) -> Mapping[str, Any]:
    form = named.get("format") if isinstance(named, dict) else None
    if not isinstance(named, dict) or not isinstance(form, str) or form not in _FORMATS:
        raise _wrong(f"The format of a subject is one of {', '.join((*_FORMATS, 'aliases', 'complex'))}.")
    for name in _FORMATS[form]:
        if not text(named, name):
            raise _wrong(f"A subject of format {form} has the member {name}.")
    return named


# ---- polling


def poll(given: Mapping[str, Any]) -> tuple[int, list[str], dict[str, str]]:
    """(how many at most, what the receiver has, what it refuses and by which error) (RFC 8936 §2.2). Raises Refused."""
    most, ack, errors = given.get("maxEvents", rules.AT_ONCE), given.get("ack", []), given.get("setErrs", {})
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise _wrong("maxEvents is a number.")
    if not isinstance(given.get("returnImmediately", False), bool):
        raise _wrong("returnImmediately is true or false.")
    if not isinstance(ack, list) or not isinstance(errors, dict) or len(ack) + len(errors) > rules.ACKS:
        raise _wrong(f"ack is a list, setErrs an object, of at most {rules.ACKS} together.")
    if not all(isinstance(one, str) and strict.is_text(one) for one in (*ack, *errors)):
        raise _wrong("ack and setErrs name events by their jti.")
    if not all(isinstance(one, dict) and isinstance(one.get("err"), str) for one in errors.values()):
        raise _wrong("setErrs says err of each event.")
    return min(most, rules.AT_ONCE), ack, {jti: said["err"] for jti, said in errors.items()}


def _wrong(description: str) -> Refused:
    return Refused("invalid_request", description)
