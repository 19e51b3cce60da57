"""One call of an endpoint, on its way through the endpoint's steps.

A step reads what the steps before it have found, adds what it finds itself, and returns None; or it returns the answer,
or raises Refused. The tables of endpoints.py say which steps a call takes, in which order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from gateway.apps.registration import Registration, registration
from gateway.apps.tables import App
from gateway.authorization.binding import UNBOUND, Binding
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.facts import Facts
from gateway.consent.tables import Consent
from gateway.ground.web.context import Context

if TYPE_CHECKING:
    from gateway.authorization.families import GrantedFamily
    from gateway.authorization.protocol import Protocol
    from gateway.authorization.requests import Checked


@dataclass
class EndpointCall:
    ctx: Context
    endpoint: str  # as used in `Parameter.endpoints`
    protocol: "Protocol"
    facts: Facts
    form: Mapping[str, str] = field(default_factory=dict)  # the parameters of the call that the endpoint knows
    sent: Mapping[str, str] = field(default_factory=dict)  # of an authorization request: the form, or its signed object
    signed: bool = False  # `sent` is a signed object
    binding: Binding = UNBOUND  # what the caller has proved to hold
    checked: "Checked | None" = None  # the authorization request, valid
    row: AuthorizationRequest | None = None  # … as it was kept
    person: str = ""  # id of the person for whom a request is that comes without her
    claims: Mapping[str, Any] = field(default_factory=dict)  # of the access token of the call
    _grant: Consent | None = None
    granted: "GrantedFamily | None" = None  # what the access token of the call stands on
    _app: App | None = None
    _client: Registration | None = None

    @property
    def app(self) -> App:
        """The client's row. Only after the step that finds the client."""
        if self._app is None:
            self._app = self.ctx.session.get_one(App, self.client.client_id)
        return self._app

    @app.setter
    def app(self, app: App) -> None:
        self._app, self._client = app, registration(app)

    @property
    def grant(self) -> Consent:
        """What was granted. Only after the step that finds it."""
        if self._grant is None:
            raise RuntimeError("no step has found the grant")
        return self._grant

    @grant.setter
    def grant(self, grant: Consent) -> None:
        self._grant = grant

    @property
    def client(self) -> Registration:
        """The client, as it is registered. Only after the step that finds it."""
        if self._client is None:
            raise RuntimeError("no step has found the client")
        return self._client

    @client.setter
    def client(self, client: Registration) -> None:
        self._client = client


EndpointStep = Callable[[EndpointCall], Response | None]
