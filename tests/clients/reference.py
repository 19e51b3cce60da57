"""oidc-provider as a process, and a person at its pages: where flows are tried that Aval does not have yet."""

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from app_keys import own_certificate
from clients_world import CALLBACK, RegisteredApp, new_app
from play import NODE, SECONDS, BrokenScript, environment

from gateway.cli.demo_visitor import Visitor, WebPage
from tests.ports import free_port
from tests.proxy.certificates import Root

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"
_CODE = {"grant_types": ["authorization_code", "refresh_token"], "redirect_uris": [CALLBACK]}
SECRET = "a-secret-of-the-reference"
_NO_CODE: dict[str, Any] = {"redirect_uris": [], "response_types": []}

# The names are those of test_clients_profiles.py and test_clients_backchannel.py.
APPS: dict[str, dict[str, Any]] = {
    "dpop": {**_CODE, "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": True},
    "jar": {**_CODE, "token_endpoint_auth_method": "private_key_jwt", "require_signed_request_object": True},
    "jarm": {**_CODE, "token_endpoint_auth_method": "private_key_jwt", "authorization_signed_response_alg": "ES256"},
    "oidc": {**_CODE, "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "ES256"},
    "device": {**_NO_CODE, "grant_types": [DEVICE, "refresh_token"], "token_endpoint_auth_method": "none"},
    "ciba": {
        **_NO_CODE,
        "grant_types": [CIBA, "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "backchannel_token_delivery_mode": "poll",
    },
    "mtls": {
        **_CODE,
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=mtls",
        "tls_client_certificate_bound_access_tokens": True,
    },
    "mtls-alone": {
        **_CODE,
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "tls_client_certificate_bound_access_tokens": True,
    },
    "machine": {**_NO_CODE, "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt"},
}


class Reference:
    def __init__(self, folder: Path) -> None:
        self.root = Root(folder / "certificates")
        self.port = free_port()
        self.issuer = f"https://localhost:{self.port}"
        self.apache_port = free_port()
        self.apps = {name: new_app(self.root, name, metadata) for name, metadata in APPS.items()}

    @contextlib.contextmanager
    def serving(self) -> Iterator["Reference"]:
        process = subprocess.Popen(
            ["node", str(NODE / "reference.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(self.root.file),
        )
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        certificate, key = map(str, self.root.gives("reference"))
        clients = [_registered(self.apps[name], metadata) for name, metadata in APPS.items()]
        clients.append(self._apache())
        files = {"certificate": certificate, "key": key, "ca": str(self.root.file)}
        told = {"port": self.port, **files, "clients": clients}
        assert process.stdin and process.stdout and process.stderr
        try:
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            if '"ready"' not in process.stdout.readline():
                raise BrokenScript(process.stderr.read()[-3000:])
            timer.cancel()
            yield self
        finally:
            timer.cancel()
            process.kill()
            process.communicate()

    def _apache(self) -> dict[str, Any]:
        return {
            "client_id": "apache",
            "client_secret": SECRET,
            "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": [f"http://localhost:{self.apache_port}/members/callback"],
        }

    def arguments(self, name: str, **more: Any) -> dict[str, Any]:
        data = f"{self.issuer}/me"
        told = {"issuer": self.issuer, "app": self.apps[name].arguments(), "data": data, "resource": data}
        more = {"other": own_certificate("other"), **more}
        return {**told, "scope": "openid", "login_hint": "alice", "opaque": True, **more}

    def visits(self, address: str) -> str:
        """Alice presses the first button of each page until there is none, or until she is sent back to the app."""
        if address.startswith("inbox:"):  # there, she agrees by herself
            return self.issuer
        visitor = Visitor(self.issuer)
        visitor._client.close()
        trust = ssl.create_default_context(cafile=str(self.root.file))
        with httpx2.Client(timeout=30, follow_redirects=False, verify=trust) as visitor._client:
            page = visitor.get(address)
            for _ in range(5):
                if page.status == 0 or not page.forms:
                    break
                page = self._pressed(visitor, page)
        return page.url

    def _pressed(self, visitor: Visitor, page: WebPage) -> WebPage:
        form = page.forms[0]
        known = {name: value for name, value in (("login", "alice"), ("password", "x")) if name in form.fields}
        return visitor.submit(page, form, **known)


def _registered(app: RegisteredApp, metadata: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"jwks": app.jwks} if app.jwks else {}
    return {"client_id": app.client_id, **metadata, **keys}
