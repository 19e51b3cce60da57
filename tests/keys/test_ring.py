"""Keys: kept apart, sealed values bound to their place, nothing secret published."""

import os
import stat
from pathlib import Path

import jwt
import pytest

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing, fresh, hashed, same


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys", create=True)


def test_key_files_are_readable_by_their_owner_only(ring: KeyRing) -> None:
    modes = {path.name: stat.S_IMODE(os.stat(path).st_mode) for path in ring.folder.iterdir()}
    assert modes and set(modes.values()) == {0o600}
    assert stat.S_IMODE(os.stat(ring.folder).st_mode) == 0o700


def test_the_same_folder_gives_the_same_keys(ring: KeyRing) -> None:
    again = KeyRing(ring.folder)
    assert again.jwks() == ring.jwks()
    assert again.mac("code", "a") == ring.mac("code", "a")
    assert again.open(ring.seal(b"x", "link:1"), "link:1") == b"x"


def test_missing_keys_are_an_error_and_are_not_made_silently(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        KeyRing(tmp_path / "none")


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem", "token-0001.pem"])
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
