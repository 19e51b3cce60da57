"""Which fields pass, each way. Lists of what passes; whatever is not on them stays.

Nothing of the app's request goes to the organisation but what is written here anew, and of
its answer only the type of the document comes back: `Date` is ours, an `ETag` or
`Last-Modified` of the whole document would tell about what was withheld, and an answer for
one person is never kept by a cache.
"""

from gateway.ground.http.connector import Headers

Field = tuple[bytes, bytes]

_DESCRIBING = (b"content-type", b"content-length")
# of every answer that carries data
PRIVATE: Headers = [(b"cache-control", b"private, no-store"), (b"x-content-type-options", b"nosniff")]


def upstream(authorization: Field, accept: str, request_id: str) -> Headers:
    return [authorization, (b"accept", accept.encode("latin-1")), (b"x-request-id", request_id.encode())]


def described(headers: Headers) -> tuple[str | None, str | None, str]:
    """Type and length of the document, each None when absent or given twice, and where the next page is."""
    names, known = [name for name, _ in headers], dict(headers)
    found = [known[name].decode("latin-1") if names.count(name) == 1 else None for name in _DESCRIBING]
    link = b", ".join(value for name, value in headers if name == b"link")  # one list (RFC 9110 §5.3)
    return found[0], found[1], link.decode("latin-1")


def answer(media_type: str, length: int | None, request_id: str, following: str = "", notice: str = "") -> Headers:
    """`following`: address of the next page (RFC 8288). `notice`: what the document cannot say itself."""
    fields = [(b"content-type", media_type.encode("latin-1")), *PRIVATE, (b"x-request-id", request_id.encode())]
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    if following:
        fields.append((b"link", b'<%b>; rel="next"' % following.encode("ascii")))
    if notice:
        fields.append((b"aval-notice", notice.encode("ascii")))
    return fields
