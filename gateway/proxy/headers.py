"""Which fields pass, each way. Lists of what passes; whatever is not on them stays (negative cases D4 to D6, D13.6).

Nothing of the app's request goes to the organisation but what is written here anew, and of
its answer only the type of the document comes back: `Date` is ours, an `ETag` or
`Last-Modified` of the whole document would tell about what was withheld, and an answer for
one person is never kept by a cache (D14).
"""

from gateway.organisations.connector import Headers

Field = tuple[bytes, bytes]

# of every answer that carries data
PRIVATE: Headers = [(b"cache-control", b"private, no-store"), (b"x-content-type-options", b"nosniff")]


def upstream(authorization: Field, accept: str, request_id: str) -> Headers:
    return [authorization, (b"accept", accept.encode("latin-1")), (b"x-request-id", request_id.encode())]


def found(headers: Headers, name: bytes) -> str | None:
    """The value of one field, None when absent or given twice."""
    values = [value for key, value in headers if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def answer(media_type: str, length: int | None, request_id: str) -> Headers:
    fields = [(b"content-type", media_type.encode("latin-1")), *PRIVATE, (b"x-request-id", request_id.encode())]
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    return fields
