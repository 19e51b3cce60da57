"""Access tokens (RFC 9068) as the data plane reads them.

A token says which consent to look at, never what is in it: what may be read is the consent
as it is now. So a token can be held in memory without holding a permission.
"""

from dataclasses import dataclass

from gateway.consent import lesser
from gateway.consent.lesser import Portions
from gateway.ground.keys import KeyRing, access, jose
from gateway.ground.keys.known import KnownTokens

HELD = 20_000  # tokens known at once: some 10 MB


@dataclass(frozen=True, slots=True)
class Token:
    consent: str
    family: str
    client: str  # whose grant it is
    organisations: frozenset[str]  # of its audience
    key: str | None  # thumbprint of the key it is bound to (cnf.jkt)
    certificate: str | None  # … or of the certificate (cnf.x5t#S256)
    expires: int  # epoch seconds
    digest: str  # hex SHA-256, first half: names the token in the log
    ath: str  # base64url SHA-256: how a proof names it (RFC 9449 §4.2)
    scope: str = ""
    parts: Portions | None = None  # what alone it carries of what was agreed; None: all of it
    acr: str = ""  # how surely she had signed in; "": not said
    auth_time: int = 0  # … and when, epoch seconds
    acting: str = ""  # who uses it in the client's place, as `access.acting` says; "": nobody, it was not exchanged


class Tokens:
    def __init__(self, keys: KeyRing, public_url: str) -> None:
        self._keys = keys
        self._issuer = public_url
        self._known: KnownTokens[Token] = KnownTokens(keys, HELD, self._verified)

    def read(self, shown: bytes, now: float) -> Token | None:
        """The token if it is ours and unexpired at `now` (epoch seconds); None for any other. Raises Unavailable while
        it is not known which keys have ended."""
        return self._known.read(shown, now)

    def may_be_of_new_key(self, shown: bytes) -> bool:
        """Of one that was not read: whether that may be because this process does not know its key yet."""
        return access.may_be_of_new_key(shown.decode("latin-1"), self._keys)

    def _verified(self, text: str, digest: bytes, now: float) -> tuple[Token, int]:
        claims = access.read(text, self._keys, self._issuer, now, waits=False)
        if now >= claims["exp"]:
            raise jose.Malformed("expired")
        bound = claims.get("cnf") or {}
        client, acting = access.acting(claims)
        try:
            said = claims.get("authorization_details")
            parts = None if said is None else lesser.read(said, self._issuer)
        except ValueError:
            raise jose.Malformed("authorization_details") from None
        token = Token(
            consent=claims["grant_id"],
            family=claims["fam"],
            client=client,
            organisations=access.organisations(claims, self._issuer),
            key=bound.get("jkt"),
            certificate=bound.get("x5t#S256"),
            expires=claims["exp"],
            digest=digest.hex()[:32],
            ath=jose.encoded(digest),
            parts=parts,
            scope=str(claims.get("scope", "")),
            acr=str(claims.get("acr", "")),
            auth_time=jose.whole_number(claims, "auth_time") if "auth_time" in claims else 0,
            acting=acting,
        )
        return token, token.expires
