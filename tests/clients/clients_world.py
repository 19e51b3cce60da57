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
from app_keys import jwk_of, new_key, own_certificate, public, signed_certificate
from play import Stumble
from tls_front import tls_in_front
from typer.testing import CliRunner

from gateway.cli import app as cli
from gateway.cli import demo_setup
from gateway.cli.demo_setup import PASSWORD, Demo
from gateway.cli.demo_visitor import Visitor, WebPage
from gateway.settings import Settings
from tests.ports import free_port
from tests.proxy.certificates import Root
from tests.worlds import apps

ORGANISATION = "city-energy"
CUSTOMER = "CE-1001"
DATA = "/espi/1_1/resource/Batch/Subscription/mine"
FIELDS = ["interval.start", "interval.value"]
CALLBACK = "https://app.example/callback"  # nobody has to answer there: the robot stops in front of it

# Whether `aval serve` speaks TLS itself; until then tls_front.py stands in front of it.
OWN_TLS = "tls_certificate_file" in Settings.model_fields

NONCES = {"AVAL_DPOP_NONCES": "true"}  # so that clients have to ask once more (RFC 9449 §8)

# By name: what an app says of itself when it registers, in the words of RFC 7591 and its registry.
APPS: dict[str, dict[str, Any]] = {
    "public": {"token_endpoint_auth_method": "none"},
    "basic": {"token_endpoint_auth_method": "client_secret_basic"},
    "posted": {"token_endpoint_auth_method": "client_secret_post"},
    "signed": {"token_endpoint_auth_method": "private_key_jwt"},
    "signed-ps256": {"token_endpoint_auth_method": "private_key_jwt"},
    "signed-ed25519": {"token_endpoint_auth_method": "private_key_jwt"},
    "unpushed": {"token_endpoint_auth_method": "none", "require_pushed_authorization_requests": False},
}
ALGORITHMS = {"signed-ps256": "PS256", "signed-ed25519": "Ed25519"}


@dataclass
class Town(Demo):
    """The demo's processes; the gateway is reached through TLS, unless `tls_port` is 0."""

    tls_port: int = 0  # the gateway's own, or of what stands in front of it
    settings: dict[str, str] = field(default_factory=dict)  # of the gateway, beyond those of a demo

    def url(self, name: str) -> str:
        return f"https://localhost:{self.tls_port}" if name == "gateway" and self.tls_port else super().url(name)

    def environment(self) -> dict[str, str]:
        return super().environment() | self.settings


@dataclass(frozen=True)
class RegisteredApp:
    client_id: str
    method: str
    redirect_uri: str = CALLBACK
    secret: str | None = None
    key: Mapping[str, Any] | None = None  # a private JWK, with `alg`
    certificate: Mapping[str, str] = field(default_factory=dict)  # and its key, in PEM

    @property
    def jwks(self) -> dict[str, Any] | None:
        """What it registers of its keys."""
        if self.method == "self_signed_tls_client_auth":
            return {"keys": [jwk_of(self.certificate["certificate"])]}
        return {"keys": [public(self.key)]} if self.key else None

    def arguments(self) -> dict[str, Any]:
        """What a client library is configured with."""
        told = {"client_id": self.client_id, "method": self.method, "redirect_uri": self.redirect_uri}
        return (
            told
            | ({"secret": self.secret} if self.secret else {})
            | ({"key": self.key} if self.key else {})
            | self.certificate
        )


