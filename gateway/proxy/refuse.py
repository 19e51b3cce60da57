"""The answer when there is no data: the term that refused (RFC 9457), and challenges (RFC 6750, 9449, 9728)."""

from collections.abc import Mapping
from typing import Any

from gateway.consent.rules import MERGE
from gateway.errors import REASONS, Refusal
from gateway.ground.http.connector import Headers
from gateway.ground.http.problems import TITLES, Send, answer, plain
from gateway.ground.keys.dpop import ALGORITHMS
from gateway.proxy.admit import Judged
from gateway.proxy.scoped import may_help

_ALGORITHMS = " ".join(ALGORITHMS)


async def refused(
    send: Send,
    refusal: Refusal,
    request_id: str,
    status: int | None = None,
    challenge: Headers | None = None,
    ask: Mapping[str, Any] | None = None,
) -> None:
    """An identified app is told which term refused, what it asked and what is allowed: it can correct itself. `ask`:
    how it may ask the person for it."""
    status = status or refusal.status
    title = TITLES[404] if status == 404 else REASONS[refusal.reason][1]
    told = {"term": refusal.term, "asked": refusal.asked, "allowed": refusal.allowed}
    problem = {
        "type": f"/problems/{'not_found' if status == 404 else refusal.reason}",
        "title": title,
        "status": status,
        "reason": refusal.reason,
        **{name: value for name, value in told.items() if value},
        **refusal.challenge,
        **({"requestable": ask} if ask else {}),
        "request_id": request_id,
    }
    fields = [(b"x-request-id", request_id.encode()), *(challenge or [])]
    if refusal.retry_after is not None:
        fields.append((b"retry-after", b"%d" % refusal.retry_after))
    elif status == 503:
        fields.append((b"retry-after", b"1"))
    await answer(send, status, problem, fields)


def requestable(judged: Judged, refusal: Refusal) -> dict[str, Any] | None:
    """What the app may ask for to be merged with its grant, of what this call lacks; None: nothing that it registered.
    She is asked by any authorization request, or, without a redirect, by CIBA or a refresh that is deferred."""
    if not may_help(refusal):
        return None
    lacks = set(refusal.asked.split())
    data = [
        {"datatypes": [dataset], "fields": list(fields)}
        for dataset, fields in judged.beyond.items()
        if not lacks or dataset in lacks or lacks.intersection(fields)
    ]
    found = {"grant_id": judged.facts["consent"], "grant_management_action": MERGE, "data": data}
    return found if data else None


async def challenge(
    send: Send, resource: str, said: Mapping[str, str], *, dpop: bool, public_url: str, nonce: str = ""
) -> None:
    """401. `said`: `scope` and `error`, of RFC 6750 §3.1 or RFC 9449 §7; no error when no token was sent at all.
    `nonce`: RFC 9449 §9."""
    error = said.get("error", "")
    fields = [authenticate(resource, public_url, said, dpop=dpop)]
    if nonce:
        fields.append((b"dpop-nonce", nonce.encode()))
    if not error:
        fields.append(authenticate(resource, public_url, said, dpop=True))
    await plain(send, 401, fields, **({"error": error} if error else {}))


def authenticate(resource: str, public_url: str, said: Mapping[str, str], *, dpop: bool) -> tuple[bytes, bytes]:
    """The field that says with which kind of token to come again, and what `said` adds (RFC 6750 §3, RFC 9728 §5.1)."""
    metadata = f"{public_url}/.well-known/oauth-protected-resource{resource}"
    parameters = {**({"algs": _ALGORITHMS} if dpop else {}), "resource_metadata": metadata, **said}
    written = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    return b"www-authenticate", f"{'DPoP' if dpop else 'Bearer'} {written}".encode()
