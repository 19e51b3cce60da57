"""A declaration: one TOML file says all the gateway needs to know of an app.

`read` checks the file by itself, `against` checks it against this gateway's purposes,
organisations and data. Both tell all faults at once: file, key, what is wrong, what would
be right. Nothing an app writes is ever used as markup, address to fetch, or policy.
"""

import base64
import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.apps import addresses, keysets, logos, wording
from gateway.catalogue import Catalogue
from gateway.errors import DeclarationError, Fault
from gateway.settings import LANGUAGES

AUTH_METHODS = ("none", "client_secret_basic", "private_key_jwt")
NECESSITIES = ("required", "optional")
REASON_LENGTH = 140  # checklist A9
NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Declaration:
    """A checked declaration. `document` has every key; `warnings` are for the operator's eyes before she goes on."""

    file: str
    document: Mapping[str, Any]
    sha256: str
    verified: bool
    warnings: tuple[str, ...] = ()

    @property
    def client_id(self) -> str:
        return str(self.document["client_id"])

    @property
    def auth_method(self) -> str:
        return str(self.document["token_endpoint_auth_method"])


# ---- the rules, as tables: key → (kind of value, value when absent; REQUIRED: must be there)

REQUIRED = object()
KEYS: dict[str, tuple[str, Any]] = {
    "client_id": ("id", REQUIRED),
    "name": ("names", REQUIRED),
    "legal_entity": ("text", REQUIRED),
    "on_behalf_of": ("text", ""),
    "website": ("website", REQUIRED),
    "privacy_policy": ("website", REQUIRED),
    "terms": ("website", REQUIRED),
    "deletion_contact": ("contact", REQUIRED),
    "logo": ("text", None),
    "application_type": ("application", "web"),
    "redirect_uris": ("list", REQUIRED),
    "token_endpoint_auth_method": ("method", REQUIRED),
    "jwks": ("table", None),
    "require_pushed_authorization_requests": ("flag", True),
    "verified": ("flag", False),
    "purposes": ("list", REQUIRED),
    "recipients": ("tables", []),
    "data": ("tables", REQUIRED),
}
DATA_KEYS: dict[str, tuple[str, Any]] = {
    "organisation": ("text", REQUIRED),
    "dataset": ("text", REQUIRED),
    "fields": ("list", REQUIRED),
    "necessity": ("necessity", REQUIRED),
    "reason": ("reasons", REQUIRED),
}
RECIPIENT_KEYS: dict[str, tuple[str, Any]] = {
    "name": ("text", REQUIRED),
    "role": ("text", REQUIRED),
    "country": ("country", REQUIRED),
}


def _text(value: object, length: int = 200) -> str | None:
    if not isinstance(value, str) or not value.strip() or value.strip() != value or len(value) > length:
        return f"write a text of 1 to {length} characters"
    found = wording.hidden(value)
    return f"leave out the invisible character {found}" if found else None