class World:
    """`tls=False`: on plain http, as `aval demo` is."""

    def __init__(self, folder: Path, tls: bool = True) -> None:
        self.folder = folder
        self.root = Root(folder / "certificates")
        self.trust = ssl.create_default_context(cafile=str(self.root.file))
        self.town = Town(**vars(demo_setup.prepare(folder / "town", 0)))
        self.mtls = ""  # where apps show certificates
        if tls:
            self.town.tls_port = self.town.ports["gateway"] if OWN_TLS else free_port()
            self.town.settings = NONCES | (self._own_tls() if OWN_TLS else {})
        self.apps: dict[str, RegisteredApp] = {}

    def _own_tls(self) -> dict[str, str]:
        certificate, key = self.root.gives("gateway")
        key.chmod(0o600)
        port = free_port()
        self.mtls = f"https://localhost:{port}"
        return {
            "AVAL_TLS_CERTIFICATE_FILE": str(certificate),
            "AVAL_TLS_KEY_FILE": str(key),
            "AVAL_MTLS_PORT": str(port),
            "AVAL_MTLS_PUBLIC_URL": self.mtls,
            "AVAL_MTLS_CA_FILE": str(self.root.file),
        }

    def _tells_commands(self) -> None:
        """`aval demo` leaves its address in its folder, and commands compare it with their settings."""
        (self.town.folder / "demo.lock").write_text(f"{self.gateway}\n\n")

    def _front(self) -> contextlib.AbstractContextManager[None]:
        """What ends TLS, where the gateway does not itself."""
        if self.town.tls_port in (0, self.town.ports["gateway"]):
            return contextlib.nullcontext()
        return tls_in_front(self.town.tls_port, self.town.ports["gateway"], self.root.gives("gateway"))

    @contextlib.contextmanager
    def serving(self) -> Iterator["World"]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._front())
            stack.callback(demo_setup.stop, self.town)
            self._tells_commands()
            self._start()
            yield self

    def _start(self) -> None:
        town = self.town
        with warnings.catch_warnings():  # each process's log file is left for the garbage collector to close
            warnings.simplefilter("ignore", ResourceWarning)
            command, environment = demo_setup._command(town, ORGANISATION), demo_setup._environment(town, ORGANISATION)
            demo_setup._launch(town, ORGANISATION, command, environment)
            addresses = json.dumps({name: town.url(name) for name in demo_setup.PORTS})
            self.aval("demo-prepare", "--dir", str(town.folder), "--urls", addresses)
            self.register(APPS)
            demo_setup._launch(town, "gateway", [sys.executable, "-m", "gateway", "serve"], town.environment())
        for name in ("gateway", ORGANISATION):
            demo_setup._await_ready(town, name)

    @property
    def gateway(self) -> str:
        return self.town.url("gateway")

    @property
    def mtls_data(self) -> str:
        """The address of the data for who shows a certificate."""
        return f"{self.mtls or self.gateway}/data/{ORGANISATION}{DATA}"

    def aval(self, *arguments: str) -> str:
        """What that command has printed: run in this process, since each start of Python takes longer than the work.
        Raises Stumble when it does not end well."""
        done = CliRunner().invoke(cli, arguments, env=self.town.environment(), prog_name="aval")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        if done.exit_code:
            raise Stumble(f"aval {' '.join(arguments[:2])}", done.stderr, [])
        return done.stdout

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
        made = {name: new_app(self.root, name, metadata) for name, metadata in wanted.items()}
        files = [str(self._declared(name, metadata, made[name])) for name, metadata in wanted.items()]
        told = self.aval("apps", "add", *files)
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
        if made.jwks:
            wanted["jwks"] = made.jwks
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
        page = self._confirmed(self.visitor.get(self._waiting() if address.startswith("inbox:") else address))
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

    def _waiting(self) -> str:
        """Where the request is that waits in her inbox."""
        page = self.visitor.get(f"{self.world.gateway}/sharings")
        found = re.findall(r'href="(/requests/[^"]+)"', page.body)
        if not found:
            raise Stumble("her inbox", f"no request waits: {page.text[:500]}", [])
        return self.world.gateway + found[0]

    def _confirmed(self, page: WebPage) -> WebPage:
        """Of a device (RFC 8628 §3.3.1): it is her own, whose code she sees."""
        for form in page.forms:
            if "user_code" in form.fields:
                return self.visitor.submit(page, form)
        return page

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


def new_app(root: Root, name: str, metadata: Mapping[str, Any]) -> RegisteredApp:
    """With all that its method of client authentication needs."""
    method = str(metadata.get("token_endpoint_auth_method", "none"))
    redirect_uri = next(iter(metadata.get("redirect_uris", [])), CALLBACK)
    app = RegisteredApp(name, method, redirect_uri)
    if method == "private_key_jwt":
        return replace(app, key=new_key(ALGORITHMS.get(name, "ES256")))
    if method == "tls_client_auth":
        return replace(app, certificate=signed_certificate(root, name))
    if method == "self_signed_tls_client_auth":
        return replace(app, certificate=own_certificate(name))
    return app


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
