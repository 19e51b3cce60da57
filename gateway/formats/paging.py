"""How pages follow: whatever an organisation says of its next page becomes the query of one more call.

An app sees none of it. It gets an address with a sealed `page_token`, in which that query stands, bound to the app's
own references and to the call. So an organisation may page as it likes, its own identifiers in links stay on this side,
and the period of the agreement is put back on each page.
"""

import hashlib
import json
import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from gateway.catalogue.formats import CUSTOMER, Pages
from gateway.formats.model import Source, Upstream
from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs

TOKEN = "page_token"  # the parameter of an app's call
TOKEN_FORM = re.compile(r"[A-Za-z0-9_-]{24,4000}")
LONGEST = 2000  # characters of a query that is remembered
_HEADER = 16384  # characters of a Link header that are read
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*([^\s=;,\"<>]+)(?:[ \t]*=[ \t]*(?:{_QUOTED}|([^\s;,\"<>]*)))?")
_ADDRESS = re.compile(r"<([^<>]*)>")

_PLAIN_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]{1,1000}")

Step = tuple[str, Pairs]  # path at the organisation, "" for that of the call; query without the period


class Leading(NamedTuple):
    """What leads to another page. `period`: that it is of; None: that of this page."""

    step: Step
    period: Window | None = None


class Following(NamedTuple):
    """A page other than the first, as it stands in a token. `listing`, `ahead`: as in `Upstream`."""

    step: Step
    period: Window
    listing: str
    ahead: bool = False


class Unusable(Exception):
    """There is a next page, and what is said of it leads nowhere."""


def of_header(link: str) -> str:
    """The address of the next page in a Link header (RFC 8288 §3); "": there is none."""
    link, at = link[:_HEADER], 0
    while (found := _ADDRESS.search(link, at)) is not None:
        at = found.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(link, at)) is not None:
            at = parameter.end()
            parameters.setdefault(parameter[1].lower(), parameter[2] or parameter[3] or "")
        if "next" in parameters.get("rel", "").lower().split() and not parameters.get("anchor"):
            return found[1]
    return ""


def of_address(source: Source, sent: Upstream, address: str) -> Step:
    """The call that an address means, at the organisation itself. Raises Unusable."""
    try:
        parts = urlsplit(address)
    except ValueError:  # such as https://[::1
        raise Unusable from None
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    if len(parts.query) > LONGEST:
        raise Unusable
    own = urlsplit(source.upstream_url)
    path = parts.path.rstrip("/")
    if not path or sent.path.rstrip("/").endswith(path) or _is_of(path, sent.path.rstrip("/")):
        return "", query
    if not _PLAIN_PATH.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
        raise Unusable
    if (parts.scheme, parts.netloc) in (("", ""), (own.scheme, own.netloc)) and path.startswith(own.path + "/"):
        return path.removeprefix(own.path), query
    raise Unusable


def _is_of(path: str, sent: str) -> bool:
    """Whether a path ends as the call's does. Whatever customer stands in it: hers is written in the next, too."""
    known = sent.split(f"{{{CUSTOMER}}}")
    return path.endswith(sent) if len(known) == 1 else bool(re.search("[^/]+".join(map(re.escape, known)) + "$", path))


def by_number(pages: Pages, sent: Upstream, count: int, last: str = "") -> Pairs | None:
    """The query of the next page where pages have numbers; None: this was the last. `count`: records of this page.
    `last`: how many pages there are, where the answer says so."""
    known = dict(sent.page)
    if sent.over_records:  # whatever size was asked for: fewer records may be a limit of the organisation's
        size = 0
    else:
        size = int(known[pages.size]) if known.get(pages.size, "").isdecimal() else 0
    if count == 0 or count < size:
        return None
    default = pages.first if pages.by == "page" else 0
    at = int(known[pages.parameter]) if known.get(pages.parameter, "").isdecimal() else default
    after = at + (1 if pages.by == "page" else count)
    if pages.by == "page" and last.isdecimal() and after > int(last) - 1 + pages.first:
        return None
    return instead(sent, pages.parameter, str(after))


def instead(sent: Upstream, parameter: str, value: str) -> Pairs:
    """The query of the same call with another value of one parameter."""
    return (*(pair for pair in sent.page if pair[0] != parameter), (parameter, value))


def listing(sent: Upstream) -> str:
    """What a page has in common with all others of its listing, and with those of no other: what the first asked."""
    if sent.listing:
        return sent.listing
    asked = repr((sent.path, sent.query, sent.body))
    return hashlib.blake2b(asked.encode(), digest_size=12).hexdigest()


def sealed(source: Source, following: Following, *context: str) -> str:
    (path, pairs), window, *rest = following
    edges = [None if edge is None else edge.isoformat() for edge in (window.start, window.end)]
    return source.sealer.seal(json.dumps([path, pairs, edges, *rest], separators=(",", ":")), "page", *context)


def opened(source: Source, token: str, *context: str) -> Following | None:
    """The page; None: the gateway gave no such token to this app for this call."""
    if not TOKEN_FORM.fullmatch(token):
        return None
    plain = source.sealer.open(token, "page", *context)
    if plain is None:
        return None
    path, pairs, edges, *rest = json.loads(plain)
    rest = rest or [""]  # one of before listings were told apart is of a listing of its own
    start, end = (None if edge is None else datetime.fromisoformat(edge) for edge in edges)
    return Following((path, tuple((name, value) for name, value in pairs)), Window(start, end), *rest)
