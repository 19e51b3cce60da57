"""How an organisation is connected: two tables of closed words, each chosen by itself.

    kind    how the gateway proves itself on a call      what a declaration says of it stands under its name
    match   which customer there a person is             link, oauth or sign_in

Beside them stand, for every kind: `tls`, the gateway's own certificate; and `person`, where a call names the customer
whose data it asks for, if the proof does not say so itself. That name always comes from the person's link.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import Fault
from gateway.ground.declarations import REQUIRED, Keys, checks
from gateway.ground.declarations.form import Kind
from gateway.ground.http.connector import TlsFiles
from gateway.ground.http.shown import showing
from gateway.organisations import file_rules
from gateway.organisations.addresses import Resolve, base_url_faults

Document = Mapping[str, Any]

# kind → its table under [connection]; "": it needs none
KINDS = {
    "assertion": "",
    "oauth": "oauth",
    "api_key": "api_key",
    "basic": "basic",
    "client_credentials": "client_credentials",
    "token_exchange": "token_exchange",
    "signed": "signed",
    file_rules.KIND: "files",  # no call is made, so nothing is proved
}
MATCHES = {"number": "link", "oauth": "oauth", "sign_in": "sign_in"}  # match → its table
USUAL = {"assertion": "number", "oauth": "oauth", file_rules.KIND: "number"}  # kind → match, where none is said
# kind → the only match it can have, and why
ONLY_MATCH = {
    "oauth": ("oauth", "kind = 'oauth' sends the token that match = 'oauth' gives"),
    file_rules.KIND: ("number", "people give their number and a code that they have been given"),
}
# Proofs that tell the organisation the pairwise subject: it knows whose that is if it was told so when linking.
NAME_THE_SUBJECT = ("assertion", "token_exchange")
MAY_BE_LEFT_OUT = ("signed",)  # tables of kinds in which nothing has to be said
TABLES_OF_ONE = tuple(dict.fromkeys([name for name in (*KINDS.values(), *MATCHES.values()) if name]))

CLIENT_AUTH = ("client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth")
WITH_SECRET = ("client_secret_basic", "client_secret_post")
# place → the secret that stands there; each is read from where the declaration says, and sealed
SECRETS = {
    "oauth": "client_secret",
    "api_key": "secret",
    "basic": "secret",
    "client_credentials": "client_secret",
    "token_exchange": "client_secret",
    "sign_in": "client_secret",
}

# Fields that the gateway writes itself or that say where a message ends.
TAKEN = frozenset(
    ("host", "connection", "content-length", "content-type", "content-encoding", "content-digest", "transfer-encoding")
    + ("te", "trailer", "upgrade", "expect", "accept", "accept-encoding", "user-agent", "x-request-id", "signature")
    + ("signature-input", "cookie", "keep-alive", "proxy-authorization", "proxy-connection", "forwarded")
)
WORD = "{customer}"
CUSTOMER = re.compile(r"(?!\.$)(?!.*\.\.)[!-~](?:[ -~]{0,126}[!-~])?")  # no way up a path, however it is written
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
MOST_HEADERS = 20
_SECRET_NAME = re.compile("authori[sz]ation|key|token|secret|password|session")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/\{customer\}(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_VISIBLE = r"[\x21\x23-\x5b\x5d-\x7e ]{1,400}"
_HEADER = re.compile(r"[!-~](?:[\t -~]{0,8190}[!-~])?")


# ---- the keys and their kinds of value, for `rules.FORM`


def _endpoint(value: object) -> str | None:
    fine = isinstance(value, str) and (_PATH.fullmatch(value) or value.startswith(("https://", "http://")))
    return None if fine else "write a plain path, as in /oauth/token, or an https address"


def _field(value: object) -> str | None:
    if not isinstance(value, str) or not _FIELD.fullmatch(value):
        return "write the name of a header field, as in X-Api-Key"
    return "the gateway writes this field itself; take another one" if value.lower() in TAKEN else None


def _headers(value: object) -> str | None:
    if not isinstance(value, dict) or not value or len(value) > MOST_HEADERS:
        return f'write a table of 1 to {MOST_HEADERS}: {{ "X-Api-Version" = "3" }}'
    for name, text in value.items():
        if wrong := _field(name):
            return f"{name}: {wrong}"
        if _SECRET_NAME.search(name.lower()):
            return f"{name}: a secret never stands in this file; kind = 'api_key' sends one"
        if not isinstance(text, str) or not _HEADER.fullmatch(text) or len(text) > 200:
            return f"{name}: write 1 to 200 characters of visible ASCII"
    return None


def _file(value: object) -> str | None:
    fine = isinstance(value, str) and value.startswith("/") and "\0" not in value
    return None if fine else "write the whole path of a file, as in /etc/aval/client.pem"


_CLIENT: Keys = {
    "token": ("endpoint", REQUIRED),
    "client_id": ("visible", REQUIRED),
    "auth": ("client_auth", None),
    "client_secret": ("secret", None),
    "scope": ("visible", None),
    "audience": ("visible", None),
    "resource": ("visible", None),
}
KEYS: Keys = {
    "match": ("match", None),
    "person": ("table", None),
    "tls": ("table", None),
    "headers": ("headers", None),
    **{name: ("table", None) for name in TABLES_OF_ONE if name not in ("oauth", "link")},
}
TABLES: Mapping[str, Keys] = {
    **file_rules.TABLES,
    "connection.api_key": {"header": ("field", REQUIRED), "secret": ("secret", REQUIRED)},
    "connection.basic": {"user": ("user", REQUIRED), "secret": ("secret", REQUIRED)},
    "connection.client_credentials": _CLIENT,
    "connection.token_exchange": _CLIENT,
    "connection.signed": {"address": ("address", None)},
    "connection.sign_in": {
        "name": ("words", REQUIRED),
        "issuer": ("text", REQUIRED),
        "authorize": ("endpoint", REQUIRED),
        "token": ("endpoint", REQUIRED),
        "jwks": ("endpoint", REQUIRED),
        "client_id": ("visible", REQUIRED),
        "auth": ("client_auth", None),
        "client_secret": ("secret", None),
        "scope": ("scope", None),
        "claim": ("claim", None),
    },
    "connection.person": {"header": ("field", None), "query": ("parameter", None), "path": ("prefix", None)},
    "connection.tls": {"certificate": ("file", REQUIRED), "key": ("file", REQUIRED), "ca": ("file", None)},
}
KINDS_OF_VALUE: Mapping[str, Kind] = {
    **file_rules.KINDS,
    "match": MATCHES,
    "endpoint": _endpoint,
    "field": _field,
    "headers": _headers,
    "file": _file,
    "user": checks.matches(r"[\x21-\x39\x3b-\x7e]{1,200}", "write visible ASCII without a colon"),
    "client_auth": CLIENT_AUTH,
    "address": ("target-uri", "parts"),
    "scope": checks.matches(rf"(?=(?:.* )?openid(?: |$)){_VISIBLE}", "write the scopes, openid among them"),
    "claim": checks.matches(r"[A-Za-z0-9_:/.-]{1,100}", "write the name of a claim, as in sub"),
    "parameter": checks.matches(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", "write the name of a parameter, as in customer"),
    "prefix": lambda value: (
        None
        if isinstance(value, str) and _PREFIX.fullmatch(value)
        else f"write a path with {WORD} as a segment, as in /customers/{WORD}"
    ),
}


# ---- what the keys must be to one another


def match_of(connection: Document) -> str:
    return str(connection.get("match", USUAL.get(str(connection.get("kind")), "")))


def faults(document: Document, look_up: Resolve) -> Iterator[Fault]:
    """The faults of a connection whose kind is known, besides those of single values."""
    connection = document["connection"]
    kind, match = str(connection.get("kind")), match_of(connection)
    if kind != file_rules.KIND and "base_url" not in connection:
        yield Fault("connection.base_url", "is missing", "write the address of its API")
    if kind not in KINDS:
        return
    yield from _match(connection, kind, match)
    yield from _tables(connection, kind, match)
    if kind == file_rules.KIND:
        return  # the rest is about calls; `file_rules` has what belongs to none
    yield from _person(document, kind, match)
    yield from _constant(connection)
    for place in ("client_credentials", "token_exchange", "sign_in"):
        if isinstance(connection.get(place), dict):
            yield from _client(connection, place)
    for place in ("oauth", "client_credentials", "token_exchange", "sign_in"):
        if isinstance(connection.get(place), dict):
            yield from _addresses(connection, place, look_up)
    if isinstance(connection.get("tls"), dict):
        yield from _tls(connection)


def _match(connection: Document, kind: str, match: str) -> Iterator[Fault]:
    if not match:
        yield Fault("connection.match", "is missing", f"one of {', '.join(MATCHES)}")
    only, why = ONLY_MATCH.get(kind, (match, ""))
    if match in MATCHES and match != only:
        yield Fault("connection.match", "is not right", why)


def _tables(connection: Document, kind: str, match: str) -> Iterator[Fault]:
    needed = {KINDS[kind]: f"kind = {kind!r}"}
    if kind != file_rules.KIND:  # its own table says how people are matched
        needed[MATCHES.get(match, "")] = _says(connection, kind, match)
    words = f"kind = {kind!r}" if "match" not in connection else f"kind = {kind!r} with match = {match!r}"
    for name in TABLES_OF_ONE:
        there = connection.get(name) is not None
        if name in needed and not there and name not in MAY_BE_LEFT_OUT:
            yield Fault(f"connection.{name}", "is missing", f"{needed[name]} needs it")
        elif there and name not in needed and (match in MATCHES or name not in MATCHES.values()):
            yield Fault(f"connection.{name}", f"does not belong to {words}", "leave it out")


def _says(connection: Document, kind: str, match: str) -> str:
    return f"match = {match!r}" if "match" in connection else f"kind = {kind!r}"


def names_itself(kind: str, match: str) -> bool:
    """Whether the proof says for whom a call is, so that nothing else has to."""
    return kind in ("oauth", file_rules.KIND) or (kind in NAME_THE_SUBJECT and match == "number")


def _person(document: Document, kind: str, match: str) -> Iterator[Fault]:
    connection = document["connection"]
    person, key = connection.get("person"), connection.get("api_key")
    if person is None:
        if not names_itself(kind, match) and not _in_every_path(document):
            right = "say where a call names the customer: header, query or path"
            some = _without_customer(document)
            more = f"; or ask with {WORD} in {', '.join(some)}, too" if some else ""
            yield Fault("connection.person", "is missing", right + more)
        return
    if not isinstance(person, dict):
        return
    if kind == "oauth":
        yield Fault("connection.person", "does not belong to kind = 'oauth'", "leave it out; its token says who")
    if len(person) != 1:
        yield Fault("connection.person", "is not right", "write one of header, query and path")
    field = str(person.get("header", "")).lower()
    used = {str(key.get("header", "")).lower() if isinstance(key, dict) else ""}
    used |= {"authorization"} if kind not in ("api_key", "signed") else set()
    if field and field in used:
        yield Fault("connection.person.header", "is the field of the gateway's own proof", "take another one")


def _in_every_path(document: Document) -> bool:
    """Whether each call names the customer by the word: in the paths of a shared format, or in what a call of the
    organisation's own asks."""
    rows, form = document.get("datasets"), document.get("format")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    calls = form.get("calls") if isinstance(form, dict) else None
    own = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    shared = [row.get("paths") for row in rows if "label" not in row]
    named = [f"{call.get('asks') or call.get('path')}{call.get('body') or ''}" for call in own]
    named += [str(path) for paths in shared for path in (paths if isinstance(paths, list) else [""])]
    return bool(named) and all(WORD in text for text in named)


