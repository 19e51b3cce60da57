"""Keys: kept apart, sealed values bound to their place, nothing secret published."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import pytest
from joserfc.jwk import JWKRegistry

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing, fresh, hashed, jose, same
from gateway.ground.keys import ring as ring_module
from gateway.ground.keys.algorithms import SigningKey
from gateway.ground.keys.files import open_files
from gateway.ground.keys.ring import AGAIN_SECONDS, STALE_SECONDS, KeptKey
from gateway.proxy.tokens import Tokens


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys", create=True)


def test_key_files_are_readable_by_their_owner_only(ring: KeyRing) -> None:
    modes = {path.name: stat.S_IMODE(os.stat(path).st_mode) for path in ring.folder.iterdir()}
    assert modes and set(modes.values()) == {0o600}
    assert stat.S_IMODE(os.stat(ring.folder).st_mode) == 0o700


def test_the_same_folder_gives_the_same_keys(ring: KeyRing) -> None:
    again = KeyRing(ring.folder)
    assert again.mac("code", "a") == ring.mac("code", "a")
    assert again.open(ring.seal(b"x", "link:1"), "link:1") == b"x"


def test_missing_keys_are_an_error_and_are_not_made_silently(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        KeyRing(tmp_path / "none")


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"no key", b"00" * 16, b"00" * 31, b"00" * 33, b"\xff" * 64],
    ids=lambda content: content[:9],
)
def test_a_file_that_holds_no_key_of_its_kind_is_named(ring: KeyRing, name: str, content: bytes) -> None:
    (ring.folder / name).write_bytes(content)
    with pytest.raises(Unavailable, match=f"{name}: is not the key it should be"):
        KeyRing(ring.folder)


def test_check_values_tell_keys_apart_and_show_nothing_of_them(ring: KeyRing, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other", create=True)
    assert ring.checks == KeyRing(ring.folder).checks
    assert set(ring.checks) == {path.name for path in ring.folder.iterdir()}
    assert all(ring.checks[file] != other.checks[file] for file in ring.checks)
    secrets = [(ring.folder / name).read_text().strip() for name in ("kek.hex", "root.hex")]
    assert not any(value[:16] in secret for value in ring.checks.values() for secret in secrets)


def test_the_published_set_holds_public_members_only(ring: KeyRing) -> None:
    (key,) = ring.jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_a_signature_verifies_with_the_published_key_and_names_it(ring: KeyRing) -> None:
    token = ring.sign({"sub": "alice"}, typ="at+jwt")
    header = jwt.get_unverified_header(token)
    (key,) = ring.jwks()["keys"]
    assert (header["typ"], header["kid"], header["alg"]) == ("at+jwt", key["kid"], "ES256")
    assert jwt.decode(token, jwt.PyJWK(key), algorithms=["ES256"]) == {"sub": "alice"}


def test_a_sealed_value_opens_only_in_its_own_place(ring: KeyRing) -> None:
    sealed = ring.seal(b"refresh token", "link:1")
    assert b"refresh" not in sealed
    with pytest.raises(Unavailable):
        ring.open(sealed, "link:2")
    with pytest.raises(Unavailable):
        ring.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "link:1")


def test_no_two_readers_know_a_person_by_the_same_identifier(ring: KeyRing) -> None:
    names = {ring.pairwise("alice", reader) for reader in ("watt-coach", "clear-budget", "city-energy")}
    assert len(names) == 3 and all(len(name) == 43 for name in names)
    assert ring.pairwise("alice", "watt-coach") != ring.pairwise("alicew", "att-coach"), "parts are delimited"


def test_derived_keys_differ_by_use(ring: KeyRing) -> None:
    assert ring.mac("code", "x") != ring.mac("csrf", "x")


def test_secrets_have_256_bits_and_are_stored_as_hashes() -> None:
    first, second = fresh(), fresh()
    assert first != second and len(first) == 43
    assert len(hashed(first)) == 64 and first not in hashed(first)
    assert same(hashed(first), hashed(first)) and not same(hashed(first), hashed(second))


# ---- token keys that come and go

NOW = 1_000_000.0


def kids(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in ring.jwks()["keys"]]


def signed_by(ring: KeyRing, algorithm: str = "ES256") -> str:
    token = ring.sign({"sub": "alice"}, typ="at+jwt", algorithm=algorithm)
    return str(jwt.get_unverified_header(token)["kid"])


def kept(ring: KeyRing, signs_from: float = 0, **more: Any) -> KeptKey:
    return replace(ring.kept(SigningKey.made(more.pop("algorithm", "ES256")), signs_from=signs_from), **more)


def test_a_new_token_key_is_published_at_once_and_signs_when_its_time_has_come(ring: KeyRing) -> None:
    old, new = kept(ring), kept(ring, NOW + 600)
    assert ring.take([new, old], NOW) == []
    assert kids(ring) == [new.kid, old.kid] and ring.public_key(new.kid) is not None
    assert signed_by(ring) == old.kid
    ring.settle(NOW + 599)
    assert signed_by(ring) == old.kid
    ring.settle(NOW + 600)
    assert signed_by(ring) == new.kid and kids(ring) == [new.kid, old.kid]


def test_where_none_signs_yet_the_one_that_others_know_for_longest_does(ring: KeyRing) -> None:
    first, second = kept(ring, NOW + 300), kept(ring, NOW + 600)
    ring.take([second, first], NOW)
    assert signed_by(ring) == first.kid and len(kids(ring)) == 2


@pytest.mark.parametrize("gone", [{"ended": True}, {"accepted_until": NOW}, {"sealed": b""}])
def test_a_token_key_that_is_over_is_neither_published_nor_accepted_and_another_signs(
    ring: KeyRing, gone: dict[str, Any]
) -> None:
    old, new = kept(ring), kept(ring, NOW - 1)
    ring.take([new, old], NOW - 0.5)
    assert signed_by(ring) == new.kid
    ring.take([replace(new, **gone), old], NOW)
    assert kids(ring) == [old.kid] and ring.public_key(new.kid) is None and signed_by(ring) == old.kid


def test_a_token_key_goes_by_the_clock_alone(ring: KeyRing) -> None:
    old, new = kept(ring, accepted_until=NOW + 60), kept(ring, NOW - 1)
    ring.take([new, old], NOW)
    assert ring.public_key(old.kid) is not None
    ring.settle(NOW + 60)
    assert ring.public_key(old.kid) is None and kids(ring) == [new.kid]


def test_where_all_token_keys_are_over_nothing_is_signed(ring: KeyRing) -> None:
    ring.take([kept(ring, ended=True)], NOW)
    with pytest.raises(Unavailable, match="no token key for ES256"):
        ring.sign({}, typ="at+jwt")


def test_a_token_that_a_key_has_signed_is_forgotten_with_the_key(ring: KeyRing) -> None:
    now = int(time.time())
    old, new = kept(ring), kept(ring, 1)
    ring.take([new, old], now)
    claims = {"iss": "https://gw", "aud": "https://gw/data/bank", "iat": now, "exp": now + 300}
    token = ring.sign({**claims, "grant_id": "a", "fam": "b", "client_id": "c"}, typ="at+jwt").encode()
    tokens = Tokens(ring, "https://gw")
    assert tokens.read(token, now) and tokens.read(token, now)
    ring.settle(now)
    assert tokens.read(token, now), "the same keys"
    ring.take([replace(new, ended=True), old], now)
    assert tokens.read(token, now) is None


def test_a_sealed_key_opens_in_its_own_row_only(ring: KeyRing, tmp_path: Path) -> None:
    one, other = kept(ring), kept(ring)
    assert ring.take([one, replace(other, sealed=one.sealed)], NOW) == [other.kid]
    assert kids(ring) == [one.kid]
    assert ring.take([one, replace(one, algorithm="EdDSA")], NOW) == [one.kid], "nor as one of another algorithm"
    stranger = KeyRing(tmp_path / "other", create=True)
    forged = kept(stranger)
    assert ring.take([one, forged], NOW) == [forged.kid], "nor under another sealing key"
    in_the_clear = KeptKey(forged.kid, "ES256", SigningKey.made().packed(), 0)
    assert ring.take([one, in_the_clear], NOW) == [forged.kid] and kids(ring) == [one.kid]


def test_a_key_sealed_for_a_row_whose_name_is_not_its_thumbprint_is_refused(ring: KeyRing) -> None:
    real, name = SigningKey.made(), SigningKey.made().kid
    row = KeptKey(name, "ES256", b"", 0)
    forged = replace(row, sealed=ring.seal(real.packed(), row.context))
    assert ring.take([forged], NOW) == [name] and kids(ring) == []


def test_what_holds_a_key_does_not_show_it(ring: KeyRing) -> None:
    key = SigningKey.made()
    assert "private" not in repr(key) and "sealed" not in repr(ring.kept(key, signs_from=0))


# ---- algorithms


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256", "EdDSA"])
def test_each_algorithm_signs_with_a_key_of_its_own_that_is_published_as_such(ring: KeyRing, algorithm: str) -> None:
    found = [kept(ring, algorithm=name) for name in ("ES256", "PS256", "RS256", "EdDSA")]
    assert ring.take(found, NOW) == []
    published = {key["kid"]: key for key in ring.jwks()["keys"]}
    assert len(published) == 4 and {key["alg"] for key in published.values()} == {"ES256", "PS256", "RS256", "EdDSA"}
    assert {key["use"] for key in published.values()} == {"sig"}
    assert not any(member in key for key in published.values() for member in jose.PRIVATE)
    token = ring.sign({"sub": "alice"}, typ="JWT", algorithm=algorithm)
    header = jwt.get_unverified_header(token)
    assert header["alg"] == algorithm == published[header["kid"]]["alg"]
    assert jwt.decode(token, jwt.PyJWK(published[header["kid"]]), algorithms=[algorithm]) == {"sub": "alice"}
    signed = jose.read(token, 8192, jose.TokenKind(("jwt",), (algorithm,)))
    assert jose.verified(signed, published.values())
    others = [key for key in published.values() if key["alg"] != algorithm]
    assert not jose.verified(signed, [{**key, "kid": header["kid"]} for key in others])


def test_only_es256_keys_verify_access_tokens(ring: KeyRing) -> None:
    rsa, own = kept(ring, algorithm="PS256"), kept(ring)
    ring.take([rsa, own], NOW)
    assert ring.public_key(rsa.kid) is None and ring.public_key(own.kid) is not None
    assert ring.algorithms == ("ES256", "PS256")
    with pytest.raises(Unavailable, match="--algorithm RS256"):
        ring.sign({}, typ="JWT", algorithm="RS256")


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256", "EdDSA"])
def test_a_kid_is_the_thumbprint_as_another_library_computes_it(algorithm: str) -> None:
    key = SigningKey.made(algorithm)
    public = {name: value for name, value in key.jwk.items() if name not in ("kid", "alg", "use")}
    assert JWKRegistry.import_key(public).thumbprint() == key.kid


# ---- read again for a key that is not known


def test_many_who_show_an_unknown_key_cause_one_reading_a_second(ring: KeyRing) -> None:
    began: list[float] = []

    def read() -> None:
        began.append(time.monotonic())
        ring.was_read(began[-1])

    ring.read_by(read)
    shown = [fresh() for _ in range(40)]
    assert all(ring.may_come(kid) for kid in shown) and not ring.may_come("short")
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(ring.awaited_key, shown))
    assert len(began) > 1 and min(b - a for a, b in pairwise(began)) >= AGAIN_SECONDS * 0.9


def test_a_key_that_another_process_made_is_found_by_who_shows_it(ring: KeyRing) -> None:
    old, new = kept(ring), kept(ring, 1)
    ring.take([old], NOW)

    def read() -> None:
        at = time.monotonic()
        ring.take([new, old], NOW)
        ring.was_read(at)

    assert ring.awaited_key(new.kid) is None, "nobody reads"
    ring.read_by(read)
    assert ring.awaited_key(new.kid) is not None


def test_who_should_read_the_keys_and_cannot_accepts_no_token(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, began = Tokens(ring, "https://gw"), time.monotonic()
    ring.watch(True)
    assert tokens.read(b"x", NOW) is None
    monkeypatch.setattr(ring_module.time, "monotonic", lambda: began + STALE_SECONDS + 1)
    with pytest.raises(Unavailable):
        tokens.read(b"x", NOW)
    ring.was_read(began + STALE_SECONDS)
    assert tokens.read(b"x", NOW) is None, "read again"


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem"])
def test_a_key_that_is_for_good_is_known_to_be_another(ring: KeyRing, tmp_path: Path, name: str) -> None:
    other = KeyRing(tmp_path / "other", create=True)
    (ring.folder / name).write_bytes((other.folder / name).read_bytes())
    assert ring.foreign(KeyRing(ring.folder)) == [name]
    assert ring.foreign(ring) == []


def test_what_an_editor_or_a_copy_leaves_beside_the_keys_keeps_nobody_from_reading_them(
    ring: KeyRing, tmp_path: Path
) -> None:
    (ring.folder / ".#log.pem").symlink_to(tmp_path / "nobody@nowhere.1234")
    assert list(open_files(ring.folder)) == []
    assert KeyRing(ring.folder).checks == ring.checks


def test_a_pipe_in_place_of_a_key_is_no_key(ring: KeyRing) -> None:
    (ring.folder / "log.pem").unlink()
    os.mkfifo(ring.folder / "log.pem", 0o600)
    with pytest.raises(Unavailable, match=r"log.pem: is not a file"):
        KeyRing(ring.folder)
