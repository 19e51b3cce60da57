"""A whole gateway behind TLS, with City Energy, the apps of the tests, and Alice, who signs in and agrees by forms.

The gateway and City Energy are processes, as `aval demo` starts them; apps are registered with `aval apps add`. An app
is known to its client by what a developer has of it: client_id, secret or key, redirect address.
"""

import contextlib
import json
import re
import ssl
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from play import Stumble
from tls_front import tls_in_front

from gateway.cli import demo_setup
from gateway.cli.demo_setup import PASSWORD, Demo
from gateway.cli.demo_visitor import Visitor, WebPage
from tests.ports import free_port
from tests.proxy.certificates import Root
from tests.worlds import apps

ORGANISATION = "city-energy"
CUSTOMER = "CE-1001"
DATA = "/espi/1_1/resource/Batch/Subscription/mine"
FIELDS = ["interval.start", "interval.value"]
CALLBACK = "https://app.example/callback"  # nobody has to answer there: the robot stops in front of it

# By name: what an app says of itself when it registers, in the words of RFC 7591 and its registry.
APPS: dict[str, dict[str, Any]] = {
    "public": {"token_endpoint_auth_method": "none"},
    "basic": {"token_endpoint_auth_method": "client_secret_basic"},
    "signed": {"token_endpoint_auth_method": "private_key_jwt"},
    "signed-ps256": {"token_endpoint_auth_method": "private_key_jwt"},
    "signed-ed25519": {"token_endpoint_auth_method": "private_key_jwt"},
    "unpushed": {"token_endpoint_auth_method": "none", "require_pushed_authorization_requests": False},
}
ALGORITHMS = {"signed-ps256": "PS256", "signed-ed25519": "Ed25519"}


@dataclass
class Town(Demo):
    """The demo's processes; the gateway is reached through TLS, if there is a port for that."""

    tls_port: int = 0

    def url(self, name: str) -> str:
        return f"https://localhost:{self.tls_port}" if name == "gateway" and self.tls_port else super().url(name)


@dataclass(frozen=True)
class RegisteredApp:
    client_id: str
    method: str
    redirect_uri: str = CALLBACK
    secret: str | None = None
    key: Mapping[str, Any] | None = None  # a private JWK, with `alg`

    @property
    def public_key(self) -> dict[str, Any]:
        key = self.key or {}
        return {name: key[name] for name in ("kty", "crv", "x", "y", "n", "e", "kid", "alg") if name in key}

    def arguments(self) -> dict[str, Any]:
        """What a client library is configured with."""
        told = {"client_id": self.client_id, "method": self.method, "redirect_uri": self.redirect_uri}
        return told | ({"secret": self.secret} if self.secret else {}) | ({"key": self.key} if self.key else {})