def _constant(connection: Document) -> Iterator[Fault]:
    headers, person, key = (connection.get(name) for name in ("headers", "person", "api_key"))
    own = {str(table.get("header", "")).lower() for table in (person, key) if isinstance(table, dict)}
    if isinstance(headers, dict) and own & {str(name).lower() for name in headers}:
        yield Fault("connection.headers", "has a field that another table writes", "leave it out")


def _without_customer(document: Document) -> list[str]:
    """The calls of the organisation's own that do not name the customer, where others do."""
    form = document.get("format")
    calls = form.get("calls") if isinstance(form, dict) else None
    own = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    found = [str(call.get("name")) for call in own
             if WORD not in f"{call.get('asks') or call.get('path')}{call.get('body') or ''}"]  # fmt: skip
    return found if len(found) < len(own) else []


def _client(connection: Document, place: str) -> Iterator[Fault]:
    table = connection[place]
    auth, secret = table.get("auth", CLIENT_AUTH[0]), table.get("client_secret")
    if auth in WITH_SECRET and secret is None:
        yield Fault(f"connection.{place}.client_secret", "is missing", f"auth = {auth!r} needs it")
    if auth in CLIENT_AUTH and auth not in WITH_SECRET and secret is not None:
        yield Fault(f"connection.{place}.client_secret", f"does not belong to auth = {auth!r}", "leave it out")
    if auth == "tls_client_auth" and (connection.get("tls") is None or place == "sign_in"):
        # the certificate is for the organisation, and not shown to whoever signs people in for it
        yield Fault(f"connection.{place}.auth", "is not right", f"one of {', '.join(CLIENT_AUTH[:3])}")


