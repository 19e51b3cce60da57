"""Signed notes and checkpoints, against the public vectors and against bending."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.log.notes import (
    BadNote,
    Checkpoint,
    Signer,
    VerifierKey,
    decimal,
    decode64,
    open_checkpoint,
    open_note,
)

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
absent = pytest.mark.skipif(not VECTORS.is_dir(), reason="public test vectors are not beside the repository")


def vectors(name: str) -> Any:
    path = VECTORS / name
    return json.loads(path.read_text()) if path.exists() else {}


NOTES = vectors("sumdb-note/notes.json")
TREE_NOTES = vectors("sumdb-note/tlog.json")
C2SP = vectors("tlog-spec-examples/c2sp.json")
FORMATS = vectors("tlog-spec-examples/transparency-dev-formats.json")
SIGNER = Signer("gateway.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@absent
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in NOTES.get("notes", [])])
def test_notes_open_or_are_refused_as_the_vectors_say(case: dict[str, Any]) -> None:
    keys = [VerifierKey.parse(vkey) for vkey in case["vkeys"]] if "vkeys" in case else []
    note = case["note"] if "note" in case else bytes.fromhex(case["note_hex"])
    if case["ok"]:
        assert [key.name for key in open_note(note, keys).signed_by] == case["verified"]
    else:
        with pytest.raises(BadNote):
            open_note(note, keys)


@absent
@pytest.mark.parametrize("vkey", NOTES.get("bad_vkeys", []))
def test_bad_verifier_keys_are_refused(vkey: str) -> None:
    with pytest.raises(BadNote):
        VerifierKey.parse(vkey)


@absent
def test_the_specifications_example_opens() -> None:
    key = VerifierKey.parse(C2SP["signed_note"]["vkey"])
    assert open_note(C2SP["signed_note"]["note"], [key]).text == "This is an example message.\n"
    assert key.id.hex() == "530d903a" and str(key) == C2SP["signed_note"]["vkey"]


@absent
def test_a_private_key_in_gos_form_signs_what_its_public_key_verifies() -> None:
    signer = Signer.parse(NOTES["signer_keys_for_test_only"]["PeterNeumann"])
    assert open_note(signer.sign("one\n\ntwo\n"), [signer.verifier]).text == "one\n\ntwo\n"


@absent
@pytest.mark.parametrize("body", [row["body"] for row in FORMATS.get("checkpoint_body", [])])
def test_checkpoint_bodies_of_the_vectors_are_refused_for_their_form_or_their_short_root(body: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(body)


@absent
def test_tree_notes_of_the_vectors() -> None:
    for good in TREE_NOTES["tree_note_ok"]:
        assert Checkpoint.parse(good).text() == good
    for bad in TREE_NOTES["tree_note_bad"]:
        with pytest.raises(BadNote):
            Checkpoint.parse(bad)


@absent
def test_a_cosigned_checkpoint_has_the_form_we_read_and_its_unknown_keys_open_nothing() -> None:
    note = C2SP["cosigned_checkpoint_format_example"]["note"]
    with pytest.raises(BadNote, match="no known key"):
        open_note(note, [SIGNER.verifier])


def test_every_part_and_every_bent_byte_of_a_verifier_key_is_refused() -> None:
    vkey = str(SIGNER.verifier)
    assert VerifierKey.parse(vkey) == SIGNER.verifier
    parts = {vkey[i:j] for i in range(len(vkey)) for j in range(i + 1, len(vkey) + 1)} - {vkey}
    bent = {vkey[:i] + chr(ord(vkey[i]) + 1) + vkey[i + 1 :] for i in range(len(vkey))}
    for wrong in parts | bent:
        with pytest.raises(BadNote):
            VerifierKey.parse(wrong)


CHECKPOINT = Checkpoint("gateway.example/log", 5, bytes(range(32)))


def test_a_checkpoint_is_signed_and_opened() -> None:
    note = SIGNER.sign(CHECKPOINT.text())
    assert open_checkpoint(note, [SIGNER.verifier], CHECKPOINT.origin) == CHECKPOINT
    assert note.startswith(
        "gateway.example/log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— gateway.example/log "
    )
    with pytest.raises(BadNote, match="another log"):
        open_checkpoint(note, [SIGNER.verifier], "other.example/log")


def test_a_checkpoint_of_mallorys_key_under_our_name_opens_nothing() -> None:
    mallory = Signer(SIGNER.name, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(BadNote):
        open_checkpoint(mallory.sign(CHECKPOINT.text()), [SIGNER.verifier], CHECKPOINT.origin)


def test_every_bent_byte_of_a_signed_checkpoint_is_refused() -> None:
    note = SIGNER.sign(CHECKPOINT.text()).encode()
    for at in range(len(note)):
        with pytest.raises(BadNote):
            open_checkpoint(note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :], [SIGNER.verifier], CHECKPOINT.origin)


@pytest.mark.parametrize("text", ["", "01", "-1", "+1", " 1", "1 ", "1_0", "٣", "18446744073709551616", "1" * 28])
def test_numbers_that_could_be_written_otherwise_are_refused(text: str) -> None:
    with pytest.raises(BadNote):
        decimal(text)


def test_the_largest_size_is_read() -> None:
    assert decimal("18446744073709551615") == 2**64 - 1 and decimal("0") == 0


@pytest.mark.parametrize("text", ["AB==", "AA", "AA==\n", "A A=", "_w==", "AAA=AAA=", "é"])
def test_base64_that_could_be_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        decode64(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\tb"])
def test_a_key_cannot_have_a_name_that_does_not_fit_a_line(name: str) -> None:
    with pytest.raises(ValueError):
        Signer(name, SIGNER.private)