class World:
    """`tls=False`: on plain http, as `aval demo` is."""

    def __init__(self, folder: Path, tls: bool = True) -> None:
        self.folder = folder
        self.root = Root(folder / "certificates")
        self.trust = ssl.create_default_context(cafile=str(self.root.file))
        self.town = Town(**vars(demo_setup.prepare(folder / "town", 0)), tls_port=free_port() if tls else 0)
        self.apps: dict[str, RegisteredApp] = {}

    @contextlib.contextmanager
    def serving(self) -> Iterator["World"]:
        with contextlib.ExitStack() as stack:
            if self.town.tls_port:
                certificate = self.root.gives("gateway")
                stack.enter_context(tls_in_front(self.town.tls_port, self.town.ports["gateway"], certificate))
            stack.callback(demo_setup.stop, self.town)
            self._start()
            yield self

    def _start(self) -> None:
        town = self.town
        demo_setup._prepare_gateway(town)
        self.register(APPS)
        with warnings.catch_warnings():  # each process's log file is left for the garbage collector to close
            warnings.simplefilter("ignore", ResourceWarning)
            demo_setup._launch(town, "gateway", [sys.executable, "-m", "gateway", "serve"], town.environment())
            command, environment = demo_setup._command(town, ORGANISATION), demo_setup._environment(town, ORGANISATION)
            demo_setup._launch(town, ORGANISATION, command, environment)
        for name in ("gateway", ORGANISATION):
            demo_setup._await_ready(town, name)

    @property
    def gateway(self) -> str:
        return self.town.url("gateway")

    # ---- apps

    def app(self, name: str, **metadata: Any) -> RegisteredApp:
        """The app of that name, registered now if it is new. Raises Stumble when the gateway does not take it."""
        if name not in self.apps:
            self.register({name: metadata})
        return self.apps[name]

    def imposter(self, name: str) -> RegisteredApp:
        """Mallory, who calls herself by the name of that app."""
        real = self.apps[name]
        key = {**new_key(str(real.key["alg"])), "kid": real.key["kid"]} if real.key else None
        return replace(real, secret=real.secret and "a guess", key=key)

    def register(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """With one `aval apps add` for all."""
        made = {name: _app(name, metadata) for name, metadata in wanted.items()}
        files = [str(self._declared(name, metadata, made[name])) for name, metadata in wanted.items()]
        try:
            told = demo_setup.aval(self.town, "apps", "add", *files)
        except RuntimeError as refused:
            raise Stumble("registration", str(refused), [{"registered": dict(wanted)}]) from None
        for name, secret in re.findall(r"^([a-z0-9-]+): .*(?:\n  client_secret: (\S+))?", told, re.MULTILINE):
            self.apps[name] = replace(made[name], secret=secret or None)

    def _declared(self, name: str, metadata: Mapping[str, Any], made: RegisteredApp) -> Path:
        data = {
            "organisation": ORGANISATION,
            "dataset": "energy.electricity.usage",
            "fields": FIELDS,
            "necessity": "required",
            "reason": {"fr": "Pour voir quand vous consommez.", "en": "To see when you use electricity."},
        }
        wanted = {"redirect_uris": [made.redirect_uri], "purposes": ["energy-advice"], "data": [data], **metadata}
        if made.key and "jwks" not in wanted:
            wanted["jwks"] = {"keys": [made.public_key]}
        path = self.folder / f"{name}.toml"
        lines = [f"{key} = {_toml(value)}" for key, value in apps.declaration(name, **wanted).items()]
        path.write_text("\n".join(lines) + "\n")
        return path

    def asked(self, **changes: Any) -> list[dict[str, Any]]:
        """The `authorization_details` of a good request."""
        return [
            {
                "type": "data_access",
                "locations": [f"{self.gateway}/data/{ORGANISATION}"],
                "datatypes": ["energy.electricity.usage"],
                "actions": ["read"],
                "purpose": "energy-advice",
                "fields": FIELDS,
                "period": {"history": "P12M", "future": True},
                "frequency": {"times": 24, "per": "day"},
                "valid_for": "P6M",
                "retention": "P1M",
                **changes,
            }
        ]

    def arguments(self, app: RegisteredApp, **more: Any) -> dict[str, Any]:
        """What a flow is told on its standard input."""
        return {
            "issuer": self.gateway,
            "app": app.arguments(),
            "details": self.asked(),
            "data": f"{self.gateway}/data/{ORGANISATION}{DATA}",
            "resource": f"{self.gateway}/data/{ORGANISATION}",
            **more,
        }

    # ---- people

    def person(self) -> "Robot":
        """Alice of the demo, signed in and linked at City Energy."""
        robot = Robot(self)
        robot.signs_in()
        robot.links()
        return robot


@dataclass
class Robot:
    """A person with a browser that has no JavaScript. She agrees to what she is asked, unless told otherwise."""

    world: World
    email: str = "alice@example.org"
    decision: str = "allow"
    seen: list[str] = field(default_factory=list)  # the text of every consent screen

    def __post_init__(self) -> None:
        self.visitor = Visitor(self.world.gateway, self.world.town.url(ORGANISATION))
        self.visitor._client.close()
        self.visitor._client = httpx2.Client(timeout=30, follow_redirects=False, verify=self.world.trust)

    def signs_in(self) -> None:
        page = self.visitor.get(f"{self.world.gateway}/sign-in")
        page = self.visitor.submit(page, page.form("/sign-in"), email=self.email, password=PASSWORD)
        assert page.status == 200 and "Alice" in page.text, page.text

    def links(self) -> None:
        start = f"/organisations/{ORGANISATION}/link"
        page = self.visitor.get(self.world.gateway + start)
        page = self.visitor.submit(page, page.form(start))
        page = self.visitor.submit(page, page.forms[0], customer_number=CUSTOMER, password=PASSWORD)
        page = self.visitor.submit(page, page.forms[0], press="yes")
        assert page.status == 200 and page.url.startswith(self.world.gateway), page.text

    def cookies(self) -> list[dict[str, Any]]:
        """Her sign-in, for a browser with a window."""
        jar = self.visitor._cookies[self.world.gateway]
        own = {"url": self.world.gateway, "secure": True, "httpOnly": True}
        return [{"name": name, "value": value, **own} for name, value in jar.items() if value]

    def visits(self, address: str) -> str:
        """Open what an app sends her to, answer, and say at which address her browser ends."""
        page = self.visitor.get(address)
        if "/authorize/continue" in page.body:  # agreed to the same before: she wants to see the whole screen
            page = self.visitor.get(page.url + "&change=1")
        if page.status == 0:  # sent back to the app at once
            return page.url
        page = self._decides(page)
        if page.status != 0 and page.status != 200:
            raise Stumble("her browser", f"{page.status} at {urlsplit(page.url).path}: {page.text[:500]}", [])
        return page.url

    def mixed_up(self, parameter: str, value: str) -> Callable[[str], str]:
        """`visits`, with Mallory on the way back: she puts another value in the place of one; "": none."""

        def visits(address: str) -> str:
            back = urlsplit(self.visits(address))
            query = dict(parse_qsl(back.query))
            assert query["iss"] == self.world.gateway and query["state"]
            changed = {name: each for name, each in (query | {parameter: value}).items() if each}
            return urlunsplit(back._replace(query=urlencode(changed)))

        return visits

    def _decides(self, page: WebPage) -> WebPage:
        try:
            form = page.form("/consent/")
        except LookupError as missing:
            raise Stumble("her browser", f"{missing}: {page.text[:500]}", [{"opened": page.url}]) from None
        self.seen.append(page.text)
        chosen = {name: values[:1] for name, values in form.offered.items() if name.startswith("accounts:")}
        return self.visitor.submit(page, form, press=self.decision, **chosen)

    def stops(self, consent: str) -> None:
        """*Data sharing*, *Stop sharing*, and the button."""
        place = f"/sharings/{consent}/stop"
        page = self.visitor.get(self.world.gateway + place)
        page = self.visitor.submit(page, page.form(place))
        assert page.url.endswith("/stopped"), page.text


# ---- registrations as a developer writes them


def _app(name: str, metadata: Mapping[str, Any]) -> RegisteredApp:
    method = str(metadata.get("token_endpoint_auth_method", "none"))
    signs = method == "private_key_jwt" or metadata.get("require_signed_request_object")
    key = new_key(ALGORITHMS.get(name, "ES256")) if signs else None
    return RegisteredApp(name, method, str(metadata.get("redirect_uris", [CALLBACK])[0]), key=key)


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK."""
    if algorithm == "PS256":
        made: Any = RSAKey.import_key(_pem(rsa.generate_private_key(65537, 2048)))
    elif algorithm == "Ed25519":
        made = OKPKey.import_key(_pem(ed25519.Ed25519PrivateKey.generate()))
    else:
        made = ECKey.import_key(_pem(ec.generate_private_key(ec.SECP256R1())))
    return {**made.as_dict(private=True), "kid": "one", "alg": algorithm}


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    return bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