def _addresses(connection: Document, place: str, look_up: Resolve) -> Iterator[Fault]:
    listed = connection.get("networks")
    networks = [str(each) for each in listed] if isinstance(listed, list) else []
    for key in ("issuer", "authorize", "token", "revoke", "jwks"):
        value = connection[place].get(key)
        if isinstance(value, str) and not _PATH.fullmatch(value):
            for wrong in base_url_faults(value.rstrip("/") if key == "issuer" else value, networks, look_up):
                yield Fault(f"connection.{place}.{key}", wrong)


def _tls(connection: Document) -> Iterator[Fault]:
    if not str(connection.get("base_url", "")).startswith("https://"):
        yield Fault("connection.tls", "is of no use", "a certificate is only shown over https")
    files = connection["tls"]
    if _file(files.get("certificate")) or _file(files.get("key")) or ("ca" in files and _file(files["ca"])):
        return
    for key in ("certificate", "key", "ca"):
        if key in files and not Path(files[key]).is_file():
            yield Fault(f"connection.tls.{key}", "is not there", f"there is no file {files[key]}")
            return
    try:
        showing(tls_of(files))
    except OSError:  # the library's message could quote a file
        yield Fault("connection.tls", "cannot be used", "write PEM: a certificate, its key without a password, a CA")


