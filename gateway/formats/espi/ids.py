"""The ids of resources, in addresses: the organisation's own, and what the app sees in their place.

To us an id is opaque, whatever an address may hold between two slashes (RFC 3986 §3.3). Outside, an id has the letters
of every other address of the gateway:

    07                           as it is
    NzI6bnVsbDozNjAwOjE=         x.NzI6bnVsbDozNjAwOjE_3D    escaped, and read back in a call
    anything too long or odd     d.5f0c…                     derived; it tells resources apart and cannot be called

The organisation's name of a usage point never leaves, though a meter or a reading type be called the same: for the
person's own it is the app's name for it; for one the app may not see, a number. Both are read back. An id that is such
a name in Base64, with other words or alone, is derived: from what is left when the name is taken out.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from urllib.parse import quote, unquote
from uuid import UUID, uuid5

from gateway.formats.model import WITHHELD, Account, UnknownShape
from gateway.formats.names import AccountNames

_MARKS = "+!$&'()*,;=:@"  # sub-delims, and what else of pchar is not unreserved
_DOTS = r"(?!\.{1,2}(?:;|$))"  # some servers leave out of a segment what follows a semicolon
_SEGMENT = re.compile(_DOTS + rf"(?:[A-Za-z0-9._~{_MARKS}-]|%[0-9A-F]{{2}}){{1,256}}")
# What servers take for a slash, a dot or another escape once they have read one: such an id is not called.
_CALLED = re.compile(rf"(?!.*%(?:2F|5C|2E|25|[01]|7F)){_SEGMENT.pattern}")
_PLAIN = re.compile(r"(?![xd]\.)(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")
_BASE64 = re.compile(r"[A-Za-z0-9+_-]{6,255}={0,2}")
_ODD = re.compile(r"[^A-Za-z0-9.-]")
_ESCAPE = re.compile(r"_([0-9A-F]{2})")
IDS_HELD = 256
_ESCAPED, _DERIVED = "x.", "d."
_LONGEST = 128  # as the gateway takes a segment


def canonical(path: str) -> str:
    """A path in which two spellings of one segment are the same. Raises UnknownShape for one that leads elsewhere."""
    if "%" not in path and path.isascii():
        return path
    segments = [
        quote(unquote(each, errors="surrogateescape"), safe=_MARKS, errors="surrogateescape")
        for each in path.split("/")
    ]
    if "." in segments or ".." in segments:
        raise UnknownShape("link")
    return "/".join(segments)


def is_id(text: str) -> bool:
    return _SEGMENT.fullmatch(text) is not None


class Ids:
    """The ids of one app's view."""

    def __init__(self, names: AccountNames, others: Iterable[str], namespace: UUID) -> None:
        """`others`: the organisation's names of usage points that the app may not see."""
        unseen = sorted(set(others) - names.ref.keys())
        numbered = (Account(name, f"{WITHHELD}-{number:03}") for number, name in enumerate(unseen, 1))
        self._names = AccountNames((*names.accounts, *numbered))
        self._namespace = namespace
        self._held: dict[str, str] = {}  # ids shown lately: every block names its meter

    def shown(self, own: str) -> str:
        """An id as the app sees it."""
        shown = self._held.get(own)
        if shown is None:
            if len(self._held) >= IDS_HELD:
                self._held.clear()
            shown = self._held[own] = self._made(own)
        return shown

    def _made(self, own: str) -> str:
        text = self._names.outward_text(self._names.outward(own))
        if _BASE64.fullmatch(text) and (inside := self._said(text)):
            return _DERIVED + uuid5(self._namespace, inside).hex
        if _PLAIN.fullmatch(text):
            return text
        escaped = _ESCAPED + _ODD.sub(lambda odd: f"_{ord(odd[0]):02X}", text)
        if len(escaped) > _LONGEST or not _CALLED.fullmatch(text) or self._names.outward_text(escaped) != escaped:
            return _DERIVED + uuid5(self._namespace, text).hex
        return escaped

    def _said(self, text: str) -> str:
        """What a Base64 text says without the name of a usage point in it; "" if there is none in it."""
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            said = b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("latin-1")
        except NotBase64:
            return ""
        shown = self._names.outward_text(said)
        return shown if shown != said else ""

    def own(self, shown: str) -> str | None:
        """The same as the organisation knows it; None: no id that can be called."""
        text = shown
        if shown.startswith(_ESCAPED):
            text = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), shown.removeprefix(_ESCAPED))
            if self.shown(text) != shown:
                return None  # one address for one resource
        elif not _PLAIN.fullmatch(shown):
            return None
        own = self._names.inward(text)
        return own if _CALLED.fullmatch(own) else None
