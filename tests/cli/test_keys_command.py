"""`aval keys`: what is listed, the next key, keys of a release before, and an emergency."""

import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
from cli_run import Aval
from cryptography.hazmat.primitives import serialization

from gateway.ground.keys.algorithms import SigningKey

Run = Callable[..., Aval]


def listed(aval: Run) -> list[dict[str, Any]]:
    done = aval("keys", "list", "--json")
    assert done.code == 0, done.err
    return [row for row in json.loads(done.out) if row["for"] == "tokens"]


def rotated(aval: Run, *options: str) -> dict[str, Any]:
    done = aval("keys", "rotate", "--json", *options)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def run(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "aval.sqlite3")) as database, database:
        database.execute(statement, values)


def sealed(folder: Path) -> dict[str, bytes]:
    with closing(sqlite3.connect(folder / "aval.sqlite3")) as database:
        return dict(database.execute("SELECT kid, sealed FROM signingkey").fetchall())


def test_the_first_key_is_a_row_and_no_file(aval: Run, begun: Path) -> None:
    [key] = listed(aval)
    assert (key["algorithm"], key["place"], key["state"]) == ("ES256", "database", "signs")
    assert sorted(path.name for path in (begun / "keys").iterdir()) == ["kek.hex", "log.pem", "root.hex"]
    assert "jwk" not in aval("keys", "list").out and "private" not in aval("keys", "list", "--json").out
    assert not {"d", "p", "q"} & key["jwk"].keys() and key["jwk"]["kid"] == key["public"]


