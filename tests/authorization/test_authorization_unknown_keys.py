"""Anybody can write a token that names a key which nobody has. Nobody else waits for it."""

from pathlib import Path

import pytest
from authorization_world import ISSUER, World
from client_keys import EC, jws

from gateway.ground.keys import KeyRing, fresh
from gateway.ground.store import signing_keys


@pytest.mark.sqlite
def test_a_token_of_an_unknown_key_stops_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, KeyRing(tmp_path / "keys", create=True))
    signing_keys.begin(world.house.store, world.house.keys, world.clock.now)
    while_writing: list[bool] = []

    def read(*_: object) -> list[str]:
        while_writing.append(True)
        return []

    monkeypatch.setattr(signing_keys, "read", read)
    for path, app in (("/userinfo", None), ("/introspect", "budget"), ("/revoke", "meter")):
        forged = jws({"iss": ISSUER, "aud": f"{ISSUER}/userinfo"}, {"typ": "at+jwt", "kid": fresh()}, signer=EC())
        answer = world.post(path, {"token": forged, "access_token": forged}, app)
        assert answer.status_code == (401 if path == "/userinfo" else 200)
    assert not while_writing, "a reading of the keys is waited for, up to a second, and these doors write"
    world.house.store.close()
