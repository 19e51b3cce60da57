"""The answer when there is no data: the term that refused (RFC 9457), and challenges (RFC 6750, 9449, 9728)."""

from gateway.errors import REASONS, Refusal
from gateway.ground.http.problems import TITLES, Send, answer, plain
from gateway.ground.keys.dpop import ALGORITHMS

_ALGORITHMS = " ".join(ALGORITHMS)


async def refused(send: Send, refusal: Refusal, request_id: str, status: int | None = None) -> None:
    """An identified app is told which term refused, what it asked and what is allowed: it can correct itself."""
    status = status or refusal.status
    title = TITLES[404] if status == 404 else REASONS[refusal.reason][1]
    told = {"term": refusal.term, "asked": refusal.asked, "allowed": refusal.allowed}
    problem = {
        "type": f"/problems/{'not_found' if status == 404 else refusal.reason}",
        "title": title,
        "status": status,
        "reason": refusal.reason,
        **{name: value for name, value in told.items() if value},
        "request_id": request_id,
    }
    fields = [(b"x-request-id", request_id.encode())]
    if refusal.retry_after is not None:
        fields.append((b"retry-after", b"%d" % refusal.retry_after))
    elif status == 503:
        fields.append((b"retry-after", b"1"))
    await answer(send, status, problem, fields)


async def challenge(send: Send, resource: str, error: str, *, dpop: bool, public_url: str, nonce: str = "") -> None:
    """401. `error` is of RFC 6750 §3.1 or RFC 9449 §7; empty when no token was sent at all. `nonce`: RFC 9449 §9."""
    metadata = f"{public_url}/.well-known/oauth-protected-resource{resource}"
    said = f', error="{error}"' if error else ""
    bearer = f'Bearer resource_metadata="{metadata}"' + ("" if dpop else said)
    proof = f'DPoP algs="{_ALGORITHMS}", resource_metadata="{metadata}"' + (said if dpop else "")
    fields = [(b"www-authenticate", (proof if dpop else bearer).encode())]
    if nonce:
        fields.append((b"dpop-nonce", nonce.encode()))
    if not error:
        fields.append((b"www-authenticate", proof.encode()))
    await plain(send, 401, fields, **({"error": error} if error else {}))
