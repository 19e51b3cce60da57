"""A declaration as far as it takes to try it on an answer: its formats, types of data and zone, and no gateway.

A draft can be tried before it is finished: where it still says TO FILL, something stands in, and that is told.
"""

import copy
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from gateway.catalogue import Catalogue, Dataset
from gateway.catalogue.formats import FormatCall
from gateway.errors import DeclarationError
from gateway.formats.linting import TO_FILL, naming
from gateway.formats.model import Source
from gateway.formats.trials import UNNAMED, NotTried, Trial
from gateway.formats.trying import Tried
from gateway.ground.declarations import load
from gateway.ground.keys import Sealer
from gateway.organisations import declare, file_rules, gaps, knowing, owned, placing, trying_files
from gateway.organisations.connections import WORD, CustomerPlace, DeclaredConnection
from gateway.organisations.knowing import KnownAccounts
from gateway.organisations.links import DECLARED, LinkView
from gateway.organisations.trying_files import FileTried

# of a key, for an answer: not how a type of data is called on the screen, nor how a call is called
_MATTERS = re.compile(r"(datasets|format|zone)\b(?!.*\.category$)(?!\.calls\..*\.name$)")
GATEWAY, UPSTREAM = "https://gateway.example", "https://organisation.example"
_KEY = hashlib.sha256(b"a trial, whose identifiers are nobody's and the same each time").digest()


@dataclass(frozen=True, slots=True)
class Prepared:
    file: str
    name: str  # of the organisation, as the file has it
    catalogue: Catalogue
    zone: str
    formats: tuple[Tried, ...]
    datasets: Mapping[str, Dataset]
    upstream: str  # the organisation's own address
    stand_ins: tuple[str, ...]  # what stood in for TO FILL
    connection: DeclaredConnection | None  # None: how calls are made is not said yet
    known: KnownAccounts | None  # how a live call knows a person's accounts; None: that cannot be said
    customer: str = ""  # files: the member of [connection.files] that says whose a record is; "": records say it

    @property
    def filed(self) -> bool:
        return self.connection is not None and self.connection.kind == file_rules.KIND

    def filed_as(self, tried: Tried, call: FormatCall, body: bytes) -> FileTried | None:
        """Whose records are in a file of the call; None: the organisation has an API."""
        if not self.filed:
            return None
        return trying_files.tried(tried.form, call, self.zone, self.customer, body, strict=tried.strict(call.dataset))


def prepare(path: Path, catalogue: Catalogue) -> Prepared:
    """Of a file. Raises DeclarationError for faults of what an answer is judged by; others do not matter here. Raises
    NotTried."""
    return prepared(str(path), load(path), catalogue)


def prepared(file: str, read: Mapping[str, Any], catalogue: Catalogue) -> Prepared:
    """The same of what was read from a file."""
    document, stand_ins = _filled(read)
    checked = declare.check(document, catalogue, lambda host: ["192.0.2.1"])
    faults = [
        fault for fault in gaps.told(checked, document, unfilled=False) if _MATTERS.match(fault.key.replace(": ", "."))
    ]
    if faults:
        raise DeclarationError(file, faults)
    form, own = owned.read(document)
    known = {**catalogue.datasets, **own}
    name = str(document.get("id") or "organisation")
    connection = document.get("connection")
    address = connection.get("base_url") if isinstance(connection, dict) else None
    source = Source(
        organisation=name,
        sector=str(document.get("sector", "")),
        base_path="",
        zone=document["zone"],
        gateway_url=f"{GATEWAY}/data/{name}",
        upstream_url=str(address or UPSTREAM).rstrip("/"),
        paths={row["id"]: tuple(row.get("paths", ())) for row in document["datasets"]},
        forms={**catalogue.formats, **({"": form} if form is not None else {})},
        known=known,
        sealer=Sealer(_KEY),
        filed=isinstance(connection, dict) and connection.get("kind") == file_rules.KIND,
    )
    held = {row["id"]: known[row["id"]] for row in document["datasets"]}
    connected = knowing.connection(document)
    accounts = knowing.accounts(connected, [source.forms[name] for name in {each.format for each in held.values()}])
    formats = tuple(_tried(source, held, strict=document.get("strict") is True))
    if not formats:
        told = ", ".join(sorted({dataset.format for dataset in held.values()}))
        raise NotTried(f"{told} has an engine of its own: only formats that tables describe are taken apart here")
    return Prepared(
        file,
        _name(document),
        catalogue,
        source.zone,
        formats,
        held,
        source.upstream_url,
        tuple(stand_ins),
        connected,
        accounts,
        _customer(connection),
    )


