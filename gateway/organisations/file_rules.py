"""What a declaration of an organisation without an API may say: which files it gives, whose their records are, and how
long they are kept.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalogue import Format, format_paths
from gateway.catalogue.formats import FormatCall, Path
from gateway.errors import Fault
from gateway.formats import filed
from gateway.ground.calendar import durations
from gateway.ground.declarations import REQUIRED, checks
from gateway.organisations import owned

KIND = "files"
MOST_BYTES, MOST_BYTES_EVER = 50_000_000, 2_000_000_000
KEYS = {
    "customer": ("text", None),
    "kept": ("kept", REQUIRED),
    "folder": ("folder", None),
    "most_bytes": ("most_bytes", None),
    "number_label": ("words", None),
    "names": ("file_names", None),
}
NAME_KEYS = {"pattern": ("pattern", REQUIRED), "call": ("text", None), "codes": ("flag", None)}
TABLES = {"connection.files": KEYS, "connection.files.names[]": NAME_KEYS}
NUMBER_LABEL = {"fr": "Numéro de client", "en": "Customer number"}
_PATTERN = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9._*?-]{0,99}")
_ONLY_BY_CALLS = ("base_url", "networks", "timeout_seconds", "max_calls", "tls", "person", "headers")
_ONLY_BY_CALLS_OF_A_CALL = {"asks": "", "method": "GET", "body": None, "days": 0}


def kept_fault(value: object) -> str | None:
    try:
        durations.parse(value if isinstance(value, str) else "")
    except ValueError:
        return 'write how long after its import a file is kept: "P40D", "P13M"'
    return None


KINDS = {
    "kept": kept_fault,
    "folder": checks.matches(r"(/[^/\x00-\x1f]+)+", "write the whole path of a folder, as in /srv/aval/in/axiome"),
    "most_bytes": checks.between(1000, MOST_BYTES_EVER),
    "file_names": checks.tables("connection.files.names", least=1),
    "pattern": checks.matches(_PATTERN.pattern, "write the names of files, with * and ?: calls-*.csv"),
}


@dataclass(frozen=True, slots=True)
class FileName:
    pattern: str
    call: str = ""  # "": a file of codes


@dataclass(frozen=True, slots=True)
class FilesView:
    """The table [connection.files]."""

    customer: str
    kept: durations.Duration
    folder: str
    most_bytes: int
    number_label: Mapping[str, str]
    names: tuple[FileName, ...]


def view(table: Mapping[str, Any]) -> FilesView:
    """Of a checked declaration."""
    return FilesView(
        customer=table.get("customer", ""),
        kept=durations.parse(table["kept"]),
        folder=table.get("folder", ""),
        most_bytes=int(table.get("most_bytes", MOST_BYTES)),
        number_label=table.get("number_label", NUMBER_LABEL),
        names=tuple(FileName(row["pattern"], row.get("call", "")) for row in table.get("names", ())),
    )


def customer_of(form: Format, call: FormatCall, named: str) -> Path:
    """The members of a record that say whose it is; (): nothing does."""
    records = form.records[call.records]
    if records.customer or not named:
        return records.customer or records.account
    return format_paths.led_to(form.shapes, records.kind, named)


def faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Of a declaration whose connection is of this kind."""
    connection = document.get("connection")
    if not isinstance(connection, dict) or connection.get("kind") != KIND:
        return
    for key in _ONLY_BY_CALLS:
        if key in connection:
            yield Fault(f"connection.{key}", f"does not belong to kind = {KIND!r}", "leave it out: no call is made")
    table = connection.get("files")
    form, own = owned.read(document)
    if form is None:
        yield Fault("format", "is missing", "describe the records of its files in [format]")
        return
    for position, row in enumerate(document.get("datasets") or ()):
        if isinstance(row, dict) and str(row.get("id")) not in own:
            yield Fault(f"datasets[{position}]", "is of a shared format", "define it here: its files are of [format]")
    yield from _format(form, table if isinstance(table, dict) else {})
    if isinstance(table, dict):
        yield from _names(form, table)


def _format(form: Format, table: Mapping[str, Any]) -> Iterator[Fault]:
    if form.driver not in filed.DRIVERS:
        known = ", ".join(filed.DRIVERS)
        yield Fault("format.driver", f"files of {form.driver} cannot be taken apart yet", f"one of {known}")
    if form.pages is not None:
        yield Fault("format.pages", "files have no pages", "leave it out")
    for name, call in form.calls.items():
        where = f"format.calls.{name}"
        for key, usual in _ONLY_BY_CALLS_OF_A_CALL.items():
            if getattr(call, key) != usual:
                yield Fault(f"{where}.{key}", "nobody is asked for files", "leave it out")
        if set(re.findall(r"\{([^}]+)\}", call.path)) - {"account"}:
            yield Fault(f"{where}.path", "only {account} is known of a file", "name the records by nothing else")
        if call.records in form.records:
            yield from _records(form, call, str(table.get("customer", "")))


def _records(form: Format, call: FormatCall, named: str) -> Iterator[Fault]:
    where = f"format.records.{call.records}"
    if not customer_of(form, call, named):
        wrong = f"leads to no member of {call.records}" if named else "is missing"
        right = f"name the member that says whose a record is, or {where}.customer"
        yield Fault("connection.files.customer", wrong, right)
    told_apart = form.accounts is not None or any(records.account for records in form.records.values())
    if told_apart and not form.records[call.records].account:
        yield Fault(f"{where}.account", "is missing", "name the member that says of which account a record is")


def _names(form: Format, table: Mapping[str, Any]) -> Iterator[Fault]:
    rows = table.get("names")
    for position, row in enumerate(rows if isinstance(rows, list) else ()):
        if not isinstance(row, dict):
            continue
        where = f"connection.files.names[{position}]"
        if ("call" in row) == (row.get("codes") is True):
            yield Fault(where, "says not what its files are", 'call = "…", or codes = true')
        elif "call" in row and str(row["call"]) not in form.calls:
            known = ", ".join(form.calls) or "none yet"
            yield Fault(f"{where}.call", f"{row['call']!r} is none of the calls", f"one of {known}")
    if "folder" in table and not rows:
        yield Fault("connection.files.names", "is missing", "say which files of the folder are which call's")