def test_the_next_key_signs_once_it_has_settled(aval: Run, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [old] = listed(aval)
    done = rotated(aval)
    [made] = done["keys"]
    assert made["ended"] == [] and (done["families"], done["people"]) == (0, 0)
    states = {key["public"]: key["state"] for key in listed(aval)}
    assert states[old["public"]] == "signs" and states[made["kid"]].startswith("signs from ")
    assert rotated(aval)["keys"] == [made], "the next one is there already"
    monkeypatch.setenv("AVAL_KEY_SETTLE_SECONDS", "0")
    assert rotated(aval)["keys"][0]["kid"] == made["kid"]
    states = {key["public"]: key["state"] for key in listed(aval)}
    assert states == {made["kid"]: "signs", old["public"]: "accepted"}
    assert aval("keys", "rotate").out.startswith("ES256: ")


@pytest.mark.parametrize("algorithm", ["PS256", "RS256", "EdDSA"])
def test_the_first_key_of_another_algorithm_signs_at_once_beside(aval: Run, begun: Path, algorithm: str) -> None:
    [own] = listed(aval)
    [made] = rotated(aval, "--algorithm", algorithm)["keys"]
    found = {key["algorithm"]: (key["public"], key["state"]) for key in listed(aval)}
    assert found == {"ES256": (own["public"], "signs"), algorithm: (made["kid"], "signs")}


def test_an_algorithm_that_is_none_of_ours_is_refused(aval: Run, begun: Path) -> None:
    for name in ("HS256", "none", "ES512"):
        assert aval("keys", "rotate", "--algorithm", name).code == 2
    assert len(listed(aval)) == 1


def test_an_emergency_ends_all_keys_and_their_private_parts(aval: Run, begun: Path) -> None:
    [old] = listed(aval)
    [rsa] = rotated(aval, "--algorithm", "RS256")["keys"]
    [next_] = rotated(aval)["keys"]
    done = rotated(aval, "--emergency")
    made = {key["algorithm"]: key for key in done["keys"]}
    assert set(made) == {"ES256", "RS256"}
    assert set(made["ES256"]["ended"]) == {old["public"], next_["kid"]} and made["RS256"]["ended"] == [rsa["kid"]]
    states = {key["public"]: key["state"] for key in listed(aval)}
    assert {states[made["ES256"]["kid"]], states[made["RS256"]["kid"]]} == {"signs"}
    assert all(states[kid].startswith("ended 2") for kid in (old["public"], next_["kid"], rsa["kid"]))
    kept = sealed(begun)
    assert [kept[kid] for kid in (old["public"], next_["kid"], rsa["kid"])] == [b"", b"", b""]
    assert aval("doctor").out.count("FAIL") == 0
    again = aval("keys", "rotate", "--emergency")
    assert "refused by every process within a second" in again.out and "0 token families ended; 0 people" in again.out


def test_an_emergency_of_one_algorithm_leaves_the_others(aval: Run, begun: Path) -> None:
    [own] = listed(aval)
    [rsa] = rotated(aval, "--algorithm", "RS256")["keys"]
    done = rotated(aval, "--emergency", "--algorithm", "RS256")
    assert [key["ended"] for key in done["keys"]] == [[rsa["kid"]]]
    assert {key["public"] for key in listed(aval) if key["state"] == "signs"} == {own["public"], done["keys"][0]["kid"]}


# ---- keys of a release before


def of_before(folder: Path, *numbers: int) -> list[SigningKey]:
    """The gateway as a release before left it: its token keys are files, and their names are pinned."""
    run(folder, "DELETE FROM signingkey")
    made = []
    for number in numbers:
        key = SigningKey.made()
        path = folder / "keys" / f"token-{number:04}.pem"
        path.write_bytes(
            key.private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)
        run(folder, "INSERT INTO keycheck (file, value) VALUES (?, ?)", path.name, key.kid)
        made.append(key)
    return made


@pytest.mark.parametrize("command", [("migrate",), ("people", "list")], ids=["migrate", "first command"])
def test_token_keys_of_files_become_rows_under_the_same_names(aval: Run, begun: Path, command: tuple[str, ...]) -> None:
    old, new = of_before(begun, 1, 2)
    assert aval(*command).code == 0
    assert [key["public"] for key in listed(aval)] == [new.kid, old.kid]
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import open_store, signing_keys
    from gateway.settings import Settings

    using = Settings(data_dir=begun)
    ring = KeyRing.of(using)
    with closing(open_store(using)) as store:
        assert signing_keys.read(store, ring, 2e9) == []
    token = jwt.encode({"sub": "alice"}, old.private, algorithm="ES256", headers={"kid": old.kid})
    [published] = [key for key in ring.jwks()["keys"] if key["kid"] == old.kid]
    assert jwt.decode(token, jwt.PyJWK(published), algorithms=["ES256"]) == {"sub": "alice"}
    for number in (1, 2):
        path = begun / "keys" / f"token-{number:04}.pem"
        assert path.exists() and f"{path} is not used any more" in aval("doctor").out
        path.unlink()
    assert aval("people", "list").code == 0 and aval("doctor").code == 0
    assert [key["public"] for key in listed(aval)] == [new.kid, old.kid]


def test_files_are_taken_once_and_a_key_that_was_ended_does_not_come_back(aval: Run, begun: Path) -> None:
    [old] = of_before(begun, 1)
    assert aval("people", "list").code == 0
    [made] = rotated(aval, "--emergency")["keys"]
    assert made["ended"] == [old.kid]
    for _ in range(2):
        assert aval("migrate").code == 0 and aval("people", "list").code == 0
    assert [key["public"] for key in listed(aval) if not key["state"].startswith("ended")] == [made["kid"]]


def test_files_that_are_lost_or_foreign_are_not_replaced_by_new_keys(aval: Run, begun: Path) -> None:
    of_before(begun, 1)
    path = begun / "keys" / "token-0001.pem"
    own = path.read_bytes()
    path.unlink()
    done = aval("people", "list")
    assert done.code == 2 and "no token-*.pem" in done.err and "put the key files back" in done.err
    of_before(begun, 7)
    path.write_bytes((begun / "keys" / "token-0007.pem").read_bytes())
    done = aval("people", "list")
    assert done.code == 2 and f"{path}: holds another key than this database was used with" in done.err
    path.write_bytes(own)
    assert aval("people", "list").code == 0


# ---- the sealing key


@pytest.fixture
def kek(begun: Path) -> str:
    """The sealing key, and it is in no file any more."""
    path = begun / "keys" / "kek.hex"
    text = path.read_text().strip()
    path.unlink()
    return text


def works(aval: Run) -> bool:
    return aval("people", "list").code == 0 and aval("keys", "rotate").code == 0 and len(listed(aval)) == 2


def test_the_sealing_key_from_another_file(
    aval: Run, kek: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credential"
    path.write_text(kek)
    path.chmod(0o400)
    monkeypatch.setenv("AVAL_SEALING_KEY_FILE", str(path))
    assert works(aval) and str(path) in aval("keys", "list").out
    path.chmod(0o440)
    done = aval("serve", "--port", "0")
    assert done.code == 2 and f"{path}: others can read it" in done.err and kek not in done.err


def test_the_sealing_key_from_a_variable(aval: Run, kek: str, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_SEALING_KEY_VARIABLE", "GATEWAY_KEK")
    done = aval("people", "list")
    assert done.code == 2 and "environment variable GATEWAY_KEK: is not set" in done.err
    monkeypatch.setenv("GATEWAY_KEK", kek)
    assert works(aval) and "environment variable GATEWAY_KEK" in aval("keys", "list").out
    assert not (begun / "keys" / "kek.hex").exists()
    monkeypatch.setenv("GATEWAY_KEK", kek[:-2])
    done = aval("people", "list")
    assert done.code == 2 and "is not the key it should be" in done.err and kek[:-2] not in done.err


def test_the_sealing_key_from_a_command(aval: Run, kek: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "kms client"
    client.write_text(f"#!/bin/sh\necho \"$1 once\" >> '{tmp_path}/asked'\necho {kek}\n")
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("AVAL_SEALING_KEY_COMMAND", f"'{client}' decrypt; id")
    assert aval("people", "list").code == 0
    assert (tmp_path / "asked").read_text() == "decrypt; once\n", "no shell, and once"
    assert works(aval) and "sealing_key_command" in aval("keys", "list").out


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/nowhere/kms", "/nowhere/kms: No such file or directory"),
        ("sh -c 'echo {kek}; exit 3'", "ended with 3"),
        ("sh -c 'kill -9 $$'", "was ended by signal 9"),
        ("echo secret-{kek}", "is not the key it should be"),
        ("yes {kek}", "printed"),
        ("sh -c 'echo", "quotation marks"),
    ],
)
def test_a_command_that_fails_is_told_without_what_it_printed(
    aval: Run, kek: str, monkeypatch: pytest.MonkeyPatch, command: str, why: str
) -> None:
    if command.startswith("yes"):
        command = "sh -c 'yes {kek} | head -200'"
    monkeypatch.setenv("AVAL_SEALING_KEY_COMMAND", command.replace("{kek}", kek))
    for words in (("people", "list"), ("keys", "list"), ("keys", "rotate"), ("serve",)):
        done = aval(*words)
        assert done.code == 2 and why in done.err, done.err
        assert kek not in done.err + done.out


def test_another_sealing_key_is_refused_wherever_it_comes_from(
    aval: Run, kek: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAL_SEALING_KEY_VARIABLE", "GATEWAY_KEK")
    monkeypatch.setenv("GATEWAY_KEK", "00" * 32)
    for words in (("people", "list"), ("keys", "rotate"), ("serve",)):
        done = aval(*words)
        assert done.code == 2
        assert "environment variable GATEWAY_KEK: holds another key than this database was used with" in done.err
    assert "GATEWAY_KEK holds another key" in aval("doctor").out


def test_a_new_gateway_begins_with_the_sealing_key_of_a_variable(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAL_SEALING_KEY_VARIABLE", "GATEWAY_KEK")
    monkeypatch.setenv("GATEWAY_KEK", "11" * 32)
    assert aval("migrate").code == 0 and aval("people", "list").code == 0
    assert sorted(path.name for path in (folder / "keys").iterdir()) == ["log.pem", "root.hex"]
    monkeypatch.setenv("AVAL_SEALING_KEY_VARIABLE", "")
    assert aval("people", "list").code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"SEALING_KEY_VARIABLE": "KEK", "SEALING_KEY_COMMAND": "kms"},
        {"SEALING_KEY_FILE": "/run/kek", "SEALING_KEY_COMMAND": "kms"},
        {"SEALING_KEY_FILE": "/run/kek", "SEALING_KEY_VARIABLE": "KEK"},
        {"SEALING_KEY_VARIABLE": "AVAL_KEK"},
    ],
)
def test_two_places_of_the_sealing_key_are_one_too_many(
    aval: Run, begun: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(f"AVAL_{name}", value)
    done = aval("people", "list")
    assert done.code == 2 and "name one place" in done.err or "are settings" in done.err


def test_a_sealed_value_moved_to_another_row_keeps_the_gateway_from_starting(aval: Run, begun: Path) -> None:
    [own] = listed(aval)
    [next_] = rotated(aval)["keys"]
    kept = sealed(begun)
    run(begun, "UPDATE signingkey SET sealed = ? WHERE kid = ?", kept[own["public"]], next_["kid"])
    done = aval("serve", "--port", "0")
    assert done.code == 2 and f"token key {next_['kid']} is not sealed for its row" in done.err
    assert "cannot be opened" in aval("keys", "list").out and aval("doctor").code == 1
    run(begun, "UPDATE signingkey SET sealed = ? WHERE kid = ?", kept[next_["kid"]], next_["kid"])
    assert aval("people", "list").code == 0 and aval("doctor").code == 0


def test_a_database_put_back_has_its_keys_and_wants_its_sealing_key(
    aval: Run, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [made] = rotated(aval, "--algorithm", "PS256")["keys"]
    before = {key["public"] for key in listed(aval)}
    copy = tmp_path / "copy" / "aval.sqlite3"
    copy.parent.mkdir(mode=0o700)
    aval("backup", copy)
    assert copy.exists()
    monkeypatch.setenv("AVAL_KEYS_DIR", str(begun / "keys"))
    monkeypatch.setenv("AVAL_DATA_DIR", str(copy.parent))
    assert {key["public"] for key in listed(aval)} == before and made["kid"] in before
    monkeypatch.setenv("AVAL_SEALING_KEY_VARIABLE", "GATEWAY_KEK")
    monkeypatch.setenv("GATEWAY_KEK", "22" * 32)
    done = aval("people", "list")
    assert done.code == 2 and "holds another key than this database was used with" in done.err