def _customer(connection: object) -> str:
    files = connection.get("files") if isinstance(connection, dict) else None
    return str(files.get("customer", "")) if isinstance(files, dict) else ""


def _tried(source: Source, held: Mapping[str, Dataset], *, strict: bool) -> Iterator[Tried]:
    for name in dict.fromkeys(dataset.format for dataset in held.values()):
        if source.forms[name].described:
            its = {key: dataset for key, dataset in held.items() if dataset.format == name}
            yield Tried(source.forms[name], source, its, strict=strict)


def _name(document: Mapping[str, Any]) -> str:
    names = document.get("name")
    name = names.get("en") if isinstance(names, dict) else None
    return str(document.get("id", "")) if not isinstance(name, str) or TO_FILL in name else name


def _filled(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The document with something in place of each TO FILL that an answer is judged by, and what that is."""
    made, told = copy.deepcopy(dict(document)), []
    if TO_FILL in str(made.get("zone", "")):
        made["zone"] = "UTC"
        told.append("zone = UTC")
    form = made.get("format")
    if isinstance(form, dict):
        if TO_FILL in str(form.get("accounts", "")):
            del form["accounts"]
            told.append("no [format.accounts]")
        for call in form["calls"] if isinstance(form.get("calls"), list) else ():
            if isinstance(call, dict) and isinstance(call.get("path"), str) and TO_FILL in call["path"]:
                call["path"] = call["path"].replace(TO_FILL, "to-fill")
                told.append(f"path = {call['path']}")
    connection = made.get("connection")
    if isinstance(connection, dict) and TO_FILL in str(connection.get("base_url", "")):
        del connection["base_url"]
        told.append(f"base_url = {UPSTREAM}")
    return made, told


# ---- the call as the organisation would get it

CUSTOMER, SUBSCRIPTION = "CUSTOMER", "SUBSCRIPTION"  # stand for what only a person's link knows
# kind → field, what stands there, what that stands for. No secret is read here
_PROOFS: Mapping[str, tuple[str, str, str]] = {
    "assertion": ("Authorization", "Bearer ASSERTION", "a JWT of a minute about the person, signed by the gateway"),
    "oauth": ("Authorization", "Bearer TOKEN", "the person's own access token, from her linking"),
    "client_credentials": ("Authorization", "Bearer TOKEN", "an access token of the gateway's own"),
    "token_exchange": ("Authorization", "Bearer TOKEN", "an access token exchanged for the assertion about the person"),
    "basic": ("Authorization", "Basic SECRET", "user and secret of [connection.basic], in base64"),
    "api_key": ("", "SECRET", "the secret of [connection.api_key]"),
    "signed": ("Signature", "aval=:SIGNATURE:", "the gateway's signature of the request, told by Signature-Input"),
}
_STANDING = re.compile(r"ASSERTION|TOKEN|SECRET|SIGNATURE")


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One call upstream. Every value that only a link or the gateway's secrets know is a word in capitals."""

    method: str
    address: str  # whole, with its query
    query: tuple[str, ...]  # name=value, as it reads
    fields: tuple[tuple[str, str], ...]  # that name the customer and prove the gateway
    accept: str
    content_type: str
    body: str
    stands_for: Mapping[str, str]  # word in capitals → what would stand there
    named: bool  # whether the organisation is told for whom the call is; if not, it is not made


def upstream_call(prepared: Prepared, trial: Trial) -> UpstreamCall | None:
    """None: the organisation is asked nothing, because the call is refused or its data are in files."""
    sent, connection = trial.sent, prepared.connection
    if sent is None or prepared.filed:
        return None
    link = _link(connection)
    placed = placing.placed(sent, link, connection or DeclaredConnection())
    place = connection.place if connection is not None else CustomerPlace()
    fields = [(place.header, CUSTOMER)] if place.header else []
    stands = dict(_standing(sent.path, place, placed.path + placed.body.decode("utf-8", "replace")))
    if connection is not None:
        field, value, what = _PROOFS[connection.kind]
        fields += [(field or connection.api_key_header, value), *connection.headers]
        stands[_STANDING.findall(value)[0]] = what
    return UpstreamCall(
        sent.method,
        prepared.upstream + placed.path,
        tuple(f"{name}={value}" for name, value in parse_qsl(placed.path.partition("?")[2], keep_blank_values=True)),
        tuple(fields),
        sent.accept,
        sent.content_type,
        placed.body.decode("utf-8", "replace"),
        stands,
        placed.named or connection is None,
    )


def _link(connection: DeclaredConnection | None) -> LinkView:
    """In place of a person's: it knows nothing but words."""
    declared = connection is not None and connection.declared
    kind = DECLARED if declared else "" if connection is None else connection.kind
    return LinkView("", 0, "", kind, (), None, None, resource=SUBSCRIPTION, customer=CUSTOMER if declared else "")


def _standing(path: str, place: CustomerPlace, made: str) -> Iterator[tuple[str, str]]:
    """`path`: before anything was placed in it. `made`: the address and the body."""
    said = next((name for name in ("header", "query", "path") if getattr(place, name)), "")
    if said or CUSTOMER in made:
        where = f"[connection.person] {said}" if said else f"in place of {WORD}"
        yield CUSTOMER, f"the customer that the person's link knows ({where})"
    if "{subscription}" in path:
        yield SUBSCRIPTION, "the last segment of resourceURI, from her linking"
    if UNNAMED in made:
        yield UNNAMED, "the account that the app names, which stands nowhere in the answer"


# ---- what a trial cannot show, and a live call would


def live_accounts(prepared: Prepared, trial: Trial) -> str:
    """Whose accounts a live call takes, where the call or its answer names one; "": it does not matter, or nobody can
    say."""
    known = prepared.known
    form = next(tried.form for tried in prepared.formats if trial.call in tried.form.calls.values())
    if known is None:
        return ""
    if known.how == knowing.ALONE:
        return "one, of the customer herself, with all the records of her files"
    if not naming(form, trial.call):
        return ""
    listed = f"those that the call {known.call} listed when she linked, by {known.native}"
    return {
        knowing.LISTED: f"{listed} ([format.accounts])",
        knowing.NUMBER: "one: her customer number, as her link keeps it",
        knowing.FILED: "those that the records of her files name",
        knowing.NOBODY: "none",
    }[known.how]


def warnings(prepared: Prepared, trial: Trial) -> Iterator[str]:
    """What would go otherwise in a live call."""
    connection, known = prepared.connection, prepared.known
    form = next(tried.form for tried in prepared.formats if trial.call in tried.form.calls.values())
    where = naming(form, trial.call)
    if connection is not None and known is not None and known.how == knowing.NOBODY and where:
        native = ".".join(form.records[trial.call.records].account) or "MEMBER"
        yield (
            f"a live call would give nothing of this: {where}, and links of kind {connection.kind} know no account. "
            'Write [format.accounts] with call = "CALL", the call that lists a person\'s accounts,'
            f' and native = "{native}"'
        )
    call = upstream_call(prepared, trial)
    if call is not None and not call.named:
        yield "a live call would not be made, because it names nobody: write [connection.person] with one place"
    yield from trial.warnings
