"""An authorization request, from first sight to spent code (RFC 6749 §4.1, RFC 9126, RFC 7636, RFC 9207).

    pushed ──► opened (by a person) ──► granted: a code for 60 s ──► redeemed
      90 s        up to an hour     └─► refused

The secret in `request_uri` and the code are kept as hashes only. The code is derived from
the request, so that showing the last page twice shows the same code; it is spent once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from sqlmodel import Session, select

from gateway.apps import addresses
from gateway.apps.tables import App
from gateway.apps.views import is_native, view
from gateway.authorization import details, rules
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.asking import may_ask
from gateway.consent.request import Ask, InvalidDetails, validate
from gateway.ground.keys import KeyRing, hashed, same
from gateway.house import House
from gateway.organisations.views import directory

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TAGS = re.compile(r"[A-Za-z0-9 -]{0,100}")


@dataclass(frozen=True, slots=True)
class Checked:
    """The parameters of a valid request."""

    client_id: str
    redirect_uri: str
    state: str | None
    scope: str
    code_challenge: str
    nonce: str | None
    ui_locales: str
    prompt: str
    max_age: int | None
    ask: Ask


def redirect_uri(app: App, parameters: Mapping[str, str]) -> str:
    """The registered address to answer to; always named by the request (FAPI 2.0: never guessed)."""
    asked = parameters.get("redirect_uri", "")
    if not asked:
        raise Refused("invalid_request", "redirect_uri is missing.")
    if not addresses.matches(asked, view(app).redirect_uris, native=is_native(app)):
        raise Refused("invalid_request", "redirect_uri is not one of those registered.")
    return asked


def state(parameters: Mapping[str, str]) -> str | None:
    """Echoed exactly or refused: U+FFFD stands for bytes that were not UTF-8 and cannot be given back."""
    found = parameters.get("state")
    if found is not None and (len(found) > rules.STATE_LIMIT or "\ufffd" in found):
        raise Refused("invalid_request", "state is too long or not UTF-8.")
    return found


def check(session: Session, house: House, app: App, parameters: Mapping[str, str]) -> Checked:
    """A valid request, or Refused with the error of the standard. The redirect address is checked first."""
    to = redirect_uri(app, parameters)
    kept_state = state(parameters)
    _no_request_object(parameters)
    _response_type(parameters)
    return Checked(
        client_id=app.client_id,
        redirect_uri=to,
        state=kept_state,
        scope=_scope(parameters),
        code_challenge=_challenge(parameters),
        nonce=_nonce(parameters),
        ui_locales=_pattern(parameters, "ui_locales", _TAGS) or "",
        prompt=_prompt(parameters),
        max_age=_max_age(parameters),
        ask=_ask(session, house, app, parameters),
    )


def _no_request_object(parameters: Mapping[str, str]) -> None:
    if "request" in parameters and "request_uri" in parameters:
        raise Refused("invalid_request", "request and request_uri together.")
    if "request" in parameters:
        raise Refused("request_not_supported", "Signed request objects are not offered.")


def _response_type(parameters: Mapping[str, str]) -> None:
    found = parameters.get("response_type", "")
    if not found:
        raise Refused("invalid_request", "response_type is missing.")
    if found != "code":
        raise Refused("unsupported_response_type")
    if parameters.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "response_mode: only query is offered.")


def _scope(parameters: Mapping[str, str]) -> str:
    if set(parameters.get("scope", "").split()) - set(rules.SCOPES):
        raise Refused("invalid_scope")
    return " ".join(rules.SCOPES)


def _challenge(parameters: Mapping[str, str]) -> str:
    """S256, of everyone: the server is the only one who can insist (RFC 9700 §2.1.1; LIBRARIES AL3)."""
    if parameters.get("code_challenge_method") != "S256":
        raise Refused("invalid_request", "code_challenge_method must be S256.")
    found = parameters.get("code_challenge", "")
    if not _CHALLENGE.fullmatch(found):
        raise Refused("invalid_request", "code_challenge must be 43 characters of base64url.")
    return found


def _nonce(parameters: Mapping[str, str]) -> str | None:
    found = parameters.get("nonce")
    if found is not None and (len(found) > rules.NONCE_LIMIT or "\ufffd" in found):
        raise Refused("invalid_request", "nonce is too long or not UTF-8.")
    return found


def _pattern(parameters: Mapping[str, str], name: str, form: re.Pattern[str]) -> str | None:
    found = parameters.get(name)
    if found is not None and not form.fullmatch(found):
        raise Refused("invalid_request", f"{name} is malformed.")
    return found


def _prompt(parameters: Mapping[str, str]) -> str:
    asked = parameters.get("prompt", "").split()
    if set(asked) - rules.PROMPTS or ("none" in asked and len(asked) > 1):
        raise Refused("invalid_request", "prompt: none alone, or login, consent, select_account.")
    return " ".join(sorted(set(asked)))


def _max_age(parameters: Mapping[str, str]) -> int | None:
    found = _pattern(parameters, "max_age", _NUMBER)
    return None if found is None else int(found)


def _ask(session: Session, house: House, app: App, parameters: Mapping[str, str]) -> Ask:
    text = parameters.get("authorization_details")
    if not text:
        raise Refused("invalid_request", "authorization_details is missing.")
    known, app_view = directory(session), view(app)
    settings = house.settings
    schema = settings.policies / "data_access.schema.json"
    try:
        ask = validate(
            details.parse(text), app_view, known, house.catalogue, settings.public_url, schema, house.clock()
        )
    except InvalidDetails as error:
        raise Refused(
            "invalid_authorization_details",
            f"{error.why}.",
            why=error.why,
            term=error.term,
            asked=error.asked,
            allowed=error.allowed,
        ) from None
    decision = may_ask(house.policies, app_view, ask, {name: facts.active for name, facts in known.items()})
    if not decision.permitted:
        raise Refused("unauthorized_client", "A policy forbids this request.", reason=decision.reason)
    return ask


# ---- the row


def push(session: Session, checked: Checked, secret: str, now: datetime, seconds: int) -> str:
    """Keep a valid request for `seconds`; its request_uri."""
    row = AuthorizationRequest(
        id=hashed(secret),
        **{name: getattr(checked, name) for name in Checked.__slots__ if name != "ask"},
        ask=checked.ask.as_json(),
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    session.add(row)
    session.flush()
    return rules.REQUEST_URI + secret


def find(session: Session, request_uri: str, app: App, now: datetime) -> AuthorizationRequest | None:
    """The request behind a request_uri, when it is this client's, as it is registered now, and not over."""
    secret = request_uri.removeprefix(rules.REQUEST_URI)
    if secret == request_uri or len(secret) != 43:
        return None
    row = session.get(AuthorizationRequest, hashed(secret))
    if row is None or row.client_id != app.client_id or now >= row.expires_at or finished(row, now):
        return None
    # made under another registration: its address or data may not be the app's any more
    return row if Ask.from_json(row.ask).app_metadata_sha256 == app.metadata_sha256 else None


