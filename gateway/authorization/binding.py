"""What a token is bound to: a key that its holder proves with each call (RFC 9449), or a TLS certificate (RFC 8705 §3).

Once used, a proof is kept in the database until it would have expired, so that it is good once in all processes, and
also after a restart.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from gateway.apps.registration import Registration
from gateway.authorization.rules import Refused
from gateway.authorization.spending import first_use
from gateway.ground.http.client_certificates import called_at, client_certificate
from gateway.ground.keys.dpop import WINDOW_SECONDS, NonceNeeded, Nonces, Proofs, Replays
from gateway.ground.keys.jose import encoded
from gateway.ground.web.context import Context


@dataclass(frozen=True, slots=True)
class Binding:
    """At most one of the two."""

    jkt: str = ""  # RFC 7638 thumbprint of the key that signed the proof
    x5t: str = ""  # base64url SHA-256 of the certificate (x5t#S256)

    @property
    def confirmation(self) -> Mapping[str, str] | None:
        """The claim `cnf` of a token that is bound so (RFC 9449 §6.1, RFC 8705 §3.1); None: who has it may use it."""
        if self.jkt:
            return {"jkt": self.jkt}
        return {"x5t#S256": self.x5t} if self.x5t else None

    @property
    def token_type(self) -> str:
        return "DPoP" if self.jkt else "Bearer"

    @property
    def holder(self) -> str:
        """By what who holds it is known again at the next refresh (RFC 9449 §5, RFC 8705 §4); "": it is bound to
        nothing."""
        return self.jkt or (f"x5t#S256:{self.x5t}" if self.x5t else "")


UNBOUND = Binding()


def shown(ctx: Context, client: Registration, *, spends: bool = True) -> Binding:
    """What this call proves to hold. Raises Refused for a proof that is not good (RFC 9449 §5). `spends`: with False it
    is not kept, for a call that gives nothing."""
    proofs = ctx.request.headers.getlist("dpop")
    certificate = client_certificate(ctx.request)
    if client.certificate_bound and certificate is not None:
        return Binding(x5t=certificate.thumbprint)
    if not proofs:
        return UNBOUND
    if len(proofs) > 1:
        raise Refused("invalid_dpop_proof", "One DPoP header, please.")
    house, now = ctx.house, ctx.now.timestamp()
    nonces = Nonces(house.keys, "authorization", house.settings.dpop_nonces)
    reader = Proofs(called_at(house.settings, ctx.request), Replays(now, 0), nonces)
    try:
        proved = reader.proved(proofs[0], ctx.request.method, ctx.request.url.path, now)
    except NonceNeeded as needed:
        raise Refused("use_dpop_nonce", headers={"DPoP-Nonce": needed.nonce}) from None
    if proved is None or (spends and not _unused(ctx.session, proved.id, ctx.now)):
        raise Refused("invalid_dpop_proof")
    return Binding(jkt=proved.thumbprint)


def _unused(session: Session, proof: bytes, now: datetime) -> bool:
    return first_use(session, f"dpop\n{proof.hex()}", now + timedelta(seconds=2 * WINDOW_SECONDS), now)


def shows(ctx: Context, token: str, confirmation: Mapping[str, str] | None) -> bool:
    """Whether the caller of a resource of ours holds what its access token is bound to (RFC 9449 §7, RFC 8705 §3).

    Raises NonceNeeded.
    """
    proofs = ctx.request.headers.getlist("dpop")
    if confirmation is None:
        return True
    if "x5t#S256" in confirmation:
        certificate = client_certificate(ctx.request)
        return certificate is not None and certificate.thumbprint == confirmation["x5t#S256"]
    if len(proofs) != 1:
        return False
    house, now = ctx.house, ctx.now.timestamp()
    nonces = Nonces(house.keys, "resource", house.settings.dpop_nonces)
    reader = Proofs(called_at(house.settings, ctx.request), Replays(now, 0), nonces)
    ath = encoded(hashlib.sha256(token.encode()).digest())
    method, path = ctx.request.method, ctx.request.url.path
    known = reader.held(proofs[0], confirmation["jkt"], ath, method, path, now)
    return known is not None and _unused(ctx.session, known, ctx.now)


def check_enough(binding: Binding, client: Registration) -> None:
    """Refuse a token to a client that is to have bound ones and has proved nothing (RFC 9449 §5.2, RFC 8705 §3.4)."""
    if client.dpop_bound and not binding.jkt:
        raise Refused("invalid_dpop_proof", "This client's tokens are bound by DPoP: send a proof.")
    if client.certificate_bound and not binding.x5t:
        raise Refused("invalid_request", "This client's tokens are bound to its certificate: call with it.")
