"""Keys and signatures that prove nothing, and keys that are none: each is a signature that does not hold."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.ground.keys import jose

KIND = jose.TokenKind(types=("jwt",), algorithms=("ES256", "PS256", "EdDSA"), untyped=True)
P = 2**255 - 19
ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
SMALL = [
    bytes(32),  # order 4
    b"\x01" + bytes(31),  # the neutral element
    (P - 1).to_bytes(32, "little"),  # order 2
    bytes.fromhex(ORDER_8),
    bytes.fromhex(ORDER_8)[:31] + b"\x85",  # the same with the other sign
    P.to_bytes(32, "little"),  # 0 again, not reduced
]


def token(algorithm: str, signature: bytes) -> jose.Signed:
    parts = (f'{{"alg":"{algorithm}"}}'.encode(), b"{}", signature)
    return jose.read(".".join(map(jose.encoded, parts)), 10_000, KIND)


def okp(x: bytes) -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": jose.encoded(x)}


def signed(private: ed25519.Ed25519PrivateKey) -> jose.Signed:
    return token("EdDSA", private.sign(token("EdDSA", bytes(64)).message))


@pytest.mark.parametrize("x", SMALL)
@pytest.mark.parametrize("first", SMALL)
def test_a_signature_that_fits_every_message_proves_nothing(x: bytes, first: bytes) -> None:
    assert not jose.verified(token("EdDSA", first + bytes(32)), [okp(x)])
    assert not jose.verified(token("EdDSA", first + b"\x01" + bytes(31)), [okp(x)])


@pytest.mark.parametrize("x", SMALL)
def test_a_point_of_small_order_is_recognised(x: bytes) -> None:
    assert jose.is_of_small_order(x)


def test_a_signature_by_the_rules_holds_and_not_with_a_half_of_nothing() -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key = okp(private.public_key().public_bytes_raw())
    good = signed(private)
    assert jose.verified(good, [key])
    assert not jose.verified(token("EdDSA", good.signature[:32] + bytes(32)), [key])
    assert not jose.verified(token("EdDSA", bytes(32) + good.signature[32:]), [key])
    assert not jose.verified(token("EdDSA", good.signature[:31]), [key])


@pytest.mark.parametrize("odd", [[], ["x"], "x", None, 1, {}, {"kty": []}, {"kty": "OKP", "crv": "Ed25519", "x": None}])
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
def test_what_is_no_key_is_passed_over(odd: object, algorithm: str) -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert not jose.verified(token(algorithm, b"x" * 64), [odd])
    assert jose.verified(signed(private), [odd, okp(private.public_key().public_bytes_raw())])
