"""How surely and how lately she must have signed in for a type of data to be read (RFC 9470).

How surely is said by an `acr` (OpenID Connect Core §2), worked out from the methods of a sign-in (RFC 8176).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gateway.catalogue.words import FileTable

ONE_FACTOR, TWO_FACTORS = "urn:aval:acr:one-factor", "urn:aval:acr:two-factors"
ACRS = (ONE_FACTOR, TWO_FACTORS)  # weakest first
STRONG_METHODS = (frozenset(("otp",)), frozenset(("hwk", "user")))  # any of these sets makes it two factors
SHORTEST, LONGEST = 60, 366 * 24 * 3600  # seconds that a type of data may name
TOO_WEAK, TOO_OLD = "sign_in_too_weak", "sign_in_too_old"


def acr(methods: Collection[str]) -> str:
    """How surely it was the person who signed in by these methods."""
    strong = any(each <= set(methods) for each in STRONG_METHODS)
    return TWO_FACTORS if strong else ONE_FACTOR


def _rank(name: str) -> int:
    """-1: not known, so weaker than all that are."""
    return ACRS.index(name) if name in ACRS else -1


@dataclass(frozen=True, slots=True)
class SignInNeeded:
    acr: str = ""  # at least so surely; "": any sign-in will do
    max_age: int | None = None  # seconds since then; None: however long ago

    def lacks(self, acr: str, auth_time: int, at: float) -> str:
        """What a sign-in of `auth_time` (epoch seconds) lacks at the time `at`: TOO_WEAK, TOO_OLD; "": nothing."""
        if _rank(acr) < _rank(self.acr):
            return TOO_WEAK
        return TOO_OLD if self.max_age is not None and at - auth_time > self.max_age else ""


def strictest(needs: Iterable[SignInNeeded | None]) -> SignInNeeded | None:
    """What meets all of them; None: nothing is needed."""
    found = [need for need in needs if need is not None]
    if not found:
        return None
    ages = [need.max_age for need in found if need.max_age is not None]
    return SignInNeeded(max((need.acr for need in found), key=_rank), min(ages, default=None))


def sign_in_needed(row: FileTable) -> SignInNeeded | None:
    """The `acr` and `max_age` of a type of data; None: it has neither."""
    if not row.table.keys() & {"acr", "max_age"}:
        return None
    acr = row.one_of("acr", ACRS) if "acr" in row.table else ""
    return SignInNeeded(acr, row.whole("max_age", SHORTEST, LONGEST) if "max_age" in row.table else None)
