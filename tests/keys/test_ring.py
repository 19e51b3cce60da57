"""Keys: kept apart, sealed values bound to their place, nothing secret published."""

import os
import stat
import time
from pathlib import Path

import jwt
import pytest

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing, fresh, hashed, same
from gateway.ground.keys.ring import open_files
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


# ---- token keys that come and go


def added(folder: Path, name: str, other: Path) -> None:
    """A token key made elsewhere, under this name."""
    made = KeyRing(other, create=True)
    (folder / name).write_bytes((made.folder / "token-0001.pem").read_bytes())
    (folder / name).chmod(0o600)


def kids(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in ring.jwks()["keys"]]


def signed_by(ring: KeyRing) -> str:
    return str(jwt.get_unverified_header(ring.sign({"sub": "alice"}, typ="at+jwt"))["kid"])


def test_a_new_token_key_is_published_at_once_and_signs_when_it_has_settled(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys", create=True, settle_seconds=600)
    [old] = kids(ring)
    assert signed_by(ring) == old, "the only one signs, however young"
    added(ring.folder, "token-0002.pem", tmp_path / "other")
    ring.take(KeyRing(ring.folder), time.time())
    new, _ = kids(ring)
    assert new != old and kids(ring)[1] == old and ring.public_key(new) is not None
    assert signed_by(ring) == old
    ring.settle(time.time() + 590)
    assert signed_by(ring) == old
    ring.settle(time.time() + 601)
    assert signed_by(ring) == new and kids(ring) == [new, old]
    (ring.folder / "token-0002.pem").touch()
    ring.take(KeyRing(ring.folder), time.time())
    assert signed_by(ring) == new, "a key that has come to sign goes on, whatever is done to its file"


def test_a_gateway_that_starts_with_two_young_keys_signs_with_the_one_that_others_know_for_longest(
    tmp_path: Path,
) -> None:
    first = KeyRing(tmp_path / "keys", create=True)
    added(first.folder, "token-0002.pem", tmp_path / "other")
    ring = KeyRing(first.folder, settle_seconds=600)
    assert signed_by(ring) == first.signer.kid and len(kids(ring)) == 2
    ring.settle(time.time() + 601)
    assert signed_by(ring) != first.signer.kid


def test_a_token_key_that_is_gone_is_neither_published_nor_accepted_and_the_other_signs(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys", create=True)
    added(ring.folder, "token-0002.pem", tmp_path / "other")
    ring.take(KeyRing(ring.folder), time.time())
    new, old = kids(ring)
    (ring.folder / "token-0002.pem").unlink()
    ring.take(KeyRing(ring.folder), time.time())
    assert kids(ring) == [old] and ring.public_key(new) is None and signed_by(ring) == old


def test_a_token_that_a_key_has_signed_is_forgotten_with_the_key(tmp_path: Path) -> None:
    ring, now = KeyRing(tmp_path / "keys", create=True), int(time.time())
    added(ring.folder, "token-0002.pem", tmp_path / "other")
    ring.take(KeyRing(ring.folder), time.time())
    claims = {"iss": "https://gw", "aud": "https://gw/data/bank", "iat": now, "exp": now + 300}
    token = ring.sign({**claims, "grant_id": "a", "fam": "b", "client_id": "c"}, typ="at+jwt").encode()
    tokens = Tokens(ring, "https://gw")
    assert tokens.read(token, now) and tokens.read(token, now)
    ring.settle(time.time())
    assert tokens.read(token, now), "the same keys"
    (ring.folder / "token-0002.pem").unlink()
    ring.take(KeyRing(ring.folder), time.time())
    assert tokens.read(token, now) is None


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem"])
def test_a_key_that_is_for_good_is_known_to_be_another(ring: KeyRing, tmp_path: Path, name: str) -> None:
    other = KeyRing(tmp_path / "other", create=True)
    (ring.folder / name).write_bytes((other.folder / name).read_bytes())
    assert ring.foreign(KeyRing(ring.folder)) == [name]
    assert ring.foreign(ring) == []


def test_what_an_editor_or_a_copy_leaves_beside_the_keys_keeps_nobody_from_reading_them(
    ring: KeyRing, tmp_path: Path
) -> None:
    (ring.folder / ".#token-0001.pem").symlink_to(tmp_path / "nobody@nowhere.1234")
    assert list(open_files(ring.folder)) == []
    assert KeyRing(ring.folder).checks == ring.checks


def test_a_pipe_in_place_of_a_key_is_no_key(ring: KeyRing) -> None:
    os.mkfifo(ring.folder / "token-0002.pem", 0o600)
    with pytest.raises(Unavailable, match=r"token-0002.pem: is not a file"):
        KeyRing(ring.folder)
