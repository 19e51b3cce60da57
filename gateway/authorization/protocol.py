"""What this server offers: its endpoints and grants. The composition root lists them, and everything follows from it.

An endpoint of apps gets its door, the token endpoint takes the grants, and the metadata says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.ground.web.context import Context

ANYONE = ("none", "client_secret_basic", "private_key_jwt")
PROVEN = ("client_secret_basic", "private_key_jwt")


Handler = Callable[["Protocol", Context], Response]


@dataclass(frozen=True, slots=True)
class GrantKind:
    """A way to a token, as Authlib takes it."""

    kind: Any  # an Authlib grant; its GRANT_TYPE is the name
    extensions: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    name: str  # by which parameters say where they are known
    path: str
    member: str  # of the metadata
    handler: Handler | None = None  # None: its doors stand elsewhere
    methods: tuple[str, ...] = ()  # by which apps authenticate here, as far as the metadata has a word for it


@dataclass(frozen=True, slots=True)
class Protocol:
    endpoints: tuple[Endpoint, ...]
    grants: tuple[GrantKind, ...]
