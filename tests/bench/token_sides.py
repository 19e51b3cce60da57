"""The servers that ONLY=tokens compares: Aval, oidc-provider in memory, django-oauth-toolkit. Each on the first core.

Each knows one confidential client, by a secret, and people who are signed in. What is asked of all of them is the same;
a `Side` says at which addresses and with which words.
"""

import base64
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.processes import SERVER_CORE, Group, python
from tests.ports import free_port
from tests.worlds import served
from tests.worlds.served import CALLBACK, CHALLENGE, VERIFIER, Fill, Http, Town

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "clients" / "node"  # its lock names no host; `make clients` installs it
DJANGO_LOCK = Path(__file__).with_name("django.lock")
DJANGO = Path(__file__).with_name("django_oauth.py")
CLIENT = "worker"
PEOPLE = 40
INSTALL_SECONDS = 300


class NotRight(Exception):
    """A server does not answer what it has to. Says which."""


@dataclass
class Side:
    name: str
    home: str
    pid: int
    port: int
    basic: str  # the Authorization header of its client
    fill: Callable[[int], Fill]  # of the person of this number: what she sends on which page
    cookies: Sequence[str]  # of people who are signed in; "": she signs in with the first flow
    request: Mapping[str, str]  # of an authorization request, beyond the client and PKCE
    itself: Mapping[str, str]  # of a token request for the client itself
    asked: Mapping[str, str] = field(default_factory=dict)  # the same for a token that can be introspected
    par: str = ""  # "": requests are not pushed
    authorize: str = "/authorize"
    token: str = "/token"
    introspect: str = "/introspect"
    basic_itself: str = ""  # where another client asks for itself

    def http(self, person: int | None = None) -> Http:
        return Http(self.port, self.home, "" if person is None else self.cookies[person])

    # ---- what is asked of each

    def client_token(self, http: Http, opaque: bool = False) -> str:
        """A token for the client itself (RFC 6749 §4.4)."""
        form = {"grant_type": "client_credentials", **(self.asked if opaque else self.itself)}
        return str(self._asked(http, self.token, form, self.basic_itself)["access_token"])

    def is_active(self, http: Http, token: str) -> None:
        """RFC 7662."""
        if self._asked(http, self.introspect, {"token": token})["active"] is not True:
            raise NotRight(f"{self.name}: a token that it gave is not active")

    def refreshed(self, http: Http, token: str) -> None:
        self._asked(http, self.token, {"grant_type": "refresh_token", "refresh_token": token})

    def flow(self, app: Http, browser: Http, person: int) -> dict[str, str]:
        """From the request to tokens, by a person who is signed in, is shown what is asked for, and agrees."""
        asked = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **self.request,
        }
        if self.par:
            pushed = self._asked(app, self.par, asked, status=201)
            asked = {"client_id": self._client_id, "request_uri": pushed["request_uri"]}
        told = served.walk(browser, f"{self.authorize}?{urlencode(asked)}", self.fill(person))
        if "code" not in told:
            raise NotRight(f"{self.name}: {told}")
        form = {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return self._asked(app, self.token, form)

    @property
    def _client_id(self) -> str:
        return base64.b64decode(self.basic.removeprefix("Basic ")).decode().partition(":")[0]

    def _asked(
        self, http: Http, path: str, form: Mapping[str, str], basic: str = "", status: int = 200
    ) -> dict[str, str]:
        answer = http.post(path, form, authorization=basic or self.basic)
        if answer.status != status:
            raise NotRight(f"{self.name}, {path}: {answer.status} {answer.text[:500]}")
        found: dict[str, str] = answer.json()
        return found


def _basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


# ---- Aval


def aval(group: Group, town: Town, name: str, *, profile: Path | None = None) -> Side:
    port = town.house.settings.port
    command = python("tests.bench.profiled" if profile else "gateway", "serve")
    environment = town.environment(port, **({"BENCH_PROFILE": str(profile)} if profile else {}))
    pid = group.start(name, command, on=SERVER_CORE, port=port, environment=environment).pid
    names = list(town.people)

    def fill(person: int) -> Fill:
        chosen = town.chosen(CLIENT, names[person])
        return lambda _action, fields: {**fields, **chosen} if "seen" in fields else None

    return Side(
        name,
        town.home,
        pid,
        port,
        town.basic(CLIENT),
        fill,
        [town.cookie(each) for each in names],
        {"authorization_details": town.asked(), "prompt": "consent"},
        {"scope": "grant_management_query"},
        {"scope": "grant_management_query"},
        "/par",
    )


# ---- oidc-provider


def provider(group: Group) -> Side:
    """Raises FileNotFoundError where it is not installed."""
    if not (NODE / "node_modules" / "oidc-provider").is_dir():
        raise FileNotFoundError("oidc-provider is not installed: make clients")
    port, secret = free_port(), secrets.token_hex(24)
    # Node resolves packages from where the script lies, so the script goes where packages are found.
    folder = group.folder / "provider"
    folder.mkdir()
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    script = shutil.copy(Path(__file__).with_name("provider.mjs"), folder)
    command = ["node", str(script), str(port), CLIENT, secret, CALLBACK]
    pid = group.start("oidc-provider", command, on=SERVER_CORE, port=port).pid

    def fill(person: int) -> Fill:
        login = {"login": f"person-{person}", "password": "any"}
        return lambda _action, fields: {**fields, **(login if fields.get("prompt") == "login" else {})}

    return Side(
        "oidc-provider",
        f"http://localhost:{port}",
        pid,
        port,
        _basic(CLIENT, secret),
        fill,
        [""] * PEOPLE,
        {"scope": "read", "prompt": "consent", "resource": "urn:bench:signed"},
        {"scope": "read", "resource": "urn:bench:signed"},
        {"scope": "read", "resource": "urn:bench:opaque"},
        "/request",
        "/auth",
        introspect="/token/introspection",
    )


# ---- django-oauth-toolkit


def django(group: Group, environment: Path) -> Side:
    """`environment`: of Python, made when it is not there. Raises CalledProcessError."""
    interpreter = environment / "bin" / "python"
    if not (environment / "ready").exists():
        run = [sys.executable, "-m", "venv", str(environment)]
        subprocess.run(run, check=True, timeout=INSTALL_SECONDS)
        wanted = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(DJANGO_LOCK)]
        subprocess.run([interpreter, "-m", "pip", "install", *wanted], check=True, timeout=INSTALL_SECONDS)
        (environment / "ready").touch()
    folder, port, secret = group.folder / "django", free_port(), secrets.token_hex(24)
    folder.mkdir()
    told = {"PATH": "/usr/bin:/bin", "BENCH_DJANGO": str(folder), "PYTHONPATH": str(DJANGO.parent)}
    prepare = [interpreter, str(DJANGO), "prepare", CLIENT, secret, CALLBACK, str(PEOPLE)]
    done = subprocess.run(prepare, check=True, timeout=60, env=told, capture_output=True, text=True)
    cookies: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    command = [
        str(interpreter),
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--threads",
        "8",
        "--keep-alive",
        "60",
    ]
    pid = group.start("django", [*command, "django_oauth:application"], on=SERVER_CORE, port=port, environment=told).pid
    return Side(
        "django-oauth-toolkit",
        f"http://localhost:{port}",
        pid,
        port,
        _basic(f"{CLIENT}-code", secret),
        lambda _person: lambda _action, fields: {**fields, "allow": "Authorize"},
        list(cookies.values()),
        {"scope": "read", "approval_prompt": "force"},
        {"scope": "read"},
        {"scope": "read"},
        authorize="/o/authorize/",
        token="/o/token/",
        introspect="/o/introspect/",
        basic_itself=_basic(f"{CLIENT}-itself", secret),
    )
