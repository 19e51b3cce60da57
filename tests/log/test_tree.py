"""The tree's mathematics: public vectors, and properties over trees small enough to compare by definition."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log import tree

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
absent = pytest.mark.skipif(not VECTORS.is_dir(), reason="public test vectors are not beside the repository")


def cases(folder: str) -> list[Any]:
    return [
        pytest.param(json.loads(path.read_text()), id=str(path.relative_to(VECTORS)))
        for path in sorted((VECTORS / "merkle-rfc6962" / folder).rglob("*.json"))
    ]


def hashes(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def defined(leaves: list[bytes]) -> bytes:
    """MTH straight from RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined(leaves[:split]) + defined(leaves[split:])).digest()


LEAVES = [tree.leaf_hash(str(number).encode()) for number in range(70)]
sizes = st.integers(min_value=1, max_value=len(LEAVES))


def test_hashes_of_leaves_nodes_and_nothing_are_those_of_the_standard() -> None:
    assert base64.b64encode(tree.EMPTY_ROOT).decode() == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert base64.b64encode(tree.leaf_hash(b"hello world")).decode() == "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0="
    assert tree.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@absent
@pytest.mark.parametrize("case", cases("inclusion"))
def test_inclusion_proofs_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    [leaf], [root] = hashes([case["leafHash"]]), hashes([case["root"]])

    def check() -> None:
        tree.check_inclusion(case["leafIdx"], case["treeSize"], leaf, hashes(case["proof"]), root)

    if case["wantErr"]:
        with pytest.raises(tree.BadProof):
            check()
    else:
        check()


@absent
@pytest.mark.parametrize("case", cases("consistency"))
def test_consistency_proofs_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    [old], [new] = hashes([case["root1"]]), hashes([case["root2"]])
    refused = case["wantErr"]

    def check() -> None:
        if case["size1"] == 0:  # the vectors know no proof from nothing; who asks for one passes 1 or more
            raise tree.BadProof
        tree.check_consistency(case["size1"], case["size2"], old, new, hashes(case["proof"]))

    if refused:
        with pytest.raises(tree.BadProof):
            check()
    else:
        check()


@absent
def test_all_vectors_were_found() -> None:
    assert len(cases("inclusion")) > 80 and len(cases("consistency")) > 80


def test_from_nothing_only_the_empty_proof_is_right() -> None:
    tree.check_consistency(0, 7, tree.EMPTY_ROOT, LEAVES[0], [])
    with pytest.raises(tree.BadProof):
        tree.check_consistency(0, 7, tree.EMPTY_ROOT, LEAVES[0], [LEAVES[1]])
    with pytest.raises(tree.BadProof):
        tree.check_consistency(0, 7, LEAVES[2], LEAVES[0], [])


@given(st.integers(min_value=0, max_value=len(LEAVES)))
def test_the_root_of_a_grown_tree_is_the_root_by_definition(size: int) -> None:
    grown = tree.Range()
    for leaf in LEAVES[:size]:
        grown.append(leaf)
    assert grown.root() == defined(LEAVES[:size]) == tree.root(LEAVES[:size])


@given(sizes, st.integers(min_value=0, max_value=20))
def test_a_range_read_back_grows_as_if_it_had_never_stopped(size: int, more: int) -> None:
    grown = tree.Range()
    for leaf in LEAVES[:size]:
        grown.append(leaf)
    again = tree.Range.from_bytes(size, bytes(grown))
    for leaf in LEAVES[size : size + more]:
        again.append(leaf)
        grown.append(leaf)
    assert again.root() == grown.root() and again.size == grown.size


@given(sizes, st.integers(min_value=0, max_value=64 * 32))
def test_a_range_of_the_wrong_length_is_refused(size: int, length: int) -> None:
    if length == size.bit_count() * 32:
        length += 1
    with pytest.raises(ValueError):
        tree.Range.from_bytes(size, bytes(length))


@given(st.data())
def test_every_leaf_has_a_proof_that_verifies_for_it_and_for_no_other(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    leaves, root = LEAVES[:size], defined(LEAVES[:size])
    proof = tree.inclusion_proof(index, leaves)
    assert len(proof) <= 63
    tree.check_inclusion(index, size, leaves[index], proof, root)
    for wrong_index in {index + 1, index - 1} - {index}:
        with pytest.raises(tree.BadProof):
            tree.check_inclusion(wrong_index, size, leaves[index], proof, root)
    with pytest.raises(tree.BadProof):
        tree.check_inclusion(index, size, tree.leaf_hash(b"forged"), proof, root)
    if proof:
        at = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        bent = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        with pytest.raises(tree.BadProof):
            tree.check_inclusion(index, size, leaves[index], bent, root)


@given(st.data())
def test_every_older_tree_has_a_proof_that_it_is_a_prefix(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(min_value=1, max_value=new))
    old_root, new_root = defined(LEAVES[:old]), defined(LEAVES[:new])
    proof = tree.consistency_proof(old, LEAVES[:new])
    tree.check_consistency(old, new, old_root, new_root, proof)
    forged = defined([tree.leaf_hash(b"forged"), *LEAVES[1:old]])
    with pytest.raises(tree.BadProof):
        tree.check_consistency(old, new, forged, new_root, proof)
    if old < new:
        with pytest.raises(tree.BadProof):
            tree.check_consistency(old, new, old_root, new_root, [*proof, LEAVES[0]])


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_of_what_is_not_there(index: int) -> None:
    with pytest.raises(ValueError):
        tree.inclusion_proof(index, LEAVES[:3])
    with pytest.raises(ValueError):
        tree.consistency_proof(4 if index > 0 else -1, LEAVES[:3])