def finished(row: AuthorizationRequest, now: datetime) -> bool:
    """Answered for good: its code has been spent or has run out. Before that the last page may be shown again."""
    return row.redeemed_at is not None or (row.code_expires_at is not None and now >= row.code_expires_at)


def open_(row: AuthorizationRequest, now: datetime, seconds: int) -> None:
    """The first opening starts the time a person has to answer. Opening again changes nothing (RFC 9126 §7.3)."""
    if row.opened_at is None:
        row.opened_at, row.expires_at = now, now + timedelta(seconds=seconds)


def resume_path(client_id: str, request_uri: str) -> str:
    """Where every step of this request returns to."""
    return "/authorize?" + urlencode({"client_id": client_id, "request_uri": request_uri}, quote_via=quote)


def grant(row: AuthorizationRequest, keys: KeyRing, auth_time: datetime, now: datetime, seconds: int) -> str:
    """The code. The first call makes it valid for `seconds`; later calls show the same one."""
    code = keys.mac("code", row.id)
    if not row.outcome:
        row.outcome, row.auth_time = "granted", int(auth_time.timestamp())
        row.code_sha256, row.code_expires_at = hashed(code), now + timedelta(seconds=seconds)
    return code


def refuse(row: AuthorizationRequest, now: datetime, seconds: int) -> None:
    if not row.outcome:
        row.outcome, row.code_expires_at = "refused", now + timedelta(seconds=seconds)


def by_code(session: Session, code: str, client_id: str) -> AuthorizationRequest | None:
    """The request behind a code of this client, spent or not."""
    row = session.exec(select(AuthorizationRequest).where(AuthorizationRequest.code_sha256 == hashed(code))).first()
    return row if row and same(row.client_id, client_id) else None


def answer_uri(row_uri: str, answer: Mapping[str, str | None]) -> str:
    """The redirect address with the answer appended; a query it was registered with is kept byte for byte."""
    given = urlencode({name: value for name, value in answer.items() if value is not None}, quote_via=quote)
    return row_uri + ("&" if "?" in row_uri else "?") + given
