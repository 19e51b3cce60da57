"""mod_oauth2 in front of somebody's pages, and tokens that are bound: whoever holds key or certificate is let in."""

import hashlib
import secrets
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from apache import BOUND_TO_CERTIFICATE, BOUND_TO_KEY, BY_SIGNATURE, RESOURCE_SERVER, TLS, apache, missing, new_port
from app_keys import new_key, own_certificate, public
from clients_world import World
from joserfc import jwt
from joserfc.jwk import ECKey
from play import Plays

from gateway.ground.keys.jose import encoded

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def proof(key: Mapping[str, Any], address: str, token: str) -> str:
    jwk = {name: value for name, value in public(key).items() if name in ("kty", "crv", "x", "y")}
    claims = {"jti": secrets.token_urlsafe(16), "htm": "GET", "htu": address, "iat": int(time.time())}
    claims["ath"] = encoded(hashlib.sha256(token.encode()).digest())
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}
    return jwt.encode(header, claims, ECKey.import_key(dict(key)), algorithms=["ES256"])


def test_a_token_that_is_bound_to_a_key_opens_with_a_proof_of_it_alone(
    world: World, plays: Plays, tmp_path: Path
) -> None:
    """RFC 9449 §7; this version of the module takes no other scheme than Bearer."""
    key, mallorys = new_key("ES256"), new_key("ES256")
    app = world.app("page-by-key", token_endpoint_auth_method="none", dpop_bound_access_tokens=True)
    more = RESOURCE_SERVER.format(verify=BY_SIGNATURE.format(issuer=world.gateway) + BOUND_TO_KEY)
    with apache(tmp_path / "apache", new_port(), more, world.root.file) as address:
        token = plays("openid_client_live.mjs", app, holder=key)["access_token"]

        def call(**proofs: str) -> httpx2.Response:
            return httpx2.get(f"{address}/", headers={"authorization": f"Bearer {token}", **proofs})

        assert "let in as page-by-key" in call(dpop=proof(key, f"{address}/", token)).text
        assert call().status_code == 401
        assert call(dpop=proof(mallorys, f"{address}/", token)).status_code == 401
        assert call(dpop=proof(key, f"{address}/elsewhere", token)).status_code == 401


def test_a_token_that_is_bound_to_a_certificate_opens_with_that_alone(
    world: World, plays: Plays, tmp_path: Path
) -> None:
    """RFC 8705 §3."""
    app = world.app(
        "page-by-certificate",
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_subject_dn="CN=page-by-certificate",
        tls_client_certificate_bound_access_tokens=True,
    )
    certificate, key = world.root.gives("gateway")
    verify = BY_SIGNATURE.format(issuer=world.gateway) + BOUND_TO_CERTIFICATE
    more = TLS.format(certificate=certificate, key=key) + RESOURCE_SERVER.format(verify=verify)
    with apache(tmp_path / "apache", new_port(), more, world.root.file) as plain:
        token = plays("openid_client_live.mjs", app)["access_token"]

        def call(shown: Mapping[str, str] | None) -> httpx2.Response:
            trust = ssl.create_default_context(cafile=str(world.root.file))
            if shown:
                (tmp_path / "shown.pem").write_text(shown["certificate"] + shown["certificate_key"])
                trust.load_cert_chain(tmp_path / "shown.pem")
            address = plain.replace("http:", "https:")
            return httpx2.get(address, headers={"authorization": f"Bearer {token}"}, verify=trust)

        assert "let in as page-by-certificate" in call(app.certificate).text
        assert call(None).status_code == 401
        assert call(own_certificate("mallory")).status_code == 401
