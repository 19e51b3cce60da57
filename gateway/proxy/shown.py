"""Whose token a call shows, and whether by who holds it: its key (RFC 9449 §7) or its certificate (RFC 8705 §3)."""

import time
from dataclasses import dataclass, replace
from functools import partial

from gateway.ground.http.client_certificates import called_at, client_certificate
from gateway.ground.http.guard import Scope
from gateway.ground.keys.dpop import NonceNeeded, Nonces, Proofs, Replays
from gateway.house import House
from gateway.proxy.tokens import Token, Tokens


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A valid token. `proof`: of its key, as others know it; it is good once."""

    token: Token
    proof: bytes | None = None


@dataclass(frozen=True, slots=True)
class NoToken:
    """There is none. `error`: of the challenge (RFC 6750 §3, RFC 9449 §7.1), "": nothing was shown."""

    error: str
    dpop: bool
    nonce: str = ""


class ShownTokens:
    def __init__(self, house: House) -> None:
        self._house = house
        self._tokens = Tokens(house.keys, house.settings.public_url)
        since = house.clock().timestamp() if house.store.alone else 0.0  # else others may know the proofs before
        nonces = Nonces(house.keys, "resource", house.settings.dpop_nonces)
        self._proofs = Proofs(house.settings.public_url, Replays(house.clock().timestamp(), since), nonces)
        self._beside = replace(self._proofs, public_url=house.settings.mtls_public_url)  # the port for certificates

    async def read(self, scope: Scope, now: float) -> ShownToken | NoToken:
        """`now`: epoch seconds. Raises Unavailable."""
        fields = dict(scope["headers"])  # each of these at most once: see guard
        scheme, _, shown = fields.get(b"authorization", b"").partition(b" ")
        scheme = scheme.lower()
        if scheme not in (b"bearer", b"dpop") or not shown:
            return NoToken("", dpop=False)
        token = self._tokens.read(shown, now)
        if token is None and self._tokens.may_be_of_new_key(shown):
            token = await self._read_again(shown, now)
        # A key-bound token without its proof is a stolen one; a proof beside an unbound token proves nothing.
        if token is None or (token.key is not None) != (scheme == b"dpop"):
            return NoToken("invalid_token", dpop=scheme == b"dpop")
        if token.certificate is not None:
            certificate = client_certificate(scope)
            if certificate is None or certificate.thumbprint != token.certificate:
                return NoToken("invalid_token", dpop=False)
        if token.key is None:
            return ShownToken(token)
        return self._proved(token, fields.get(b"dpop", b"").decode("latin-1"), scope, now)

    def _proved(self, token: Token, proof: str, scope: Scope, now: float) -> ShownToken | NoToken:
        proofs = self._proofs if called_at(self._house.settings, scope) == self._proofs.public_url else self._beside
        try:
            found = proofs.held(proof, token.key or "", token.ath, scope["method"], scope["path"], now)
        except NonceNeeded as needed:
            return NoToken("use_dpop_nonce", dpop=True, nonce=needed.nonce)
        return ShownToken(token, found) if found is not None else NoToken("invalid_dpop_proof", dpop=True)

    async def _read_again(self, shown: bytes, now: float) -> Token | None:
        """Once the keys have been read anew: another process may have signed with one that this one did not know."""
        since = time.monotonic()
        for _ in range(2):  # whoever shares a reading that began before needs the next one
            work = partial(self._house.keys.read_again, since)
            if await self._house.pools.share("keys", "", "token keys", work):
                break
        return self._tokens.read(shown, now)
