"""What a request must look like before any door sees it: plain ASGI in front of everything.

The parser accepts, and a framework would repair, requests that can be understood in two ways. Here such a request is
refused and the connection closed.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.ground.http import problems
from gateway.ground.http.client_certificates import SCOPE, Verified, from_header
from gateway.ground.http.connector import Pairs
from gateway.ground.http.peers import Proxies
from gateway.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Fault = tuple[int, str]  # status, what is wrong

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
FIELDS_LIMIT = 100
FIELDS_BYTES = 32 * 1024
TARGET_BYTES = 8 * 1024
QUERY_PAIRS = 64

_ONCE = frozenset(
    (b"host", b"authorization", b"dpop", b"content-type", b"content-length", b"transfer-encoding", b"expect",
     b"content-encoding", b"cookie")
)  # fmt: skip
# Header fields by which a client could pretend to be our reverse proxy, or claim another method or address, or a
# certificate that it has not shown.
_FORGED = (
    rb"forwarded|x-forwarded-.*|x-real-ip|x-original-.*|x-rewrite-.*|x-http-method.*|x-method-override"
    rb"|x-ssl-.*|x-tls-.*|ssl-.*|client-cert.*|x-client-cert.*|x-amzn-mtls-.*|x-arr-clientcert.*"
    rb"|x-user-.*|x-internal-.*|true-client-ip|proxy-.*|.*_.*"
)
# Fields that nearly every request has and that are not forged: they need not be matched with the pattern above.
_USUAL = _ONCE | {b"accept", b"accept-encoding", b"accept-language", b"connection", b"user-agent", b"x-request-id"}
_BODY = frozenset((b"transfer-encoding", b"content-length", b"expect", b"content-encoding"))
_SMART = b"/.well-known/smart-configuration"  # asked for below a FHIR base, and answered here: never sent on
# Each path has only one spelling: plain segments, none empty, none that begins or ends with a dot, nothing escaped.
_PATH_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._~$@:+,=-"
_VALUE_CHARACTERS = bytes((9, *range(32, 127), *range(128, 256)))
_QUERY = re.compile(rb"[!-~]*")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Guarded:
    """`app`, which only sees requests that keep the rules. Lifespan messages pass; web sockets are refused."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._host = settings.host_header.lower().encode()
        self._wrong_host = f"host: this gateway answers to {settings.host_header}"  # it is public
        self._wrong_mtls_host = f"host: with certificates this gateway answers to {settings.mtls_host_header}"
        self._trusted = Proxies(settings)
        self._said = _SaidByProxy(settings)
        self._forged = re.compile(b"|".join((_FORGED, *map(re.escape, self._said.names))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            fault = self.fault(scope)
            if fault is not None:
                await problems.malformed(send, *fault)
                return
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1002})
            return
        await self._app(scope, receive, send)

    def fault(self, scope: Scope) -> Fault | None:
        """What is wrong with the request; None: nothing. Also removes forged fields from the scope and writes the true
        peer into it."""
        method, headers = scope["method"], scope["headers"]
        if method not in METHODS:
            return 405, "method"
        if scope["http_version"] not in ("1.1", "1.0"):
            return 505, "HTTP version"
        if len(headers) > FIELDS_LIMIT:
            return 431, "too many fields"
        raw_path = scope["raw_path"]
        if len(raw_path) + len(scope["query_string"]) > TARGET_BYTES:
            return 414, "target"
        if not _is_plain(raw_path) or not _QUERY.fullmatch(scope["query_string"]):
            return 400, "path"
        names = [name for name, _ in headers]
        values = b"".join([value for _, value in headers])
        if len(values) + sum(map(len, names)) > FIELDS_BYTES:
            return 431, "fields too large"
        if values.translate(None, _VALUE_CHARACTERS):
            return 400, "control character"
        fields = dict(headers)
        if len(fields) != len(names) and any(names.count(name) > 1 for name in _ONCE):
            return 400, "repeated field"
        host = fields.get(b"host", b"").lower()
        if (host != self._host or SCOPE in scope) and (fault := self._elsewhere(scope, host)):
            return fault
        if not _USUAL.issuperset(names) and any(map(self._forged.fullmatch, names)):
            self._drop_forged(scope)
        return _body_fault(method, scope["http_version"], fields) if not _BODY.isdisjoint(names) else None

    def _drop_forged(self, scope: Scope) -> None:
        headers = scope["headers"]
        if self._trusted and scope.get("client"):
            address, port = scope["client"]
            caller = self._trusted.caller(address, [v.decode("latin-1") for n, v in headers if n == b"x-forwarded-for"])
            scope["client"] = (caller, port if caller == address else 0)
        scope["headers"] = [field for field in headers if not self._forged.fullmatch(field[0])]

    def _elsewhere(self, scope: Scope, host: bytes) -> Fault | None:
        """Of a request that was not sent to the public address. The only other one is that for mutual TLS: on a port of
        its own, or through a trusted proxy, which then says what it was shown."""
        if host != self._said.host or not host:
            return 400, self._wrong_mtls_host if SCOPE in scope else self._wrong_host
        if SCOPE in scope:  # the connection has said it
            return None
        if not self._said.names or not scope.get("client") or not self._trusted.trusts(scope["client"][0]):
            return 400, self._wrong_host
        return self._said.read(scope)