def secret_fault(place: str, secret: str) -> str | None:
    """What keeps a secret from being sent as this kind does."""
    if place == "api_key" and not _HEADER.fullmatch(secret):
        return "has characters that a header field cannot carry"
    return None


def secret_places(connection: Document) -> Collection[str]:
    """The tables here that name a secret."""
    return [
        place for place, key in SECRETS.items() if isinstance(connection.get(place), dict) and key in connection[place]
    ]


# ---- what may not change under people's links


def nature(connection: Document) -> tuple[tuple[str, str], ...]:
    """(key, word) of what links were made with. Proofs that need nothing of a link but the customer's name may take
    each other's place."""
    kind, match = str(connection["kind"]), match_of(connection)
    made = "one that names the customer" if parsed(connection).declared else kind
    return ("connection.kind", made), ("connection.match", match)


# ---- a checked declaration, as the room uses it


@dataclass(frozen=True, slots=True)
class CustomerPlace:
    """Where a call names the customer. Empty texts: not there."""

    header: str = ""
    query: str = ""
    path: str = ""  # before every path


@dataclass(frozen=True, slots=True)
class ClientEnds:
    """The gateway as a client of a token endpoint."""

    token: str  # address
    client_id: str
    auth: str = CLIENT_AUTH[0]
    scope: str = ""
    audience: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class SignInEnds:
    """Who signs people in for the organisation, and which claim is its name for them."""

    name: Mapping[str, str]
    issuer: str
    authorize: str  # these three are addresses
    token: str
    jwks: str
    client_id: str
    auth: str
    scope: str
    claim: str


@dataclass(frozen=True, slots=True)
class DeclaredConnection:
    kind: str = "oauth"
    match: str = "oauth"
    place: CustomerPlace = CustomerPlace()
    tls: TlsFiles | None = None
    client: ClientEnds | None = None  # client_credentials | token_exchange
    sign_in: SignInEnds | None = None
    api_key_header: str = ""
    basic_user: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # of every call
    whole_address: bool = True  # signed: @target-uri, else its parts

    @property
    def declared(self) -> bool:
        """Whether calls are made as this module says, and not as the first two kinds always were."""
        return self.kind not in USUAL or self.place != CustomerPlace() or self.match != USUAL[self.kind]

    @property
    def names_itself(self) -> bool:
        return names_itself(self.kind, self.match)


def tls_of(table: Document) -> TlsFiles:
    return TlsFiles(table["certificate"], table["key"], table.get("ca", ""))


def parsed(connection: Document) -> DeclaredConnection:
    """Of a checked declaration."""
    kind, base = connection["kind"], connection.get("base_url", "").rstrip("/")
    return DeclaredConnection(
        kind=kind,
        match=match_of(connection),
        place=CustomerPlace(**connection.get("person", {})),
        tls=tls_of(connection["tls"]) if "tls" in connection else None,
        client=_client_ends(connection[kind], base) if kind in ("client_credentials", "token_exchange") else None,
        sign_in=_sign_in_ends(connection["sign_in"]) if "sign_in" in connection else None,
        api_key_header=connection.get("api_key", {}).get("header", "").lower(),
        basic_user=connection.get("basic", {}).get("user", ""),
        headers=tuple((name.lower(), text) for name, text in connection.get("headers", {}).items()),
        whole_address=connection.get("signed", {}).get("address", "target-uri") == "target-uri",
    )


def _client_ends(table: Document, base: str) -> ClientEnds:
    kept = {key: value for key, value in table.items() if key != "client_secret"}
    return ClientEnds(**{**kept, "token": address(table["token"], base)})


def _sign_in_ends(table: Document) -> SignInEnds:
    issuer = table["issuer"]
    ends = {name: address(table[name], issuer.rstrip("/")) for name in ("authorize", "token", "jwks")}
    return SignInEnds(
        name=table["name"],
        issuer=issuer,
        **ends,
        client_id=table["client_id"],
        auth=table.get("auth", CLIENT_AUTH[0]),
        scope=table.get("scope", "openid"),
        claim=table.get("claim", "sub"),
    )


def address(text: str, base: str) -> str:
    """Of an end that a declaration writes as a path, or whole."""
    return base + text if text.startswith("/") else text
