"""The head of a request as its bytes arrive: one request line, CRLF ends, limited size (RFC 9112 §2.1, §2.2, §3).

Each byte is looked at once, however small the pieces are, so that sending tiny pieces does not cost us more than it
costs the sender.
"""

import re

BYTES = 48 * 1024  # higher than the guard's own limit, whose 431 is the better answer
LINES = 128  # request line, fields and the empty line; the guard accepts 100 fields

_LINE = re.compile(rb"[A-Z]{1,20} /[!-~]* HTTP/1\.[01]\r\n")
_END = b"\r\n\r\n"


class Unfit(Exception):
    """These bytes cannot be the head of a valid request. `status`: 400, or 431 if it is too large."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def line_ends(text: bytes) -> int:
    """How many CRLF stand in a text; -1: a CR or LF stands in it alone."""
    others = text.replace(b"\r\n", b"")  # takes half as long as counting each
    return -1 if b"\n" in others or b"\r" in others else (len(text) - len(others)) // 2


class RequestHead:
    """One head, from its first byte to the empty line."""

    def __init__(self) -> None:
        self.text = bytearray()
        self._ends = 0  # line ends seen

    def add(self, data: bytes) -> bytes | None:
        """Add received bytes. Returns those after the end of the head; None: the head is not complete. Raises Unfit."""
        old = len(self.text)
        self.text += data
        found = self.text.find(_END, max(0, old - len(_END) + 1))
        size = len(self.text) if found < 0 else found + len(_END)
        before = self._ends
        self._check(bytes(self.text[old - 1 : size]) if old else data[:size], old > 0)
        if before == 0 and self._ends and not _LINE.match(self.text):
            raise Unfit(400)
        if size > BYTES or self._ends > LINES:
            raise Unfit(431)
        if found < 0:
            return None
        del self.text[size:]
        return data[size - old :]

    def _check(self, new: bytes, goes_on: bool) -> None:
        """Check and count the line ends in `new`. With `goes_on`, `new` begins with the last byte checked before.

        Every CR must be followed by an LF, and every LF preceded by a CR. The LF of a CR at the end may still come.
        """
        if goes_on and new[:1] == b"\n":
            new = new[1:]  # counted with its CR
        ends = line_ends(new[:-1] if new.endswith(b"\r") else new)
        if ends < 0:
            raise Unfit(400)
        self._ends += ends
