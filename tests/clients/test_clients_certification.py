"""A run of the conformance suite, prepared as gateway/docs/certification.md says: the settings work beside each other,
what `examples.certification` writes is taken, and flows of its plans go through with the keys that the suite is given.
"""

import json
import re
import secrets
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stories
from certified_suite import Suite, suite
from clients_world import RegisteredApp, Robot, World
from joserfc import jwt
from joserfc.jwk import ECKey
from play import Plays, Stumble, need_node, played

from examples.certification.plans import PLANS, SCOPE
from gateway.settings import Settings
from tests.tokens import claims

ROOT = Path(__file__).parents[2]
BY_KEY = "private_key_jwt"


class Run:
    """The gateway with the settings of such a run, the suite's addresses, and the folder that was written for both."""

    def __init__(self, world: World, conformance: Suite, folder: Path) -> None:
        self.world, self.suite, self.folder = world, conformance, folder
        self.printed = ""

    def prepare(self) -> None:
        addresses = ["--gateway", self.world.gateway, "--mtls", self.world.mtls, "--suite", self.suite.url]
        told = [*addresses, "--suite-ca", str(self.world.root.file)]
        command = [sys.executable, "-m", "examples.certification", str(self.folder), *told]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, timeout=60)

    def register(self) -> None:
        base = self.world.town.url("city-energy")
        self.world.aval("organisations", "add", str(self.folder / "city-energy.toml"), "--base-url", base)
        self.printed = self.world.aval("apps", "add", *map(str, sorted((self.folder / "apps").glob("*.toml"))))

    def told(self, plan: str) -> dict[str, Any]:
        """What the suite is given."""
        found: dict[str, Any] = json.loads((self.folder / "suite" / f"{plan}.json").read_text())
        return found

    def shows(self, app: RegisteredApp) -> ssl.SSLContext:
        """For a call on which the app shows its certificate."""
        context, folder = ssl.create_default_context(cafile=str(self.world.root.file)), self.folder / "shown"
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in app.certificate.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
        context.load_cert_chain(folder / "certificate", folder / "certificate_key")
        return context

    def app(self, plan: str, role: str = "client") -> RegisteredApp:
        """As the suite knows it: by its file, and by the secret that `aval apps add` has printed."""
        told = self.told(plan)
        about, client_id = told[role], told[role]["client_id"]
        declared = tomllib.loads((self.folder / "apps" / f"{client_id}.toml").read_text())
        method, redirect = declared["token_endpoint_auth_method"], declared["redirect_uris"][0]
        secret = re.search(rf"^{client_id}: .*\n  client_secret: (\S+)", self.printed, re.MULTILINE)
        shown = told.get("mtls" if role == "client" else "mtls2", {})
        key = about["jwks"]["keys"][0] if method == BY_KEY else None
        certificate = {"certificate": shown["cert"], "certificate_key": shown["key"]} if shown else {}
        return RegisteredApp(client_id, method, redirect, secret and secret[1], key, certificate)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("certification")
    world = World(folder / "world")
    with suite(world.root) as conformance:
        made = Run(world, conformance, folder / "run")
        made.prepare()
        settings = tomllib.loads((made.folder / "aval.toml").read_text())
        for name in ("ca_file", "outbound_networks", "dynamic_registration", "mtls_ca_file"):
            value = settings[name]
            world.town.settings[f"AVAL_{name.upper()}"] = json.dumps(value) if isinstance(value, list) else value
        with world.serving():
            made.register()
            yield made


@pytest.fixture(scope="module")
def alice(run: Run) -> Iterator[Robot]:
    robot = run.world.person()
    yield robot
    robot.visitor._client.close()


@pytest.fixture
def plays(run: Run, alice: Robot) -> Plays:
    def play(script: str, app: Any, **more: Any) -> dict[str, Any]:
        need_node()
        asked = {"details": None, **more}
        return played(script, run.world.arguments(app, **asked), alice.visits, run.world.root.file)

    return play


