"""Secrets are compared as a whole and in constant time, whatever is wrong and whether or not there is anything to
compare with (RFC 8725 §3.2, RFC 6749 §10.10)."""

import base64
import hmac
from collections.abc import Iterator

import pytest
from security_world import ISSUER, World, with_alice

from tests.callers import TestClient


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """The lengths of what was compared in constant time, each time."""
    found: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def noted(left: bytes, right: bytes) -> bool:
        found.append((len(left), len(right)))
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    yield found


def shown(world: World, client_id: str, secret: str) -> str:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    client = TestClient(world.application, base_url=ISSUER)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    return str(client.post("/token", data=form, headers={"authorization": f"Basic {basic}"}).json()["error"])


def test_a_clients_secret_is_compared_alike_whatever_is_wrong(world: World, compared: list[tuple[int, int]]) -> None:
    with_alice(world)
    data = {"organisation": "harbour-bank", "dataset": "bank.accounts", "fields": ["account.kind"]}
    world.app("secretive", [data], token_endpoint_auth_method="client_secret_basic", profile="oidc")
    good = world.secrets["secretive"]
    cases = {
        "right": ("secretive", good), "last letter": ("secretive", good[:-1] + ("A" if good[-1] != "A" else "B")),
        "first letter": ("secretive", ("A" if good[0] != "A" else "B") + good[1:]), "short": ("secretive", "x"),
        "long": ("secretive", good * 20), "nobody": ("nobody-at-all", good),
    }  # fmt: skip
    did = {}
    for name, (client_id, secret) in cases.items():
        compared.clear()
        did[name] = shown(world, client_id, secret), tuple(compared)
    assert did["right"][0] == "invalid_grant"
    assert {error for name, (error, _) in did.items() if name != "right"} == {"invalid_client"}
    assert {lengths for _, lengths in did.values()} == {((64, 64),)}, "hashes of one length, once"
