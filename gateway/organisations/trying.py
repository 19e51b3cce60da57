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

from gateway.catalogue import Catalogue, Dataset
from gateway.errors import DeclarationError
from gateway.formats.linting import TO_FILL
from gateway.formats.model import Source
from gateway.formats.trying import NotTried, Tried
from gateway.ground.declarations import load
from gateway.ground.keys import Sealer
from gateway.organisations import declare, file_rules, owned

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


def prepare(path: Path, catalogue: Catalogue) -> Prepared:
    """Of a file. Raises DeclarationError for faults of what an answer is judged by; others do not matter here. Raises
    NotTried."""
    return prepared(str(path), load(path), catalogue)


def prepared(file: str, read: Mapping[str, Any], catalogue: Catalogue) -> Prepared:
    """The same of what was read from a file."""
    document, stand_ins = _filled(read)
    faults = [
        fault
        for fault in declare.check(document, catalogue, lambda host: ["192.0.2.1"])
        if _MATTERS.match(fault.key.replace(": ", "."))
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
    formats = tuple(_tried(source, held, strict=document.get("strict") is True))
    if not formats:
        told = ", ".join(sorted({dataset.format for dataset in held.values()}))
        raise NotTried(f"{told} has an engine of its own: only formats that tables describe are taken apart here")
    return Prepared(file, _name(document), catalogue, source.zone, formats, held, source.upstream_url, tuple(stand_ins))


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
    connection = made.get("connection")
    if isinstance(connection, dict) and TO_FILL in str(connection.get("base_url", "")):
        del connection["base_url"]
    form = made.get("format")
    if isinstance(form, dict):
        if TO_FILL in str(form.get("accounts", "")):
            del form["accounts"]
            told.append("no [format.accounts]")
        for call in form["calls"] if isinstance(form.get("calls"), list) else ():
            if isinstance(call, dict) and isinstance(call.get("path"), str) and TO_FILL in call["path"]:
                call["path"] = call["path"].replace(TO_FILL, "to-fill")
                told.append(f"path = {call['path']}")
    return made, told