def test_the_settings_are_a_gateways(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_CONFIG", str(run.folder / "aval.toml"))
    settings = Settings()
    assert settings.speaks_tls and settings.mtls_port and settings.dynamic_registration == "open"
    assert settings.mtls_ca_file and settings.mtls_ca_file.exists()


def test_every_plan_has_its_file_and_its_apps(run: Run) -> None:
    for name, plan in PLANS.items():
        told = run.told(name)
        assert told["alias"] == f"aval-{name}" and told["server"]["discoveryUrl"].startswith(run.world.gateway)
        for role in plan.apps:
            assert f"{told[role]['client_id']}: registered" in run.printed
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_by_a_key_data_are_read_with_a_plain_scope(run: Run, plays: Plays) -> None:
    seen = plays(
        "openid_client_dpop.mjs",
        run.app("keys-data"),
        scope=SCOPE,
        data=run.told("keys-data")["resource"]["resourceUrl"],
    )
    assert seen["tokens"]["scope"] == SCOPE and seen["bound"] == seen["thumbprint"]
    stories.check_read(seen["data"])
    assert (seen["asBearer"], seen["withOtherKey"]) == (401, 401)


def test_by_a_key_a_person_is_signed_in(run: Run, plays: Plays) -> None:
    where = run.told("keys-sign-in")["resource"]["resourceUrl"]
    seen = plays("openid_client_dpop.mjs", run.app("keys-sign-in"), scope="openid", data=where)
    assert seen["data"]["status"] == 200 and json.loads(seen["data"]["body"])["sub"]


def test_by_a_certificate_data_are_read(run: Run, plays: Plays) -> None:
    other = run.app("certificates-data", "client2")
    shown = {"certificate": other.certificate["certificate"], "certificate_key": other.certificate["certificate_key"]}
    where = run.told("certificates-data")["resource"]["resourceUrl"]
    time.sleep(3)  # a certificate that an app has just registered is believed within a second or two
    seen = plays("openid_client_mtls.mjs", run.app("certificates-data"), scope=SCOPE, data=where, other=shown)
    assert seen["bound"] == seen["thumbprint"]
    stories.check_read(seen["data"])
    assert seen["without"] == seen["withOther"] == 401


def test_a_machine_gets_a_token_of_its_own(run: Run, plays: Plays) -> None:
    plan = PLANS["machine"]
    seen = plays("openid_client_machine.mjs", run.app("machine"), scope=plan.scope)
    assert (seen["tokens"]["token_type"].lower(), seen["tokens"]["scope"]) == ("dpop", plan.scope)
    with pytest.raises(Stumble) as stumble:  # without a proof: its tokens are bound
        plays("openid_client_credentials.mjs", run.app("machine"), scope=plan.scope)
    assert stumble.value.error["error"] == "invalid_dpop_proof"


def test_requests_and_answers_are_signed(run: Run, plays: Plays) -> None:
    where = run.told("messages")["resource"]["resourceUrl"]
    seen = plays("openid_client_messages.mjs", run.app("messages"), scope="openid", data=where)
    assert seen["data"]["status"] == 200 and seen["claims"]["aud"] == "messages-client"
    assert seen["unsigned"]["error"] == "invalid_request"


@pytest.mark.parametrize("plan", ["ciba", "ciba-ping"])
def test_a_person_is_asked_who_is_not_there(run: Run, alice: Robot, plan: str) -> None:
    """CIBA by FAPI's rules: a signed request, a client assertion, tokens bound to a certificate; by ping, the suite is
    told at its own address that there is an answer."""
    app, told = run.app(plan), run.told(plan)
    here, hint = run.world.gateway, told["client"]["hint_value"]

    def signed(**more: Any) -> str:
        now = int(time.time())
        said = {"iss": app.client_id, "aud": here, "iat": now, "nbf": now, "exp": now + 60, "jti": secrets.token_hex()}
        assert app.key
        return jwt.encode({"alg": "ES256", "kid": app.key["kid"]}, {**said, **more}, ECKey.import_key(dict(app.key)))

    def posted(path: str, **form: str) -> httpx2.Response:
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        shown = {"client_assertion_type": kind, "client_assertion": signed(sub=app.client_id)}
        return httpx2.post(f"{run.world.mtls}{path}", data={**shown, **form}, verify=run.shows(app))

    asked = {"scope": told["client"]["scope"], "login_hint": hint, "client_notification_token": secrets.token_hex()}
    assert posted("/bc-authorize", **asked).json()["error"] == "invalid_request"  # it registered to sign
    begun = posted("/bc-authorize", request=signed(**asked))
    assert begun.status_code == 200, begun.text
    polling = {"grant_type": "urn:openid:params:grant-type:ciba", "auth_req_id": begun.json()["auth_req_id"]}
    assert posted("/token", **polling).json()["error"] == "authorization_pending"
    alice.visits(f"inbox:{hint}")
    if plan == "ciba-ping":
        said = run.suite.hears("/test/a/aval-ciba-ping/ciba-notification-endpoint")
        assert json.loads(said) == {"auth_req_id": begun.json()["auth_req_id"]}
    time.sleep(begun.json()["interval"] + 0.5)
    tokens = posted("/token", **polling).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    read = httpx2.get(told["resource"]["resourceUrl"], headers=headers, verify=run.shows(app))
    assert read.status_code == 200 and "<feed" in read.text
    assert claims(tokens["id_token"])["aud"] == app.client_id


def test_apps_register_themselves_with_keys_at_the_suite(run: Run) -> None:
    """Its certificate is believed by ca_file, its address opened by outbound_networks."""
    run.suite.jwks = {
        "keys": [{k: v for k, v in run.told("keys-data")["client"]["jwks"]["keys"][0].items() if k != "d"}]
    }
    sent = {
        "redirect_uris": [f"{run.suite.url}/test/a/aval-dynamic/callback"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": f"{run.suite.url}/jwks",
    }
    answer = httpx2.post(f"{run.world.gateway}/apps", json=sent, verify=run.world.trust)
    assert answer.status_code == 201, answer.text
    elsewhere = {**sent, "jwks_uri": "https://10.1.2.3/jwks"}
    assert httpx2.post(f"{run.world.gateway}/apps", json=elsewhere, verify=run.world.trust).status_code == 400


def test_the_suite_is_told_that_she_signed_out(run: Run) -> None:
    """She signs in and out by forms, without JavaScript, as the suite's own browser does."""
    need_node()
    person = Robot(run.world)
    person.signs_in()
    arguments = run.world.arguments(run.app("backchannel-logout"), details=None, scope="openid", algorithm=None)
    seen = played("openid_client_oidc.mjs", arguments, person.visits, run.world.root.file)
    page = person.visitor.get(f"{run.world.gateway}/sharings")
    person.visitor.submit(page, page.form("/sign-out"))
    person.visitor._client.close()
    body = run.suite.hears("/test/a/aval-backchannel-logout/backchannel_logout")
    said = claims(body.removeprefix("logout_token="))
    assert (said["sub"], said["sid"]) == (seen["claims"]["sub"], seen["claims"]["sid"])


@pytest.mark.parametrize("delivery", ["poll", "push"])
def test_a_stream_of_events_is_made_and_shows_that_it_works(run: Run, delivery: str) -> None:
    told = run.told(f"signals-{delivery}")
    app, there, trust = run.app(f"signals-{delivery}"), told["ssf"]["transmitter"]["issuer"], run.world.trust
    asked = {"grant_type": "client_credentials", "scope": told["client"]["scope"]}
    assert app.secret
    given = httpx2.post(f"{there}/token", data=asked, auth=(app.client_id, app.secret), verify=trust).json()
    told_of = httpx2.get(f"{there}/.well-known/ssf-configuration", verify=trust).json()
    path, shown = f"/test/a/aval-signals-{delivery}/ssf-push", {"authorization": f"Bearer {given['access_token']}"}
    pushed = {"method": "urn:ietf:rfc:8935", "endpoint_url": f"{run.suite.url}{path}"}
    wanted = {"delivery": pushed} if delivery == "push" else {}
    made = httpx2.post(told_of["configuration_endpoint"], json=wanted, headers=shown, verify=trust)
    assert made.status_code == 201 and made.json()["aud"] == told["ssf"]["stream"]["audience"], made.text
    wants = {"stream_id": made.json()["stream_id"], "state": "seen"}
    asks = httpx2.post(told_of["verification_endpoint"], json=wants, headers=shown, verify=trust)
    assert asks.status_code == 204, asks.text
    if delivery == "push":
        event = run.suite.hears(path)
    else:
        polled = httpx2.post(made.json()["delivery"]["endpoint_url"], json={}, headers=shown, verify=trust)
        [event] = polled.json()["sets"].values()
    [said] = claims(event)["events"].values()
    assert said == {"state": "seen"} and claims(event)["aud"] == app.client_id