class _SaidByProxy:
    """What a trusted proxy says of the certificate that it was shown.

    It is read at the address for mutual TLS alone: there the proxy always sets these fields, and what a client has sent
    at another of its addresses, where it may pass them on as they come, is nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self.host = settings.mtls_host_header.lower().encode()
        self._certificate = settings.client_certificate_header.lower().encode()
        self._verify = settings.client_certificate_verify_header.lower().encode()
        self._all_verified = settings.client_certificate_proxy_verifies
        self.names = tuple(name for name in (self._certificate, self._verify) if name)

    def read(self, scope: Scope) -> Fault | None:
        """Write the certificate into the scope; None where there is none."""
        certificates = [value for name, value in scope["headers"] if name == self._certificate]
        verdicts = [value for name, value in scope["headers"] if name == self._verify]
        if len(certificates) > 1 or len(verdicts) > 1:
            return 400, "repeated client certificate"
        value, verdict = b"".join(certificates), b"".join(verdicts)
        try:
            scope[SCOPE] = from_header(value, self._verified(verdict)) if value else None
        except ValueError:
            return 400, "client certificate"
        return None

    def _verified(self, verdict: bytes) -> Verified:
        """Raises ValueError: a certificate, and the proxy says that there is none, or nothing."""
        if not self._verify:
            return "ca" if self._all_verified else "unchecked"
        if verdict != b"SUCCESS" and not verdict.startswith(b"FAILED"):
            raise ValueError
        return "ca" if verdict == b"SUCCESS" else "unchecked"


def _is_plain(path: bytes) -> bool:
    path = path.removesuffix(_SMART) if path.startswith(b"/data/") else path
    odd = path.translate(None, _PATH_CHARACTERS) or b"//" in path or b"./" in path or path[-1:] == b"."
    return path[:1] == b"/" and not odd and (b"/." not in path or path.startswith(b"/.well-known/"))


def _body_fault(method: str, version: str, fields: dict[bytes, bytes]) -> Fault | None:
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None and (length is not None or coding.lower() != b"chunked" or version == "1.0"):
        return 400, "two framings"
    if length is not None and not length.isdigit():
        return 400, "length"
    if method in ("GET", "HEAD") and (coding is not None or length not in (None, b"0")):
        return 400, "body on a read"
    if fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        return 417, "expectation"
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        return 415, "content coding"
    return None


def query_pairs(raw: bytes) -> Pairs | None:
    """The query, parsed once, so that the pairs that are judged are those sent on. None: it can be read in two ways.

    `+` is a plus sign (RFC 3986). `;`, which some read as a separator, is refused, and so are empty names.
    """
    if not raw:
        return ()
    if b";" in raw or _BROKEN_ESCAPE.search(raw):
        return None
    pairs = []
    for part in raw.split(b"&"):
        name, _, value = part.partition(b"=")
        try:
            pair = unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            return None
        if not pair[0] or "[" in pair[0] or not (pair[0] + pair[1]).isprintable():
            return None
        pairs.append(pair)
    return tuple(pairs) if len(pairs) <= QUERY_PAIRS else None
