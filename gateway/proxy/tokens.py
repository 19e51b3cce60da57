"""Access tokens (RFC 9068) as the data plane reads them: verified once, then known by their SHA-256 until they expire.

A token says which consent to look at, never what is in it: what may be read is the consent
as it is now. So a token can be held in memory without holding a permission.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from gateway.keys import KeyRing
from gateway.proxy import jose

LIMIT = 16 * 1024  # characters
HELD = 20_000  # tokens known at once: some 10 MB
EARLY_SECONDS = 10  # that another machine's clock may run ahead


@dataclass(frozen=True, slots=True)
class Token:
    consent: str
    family: str
    client: str
    organisations: frozenset[str]  # of its audience
    key: str | None  # thumbprint of the key it is bound to (cnf.jkt)
    expires: int  # epoch seconds
    digest: str  # hex SHA-256, first half: names the token in the log
    ath: str  # base64url SHA-256: how a proof names it (RFC 9449 §4.2)


class Tokens:
    def __init__(self, keys: KeyRing, public_url: str) -> None:
        self._keys = keys
        self._issuer = public_url
        self._audience = f"{public_url}/data/"
        self._known: OrderedDict[bytes, Token] = OrderedDict()

    def read(self, shown: bytes, now: float) -> Token | None:
        """The token if it is ours and unexpired at `now` (epoch seconds); None for any other."""
        digest = hashlib.sha256(shown).digest()
        token = self._known.get(digest)
        if token is None:
            try:
                token = self._verified(shown.decode("latin-1"), digest, now)
            except jose.Malformed:
                return None
            self._known[digest] = token
            if len(self._known) > HELD:
                self._known.popitem(last=False)
        if now >= token.expires:
            self._known.pop(digest, None)
            return None
        return token

    def _verified(self, text: str, digest: bytes, now: float) -> Token:
        if len(text) > LIMIT:
            raise jose.Malformed("length")
        # 1. its form
        head, body, signature = jose.split(text)
        header = jose.json_object(head)
        # 2. made by one of our own keys: `jku`, `jwk`, `x5u` in it are never looked at, `crit` is not understood
        typ, kid = header.get("typ"), header.get("kid")
        is_ours = isinstance(typ, str) and typ.lower().removeprefix("application/") == "at+jwt"
        if not is_ours or header.get("alg") != "ES256" or "crit" in header or not isinstance(kid, str):
            raise jose.Malformed("header")
        key = self._keys.public_key(kid)
        if key is None:
            raise jose.Malformed("unknown key")
        jose.verify(key, f"{head}.{body}".encode(), signature)
        # 3. made for here and now
        claims = jose.json_object(body)
        expires = jose.whole_number(claims, "exp")
        if claims.get("iss") != self._issuer or now >= expires:
            raise jose.Malformed("issuer or time")
        if jose.whole_number(claims, "iat") > now + EARLY_SECONDS:
            raise jose.Malformed("made later than now")
        return Token(
            consent=_text(claims, "grant_id"),
            family=_text(claims, "fam"),
            client=_text(claims, "client_id"),
            organisations=self._organisations(claims.get("aud")),
            key=_bound_key(claims.get("cnf")),
            expires=expires,
            digest=digest.hex()[:32],
            ath=jose.encoded(digest),
        )

    def _organisations(self, audience: object) -> frozenset[str]:
        listed = audience if isinstance(audience, list) else [audience]
        ours = [one[len(self._audience) :] for one in listed if isinstance(one, str) and one.startswith(self._audience)]
        if not ours:
            raise jose.Malformed("audience")
        return frozenset(ours)


def _text(claims: dict[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise jose.Malformed(name)
    return value


def _bound_key(confirmation: object) -> str | None:
    """RFC 9449 §6.1. A binding of another kind cannot be checked here, so such a token opens nothing."""
    if confirmation is None:
        return None
    if isinstance(confirmation, dict) and confirmation.keys() == {"jkt"} and isinstance(confirmation["jkt"], str):
        return confirmation["jkt"]
    raise jose.Malformed("cnf")
