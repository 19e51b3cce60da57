"""What this server offers: its endpoints and grants, as listed by the composition root.

From that list follow the doors of the endpoints, the grants that the token endpoint accepts, and the metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from gateway.authorization.calls import EndpointStep
from gateway.authorization.rules import Refused
from gateway.ground.ops.logs import logger
from gateway.ground.web import answers
from gateway.ground.web.context import Context


@dataclass(frozen=True, slots=True)
class GrantKind:
    """A way to get a token, in Authlib's terms."""

    kind: Any  # an Authlib grant; its GRANT_TYPE is the name
    extensions: tuple[Any, ...] = ()
    registered: bool = True  # a client must have registered for it


@dataclass(frozen=True, slots=True)
class Endpoint:
    name: str  # as used in `Parameter.endpoints`
    path: str
    member: str  # of the metadata that gives its address, "": none does
    does: str  # in one sentence
    steps: tuple[EndpointStep, ...] = ()  # (): its doors are made elsewhere
    methods: tuple[str, ...] = ()  # of client authentication, if the metadata has a member for them
    verbs: tuple[str, ...] = ("POST",)
    says: Mapping[str, Any] = field(default_factory=dict)  # further members of the metadata
    browsers: bool = False  # apps that run in a browser may call it (CORS)
    gives: bool = False  # see `ground.web.doors.Door`

    @property
    def address(self) -> str:
        """The path up to its first variable part, as the metadata gives it."""
        return self.path.partition("/{")[0]


@dataclass(frozen=True, slots=True)
class Protocol:
    endpoints: tuple[Endpoint, ...]
    grants: tuple[GrantKind, ...]


def refusal(ctx: Context, refused: Refused) -> Response:
    """The answer to an app that is refused."""
    note(ctx, refused)
    return answers.oauth_error(refused.status, refused.error, refused.description, refused.headers, **refused.members)


def note(ctx: Context, refused: Refused) -> None:
    """Write into the operator's log why an app was refused: fixed words only, nothing that the caller sent."""
    members = {name: refused.members[name] for name in ("reason", "term") if refused.members.get(name)}
    logger().info("refused", path=ctx.request.url.path, error=refused.error, why=refused.description, **members)
