"""A request's head: the same verdict however it is cut, and each byte looked at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ground.http.heads import BYTES, LINES, RequestHead, Unfit

GOOD = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\n"


def verdict(*pieces: bytes) -> tuple[str, bytes]:
    """What became of the head, and what came after it."""
    head = RequestHead()
    for number, piece in enumerate(pieces):
        try:
            rest = head.add(piece)
        except Unfit as unfit:
            return str(unfit.status), b""
        if rest is not None:
            return "whole", bytes(rest) + b"".join(pieces[number + 1 :])
    return "goes on", b""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD, "whole"),
        (GOOD + NEXT, "whole"),
        (GOOD[:-2], "goes on"),
        (b"GET / HT", "goes on"),
        (b"GET / HTTP/1.1\r", "goes on"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (LINES - 2) + b"\r\n", "whole"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * LINES, "431"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * BYTES, "431"),
        (b"GET /" + b"y" * BYTES, "431"),
        (b"\r\n" + GOOD, "400"),
        (b"GET  / HTTP/1.1\r\n", "400"),
        (b"GET / RTSP/1.0\r\n", "400"),
        (b"GET / HTTP/1.1\n\n", "400"),
        (b"GET / HTTP/1.1\r\nX: y\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nX: y\rZ: y\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\r\n", "400"),
        (b"GET / HTTP/1.1\r\r\n\r\n", "400"),
    ],
    ids=range(17),
)
def test_a_head_has_one_form_whole_or_byte_by_byte(text: bytes, found: str) -> None:
    after = NEXT if text.endswith(NEXT) else b""
    assert verdict(text) == (found, after)
    assert verdict(*[text[at : at + 1] for at in range(len(text))]) == (found, after)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"a", GOOD, b"GET / HTTP/1.1\r\n"]), max_size=9),
       st.integers(1, 7))  # fmt: skip
def test_where_it_is_cut_changes_nothing(parts: list[bytes], size: int) -> None:
    text = b"".join(parts)
    assert verdict(text)[0] == verdict(*[text[at : at + size] for at in range(0, len(text), size)])[0]


@pytest.mark.inside
def test_each_byte_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    class Watched(bytearray):
        def find(self, what: bytes, start: int = 0) -> int:  # type: ignore[override]
            nonlocal looked
            looked += len(self) - start
            return super().find(what, start)

        def __getitem__(self, part: slice) -> bytearray:  # type: ignore[override]
            found = super().__getitem__(part)
            nonlocal looked
            looked += len(found)
            return found

    head = RequestHead()
    head.text = Watched()
    text = b"GET / HTTP/1.1\r\nX: " + b"y" * (BYTES - 100)
    for at in range(len(text)):
        assert head.add(text[at : at + 1]) is None
    assert looked < 8 * len(text)