def _words(length: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != set(LANGUAGES):
            return 'give both languages: { fr = "…", en = "…" }'
        return next((wrong for text in value.values() if (wrong := _text(text, length))), None)

    return check


def _website(value: object) -> str | None:
    parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
    fine = parts and parts.scheme == "https" and parts.hostname and parts.username is None
    return None if fine and not set(str(value)) & set(" \"'<>\\`{}") else "write an https address"


def _contact(value: object) -> str | None:
    mail = isinstance(value, str) and re.fullmatch(r"[^@\s<>\"']{1,64}@[A-Za-z0-9.-]{1,190}", value)
    return None if mail or _website(value) is None else "write a mail address or an https address"


def _one_of(*known: str) -> Callable[[object], str | None]:
    return lambda value: None if value in known else f"one of {', '.join(known)}"


def _list(value: object) -> str | None:
    texts = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    fine = isinstance(value, list) and 0 < len(value) <= 50 and len(set(texts)) == len(value)
    return None if fine else "write a list of 1 to 50 different texts"


def _tables(value: object) -> str | None:
    fine = isinstance(value, list) and len(value) <= 50 and all(isinstance(each, dict) for each in value)
    return None if fine else "write it as [[tables]], at most 50"


def _matches(expression: str, otherwise: str) -> Callable[[object], str | None]:
    compiled = re.compile(expression)
    return lambda value: None if isinstance(value, str) and compiled.fullmatch(value) else otherwise


CHECKS: dict[str, Callable[[object], str | None]] = {
    "id": _matches(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", "write 1 to 64 of a-z, 0-9 and -, as in watt-coach"),
    "text": _text,
    "names": _words(NAME_LENGTH),
    "reasons": _words(REASON_LENGTH),
    "website": _website,
    "contact": _contact,
    "application": _one_of("web", "native"),
    "method": _one_of(*AUTH_METHODS),
    "necessity": _one_of(*NECESSITIES),
    "country": _matches(r"[A-Z]{2}", "write two capitals, as in FR"),
    "list": _list,
    "flag": lambda value: None if isinstance(value, bool) else "write true or false",
    "table": lambda value: None if isinstance(value, dict) else "write it as a table",
    "tables": _tables,
}


# ---- reading


def read(path: Path, *, redirect_uris: Sequence[str] | None = None) -> Declaration:
    """The checked declaration of one file; `redirect_uris` overrides those in it. Raises DeclarationError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationError(str(path), [Fault("file", f"cannot be read ({error.strerror})")]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeclarationError(str(path), [Fault("file", f"is not TOML: {error}")]) from None
    if redirect_uris is not None:
        document["redirect_uris"] = list(redirect_uris)
    return parse(document, path)


def parse(document: Mapping[str, Any], path: Path) -> Declaration:
    """The same from a parsed document; a logo is looked for next to `path`."""
    faults = check(document)
    logo, logo_fault = _logo(document.get("logo"), path.parent)
    if logo_fault:
        faults.append(Fault("logo", logo_fault))
    if faults:
        raise DeclarationError(str(path), faults)
    whole = {key: document.get(key, absent) for key, (_, absent) in KEYS.items() if key != "verified"} | {"logo": logo}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Declaration(
        file=str(path),
        document=whole,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        verified=document.get("verified", False),
        warnings=tuple(_warnings(whole)),
    )


def check(document: Mapping[str, Any]) -> list[Fault]:
    """Every fault of a parsed declaration by itself, in the order of the table."""
    faults = list(_table("", document, KEYS))
    if not faults:
        faults += _redirects(document)
        faults += _keys(document)
        for name, known in (("data", DATA_KEYS), ("recipients", RECIPIENT_KEYS)):
            for position, row in enumerate(document.get(name, [])):
                faults += _table(f"{name}[{position}].", row, known)
        if not document["data"]:
            faults.append(Fault("data", "is empty", "write at least one [[data]]"))
    return faults


def _table(prefix: str, table: Mapping[str, Any], known: Mapping[str, tuple[str, Any]]) -> Iterator[Fault]:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            yield Fault(prefix + key, "is not a key of a declaration", hint)
    for key, (kind, absent) in known.items():
        if key in table:
            if wrong := CHECKS[kind](table[key]):
                yield Fault(prefix + key, "is not right", wrong)
        elif absent is REQUIRED:
            yield Fault(prefix + key, "is missing", CHECKS[kind](None) or "")


def _redirects(document: Mapping[str, Any]) -> Iterator[Fault]:
    native = document.get("application_type") == "native"
    for position, uri in enumerate(document["redirect_uris"]):
        if wrong := addresses.fault(uri, native=native):
            yield Fault(f"redirect_uris[{position}]", "is not an address we would send people to", wrong)


def _keys(document: Mapping[str, Any]) -> Iterator[Fault]:
    method, jwks = document["token_endpoint_auth_method"], document.get("jwks")
    if method == "private_key_jwt" and jwks is None:
        yield Fault("jwks", "is missing", "private_key_jwt needs the public keys: jwks = { keys = [ … ] }")
    elif method != "private_key_jwt" and jwks is not None:
        yield Fault("jwks", f"does not belong to {method}", "leave it out")
    elif jwks is not None:
        yield from (Fault("jwks", "is not right", wrong) for wrong in keysets.faults(jwks))


def _logo(name: object, folder: Path) -> tuple[dict[str, str] | None, str | None]:
    if not isinstance(name, str):
        return None, None
    if Path(name).name != name or name.startswith("."):
        return None, "write the name of a file next to the declaration"
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        return None, f"the file {name} cannot be read ({error.strerror})"
    suffix = Path(name).suffix.lower()
    if wrong := logos.fault(suffix, content):
        return None, f"the file {name} {wrong}"
    return {"media_type": logos.MEDIA_TYPES[suffix], "base64": base64.b64encode(content).decode()}, None


def _warnings(document: Mapping[str, Any]) -> Iterator[str]:
    shown = [("name", text) for text in document["name"].values()] + [("legal_entity", document["legal_entity"])]
    for key, text in shown:
        if wording.look_alike(text):
            yield f"{key}: has letters that look like others (mixed or foreign scripts); make sure it is no imitation"


# ---- against this gateway


def against(document: Mapping[str, Any], catalogue: Catalogue, organisations: Mapping[str, Any]) -> list[Fault]:
    """What the declaration names that this gateway does not have. `organisations`: id → its datasets."""
    faults = [
        _unknown(f"purposes[{position}]", code, catalogue.purposes)
        for position, code in enumerate(document["purposes"])
        if code not in catalogue.purposes
    ]
    purposes = [catalogue.purposes[code] for code in document["purposes"] if code in catalogue.purposes]
    covered = {dataset for purpose in purposes for dataset in purpose.datasets}
    seen: set[tuple[str, str]] = set()
    for position, row in enumerate(document["data"]):
        where, pair = f"data[{position}]", (row["organisation"], row["dataset"])
        faults += _row_against(where, row, catalogue, organisations, covered)
        if pair in seen:
            faults.append(Fault(f"{where}.dataset", f"{pair[1]!r} stands twice", "put its fields into one [[data]]"))
        seen.add(pair)
    return faults


def _row_against(
    where: str, row: Mapping[str, Any], catalogue: Catalogue, organisations: Mapping[str, Any], covered: set[str]
) -> Iterator[Fault]:
    organisation, dataset = row["organisation"], row["dataset"]
    if organisation not in organisations:
        yield _unknown(f"{where}.organisation", organisation, organisations)
    elif dataset not in organisations[organisation]:
        yield _unknown(f"{where}.dataset", dataset, organisations[organisation])
    if dataset not in catalogue.datasets:
        return
    if dataset not in covered:
        yield Fault(f"{where}.dataset", f"none of the purposes covers {dataset!r}", "add the purpose it is for")
    for name in row["fields"]:
        if name not in catalogue.datasets[dataset].fields:
            yield _unknown(f"{where}.fields", name, catalogue.datasets[dataset].fields)


def _unknown(key: str, value: str, known: Any) -> Fault:
    close = difflib.get_close_matches(value, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known)) or 'none yet'}"
    return Fault(key, f"{value!r} is not known", hint)
