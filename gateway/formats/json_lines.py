"""Records of JSON that stand in a line each, as a stream: cut as many whole lines at once as have come."""

from collections.abc import Callable

from gateway.formats.model import Counts, UnknownShape

LINE = 1 << 20  # bytes of one record
_BATCH = 1 << 16  # bytes that are waited for
_PIECE = 1 << 17  # and cut at once
Lines = Callable[[bytes, int | None], tuple[bytes, Counts]]  # whole lines, most records → what is given of them


class LinesCutter:
    """A `model.Cutter`. `most`: records in the whole answer."""

    def __init__(self, cut: Lines, most: int | None) -> None:
        self._cut, self._left = cut, most
        self._waiting: list[bytes] = []
        self._size = 0
        self._counts = Counts()

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._piece(chunk[at : at + _PIECE]) for at in range(0, len(chunk), _PIECE)])

    def close(self) -> bytes:
        return self._given(b"".join(self._waiting))

    def counts(self) -> Counts:
        return self._counts

    def _piece(self, chunk: bytes) -> bytes:
        self._waiting.append(chunk)
        self._size += len(chunk)
        if self._size < _BATCH or (b"\n" not in chunk and self._size <= LINE):
            return b""
        body = b"".join(self._waiting)
        end = body.rfind(b"\n") + 1
        self._waiting, self._size = [body[end:]], len(body) - end
        if self._size > LINE:
            raise UnknownShape("a line")
        return self._given(body[:end])

    def _given(self, lines: bytes) -> bytes:
        text, found = self._cut(lines, self._left)
        if self._left is not None:
            self._left -= found.records
        self._counts = _together(self._counts, found)
        return text


def _together(one: Counts, other: Counts) -> Counts:
    starts = [each for each in (one.start, other.start) if each is not None]
    ends = [each for each in (one.end, other.end) if each is not None]
    return Counts(
        one.records + other.records,
        one.records_withheld + other.records_withheld,
        one.fields_withheld + other.fields_withheld,
        min(starts, default=None),
        max(ends, default=None),
    )
