"""The gateway as one of those who hold data: of each person it knows what stands in her account here.

What an app learns of that (OpenID Connect's claims) is asked for, agreed to, listed and stopped like any other data. It
is no organisation that somebody has declared: nobody links an account there, and it is given at /userinfo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.catalogue import Dataset, Scope, Words
from gateway.catalogue.datasets import ACCOUNT

ITSELF = "@self"  # in the place of an organisation's id, none of which begins so
USERINFO = "/userinfo"
SIGN_IN = "identity.sign-in"  # goes with every purpose: the app knows this identifier from its access token anyhow
SIGN_IN_PURPOSE = "sign-in"


@dataclass(frozen=True, slots=True)
class Itself:
    """Satisfies consent.facts.OrganisationFacts. It has the operator's name."""

    legal_entity: str
    zone: str
    datasets: tuple[str, ...]
    id: str = ITSELF
    active: bool = True
    own: Mapping[str, Dataset] = field(default_factory=dict)
    scopes: Mapping[str, Scope] = field(default_factory=dict)

    @property
    def name(self) -> Words:
        return {"fr": self.legal_entity, "en": self.legal_entity}


def itself(operator: str, zone: str, catalogue: Mapping[str, Dataset]) -> Itself:
    """`catalogue`: the types of data of the policies, by id."""
    return Itself(operator, zone, tuple(name for name, data in catalogue.items() if data.format == ACCOUNT))


def location(public_url: str, organisation: str) -> str:
    """Where the data of an organisation is read, as `locations` and audiences name it."""
    return public_url + USERINFO if organisation == ITSELF else f"{public_url}/data/{organisation}"
