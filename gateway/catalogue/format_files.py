"""A format as its file says it: each table read, and everything that is wrong with it noted with its key.

policies/formats/<id>.toml        a format that several organisations share
[format] of a declaration         one organisation's own

Here: what an answer is made of. `format_calls`: how it is asked for. `format_paths`: the names of members in both.
"""

import re
from typing import Any

from gateway.catalogue import shapes
from gateway.catalogue.format_calls import accounts_of, calls_of, download_of, files_of, pages_of, parameter
from gateway.catalogue.format_paths import member_of, path_of, split
from gateway.catalogue.formats import (
    ACCEPT,
    AROUND,
    DRIVERS,
    ENCODINGS,
    SEPARATORS,
    STAMPS,
    TABLES,
    WAYS,
    Format,
    Member,
    Only,
    Records,
    RecordTime,
)
from gateway.catalogue.shapes import Table
from gateway.catalogue.words import FileTable

_MEDIA = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
KEYS = (
    "driver", "accept", "media_types", "base", "parameters", "calls", "pages", "records", "around", "required", "only",
    "numbers", "accounts", "download", "csv", "encoding", "namespaces", "shapes",
)  # fmt: skip


def read(file: FileTable, name: str, *more: str) -> Format:
    """A format from its table; what is wrong is noted in the file's faults. `more`: further keys that it may have."""
    file.only(*KEYS, *more)
    driver = file.one_of("driver", DRIVERS)
    if driver not in TABLES:
        for key in sorted(file.table.keys() & set(KEYS) - {"driver"}):
            file.wrong(key, f"leave it out: driver {driver} has its own")
        return Format(name, driver)
    table = _shapes(file)
    parameters = {key: parameter(key, row) for key, row in file.rows("parameters").items()}
    records = {kind: _records(kind, row, table) for kind, row in file.rows("records").items()}
    calls = calls_of(file, parameters, records, table, driver)
    types = file.texts("media_types") or ACCEPT[driver]
    for wrong in (each for each in types if not _MEDIA.fullmatch(each)):
        file.wrong("media_types", f"{wrong!r} is no media type in small letters, as application/json")
    csv = file.within("csv") if "csv" in file.table else file.below("csv", {})
    csv.only("separator", "decimal", "encoding")
    if "encoding" in file.table and driver != "xml":
        file.wrong("encoding", "it belongs to xml; of CSV it stands in [csv], and JSON is UTF-8")
    instead, required = _required(file, table)
    return Format(
        id=name,
        driver=driver,
        accept=file.text("accept") if "accept" in file.table else types[0],
        media_types=types,
        base=file.text("base") if "base" in file.table else "",
        parameters=parameters,
        calls=calls,
        pages=pages_of(file, table, parameters, calls) if "pages" in file.table else None,
        records=records,
        around=_around(file, table),
        instead=instead,
        required=required,
        only=_only(file, table),
        numbers=frozenset(member_of(file, "numbers", text, table) for text in file.texts("numbers")),
        accounts=accounts_of(file, calls, table) if "accounts" in file.table else None,
        download=download_of(file, calls),
        files=files_of(file),
        separator=_separator(csv),
        decimal=csv.one_of("decimal", (".", ","), "."),
        encoding=(file if driver == "xml" else csv).one_of("encoding", ENCODINGS, "utf-8"),
        namespaces=_namespaces(file),
        shapes=table,
    )


def _shapes(file: FileTable) -> dict[str, str]:
    found = file.within("shapes").table
    table: dict[str, str] = {}
    for kind, line in found.items():
        if isinstance(line, str):
            table[kind] = line.strip()  # blanks inside are as the names have them
        else:
            file.wrong(f"shapes.{kind}", 'write a line of words: "name:s amount:n"')
    for kind, wrong in shapes.faults(table):
        file.wrong(f"shapes.{kind}", wrong)
    return table


def _records(kind: str, row: FileTable, table: Table) -> Records:
    row.only(
        "at",
        "one",
        "account",
        "instant",
        "span",
        "state",
        "parts",
        "written",
        "ends",
        "length",
        "months_from",
        "customer",
        "whose",
        "empty",
        "unreadable",
    )
    if row.table.get("whose") == "person" and "account" in row.table:
        row.wrong("whose", "leave it out, or account: records of an account are not of the person as a whole")
    if kind not in table:
        row.wrong("shapes", f"there is no line {kind} in shapes")
    return Records(
        kind,
        tuple(filter(None, row.text("at").split("."))) if row.table.get("at") else (),
        row.flag("one"),
        path_of(row, "account", table, kind),
        _time(row, table, kind),
        row.one_of("whose", ("account", "person"), "account") == "person",
        path_of(row, "customer", table, kind),
    )


_FORMS = ("instant", "span", "state", "parts")


def _time(row: FileTable, table: Table, kind: str) -> RecordTime:
    lenient = row.one_of("unreadable", ("refuse", "withhold"), "refuse") == "withhold"
    there = [how for how in _FORMS if how in row.table]
    if len(there) > 1:
        row.wrong(there[1], f"a record has one time of its own: leave out {' or '.join(there)}")
    if not there:
        for key in ("written", "ends", "length", "months_from", "empty"):
            if key in row.table:
                row.wrong(key, f"it belongs to one of {', '.join(_FORMS)}, which is missing")
        return RecordTime(lenient=lenient)
    how = there[0]
    texts = (row.text(how),) if isinstance(row.table[how], str) and how == "instant" else row.texts(how)
    least, most = {"instant": (1, 3), "span": (1, 2), "state": (1, 2), "parts": (1, 3)}[how]
    if not least <= len(texts) <= most:
        row.wrong(how, f"name {least} to {most} members")
    paths = tuple(split(row, how, text, table, kind) for text in texts if text)
    length = row.table.get("length", 0)
    by_member = isinstance(length, str)
    found = RecordTime(
        how,
        paths,
        row.one_of("written", STAMPS, "iso"),
        row.flag("ends"),
        0 if by_member else row.whole("length", 1, 366 * 86400),
        path_of(row, "length", table, kind) if by_member else (),
        row.whole("months_from", 0, 1, 1),
        row.texts("empty"),
        lenient,
    )
    if found.ends and not (found.length or found.length_path):
        row.wrong("length", "a stamp of the end needs it: seconds, or the member that holds it")
    if (found.length or found.length_path) and (how == "state" or (how == "span" and len(paths) == 2)):
        row.wrong("length", "its two members say how long it lasts: leave it out")
    if how == "span" and len(paths) == 1 and not (found.length or found.length_path):
        row.wrong("span", "name its start and its end; or its start, and `length`")
    return found


def _around(file: FileTable, table: Table) -> dict[Member, str]:
    row = file.within("around") if "around" in file.table else file.below("around", {})
    return {member_of(row, text, text, table): row.one_of(text, AROUND) for text in row.table}


def _required(file: FileTable, table: Table) -> tuple[dict[Member, Any], dict[Member, str]]:
    row = file.within("required") if "required" in file.table else file.below("required", {})
    instead: dict[Member, Any] = {}
    required: dict[Member, str] = {}
    for text, way in row.table.items():
        member = member_of(row, text, text, table)
        if isinstance(way, dict) and list(way) == ["instead"]:
            instead[member] = way["instead"]
        elif way in WAYS:
            required[member] = way
        else:
            row.wrong(text, f"write {{ instead = VALUE }} or one of {', '.join(WAYS)}")
    return instead, required


def _only(file: FileTable, table: Table) -> dict[Member, Only]:
    found = {}
    for text, row in file.rows("only").items():
        row.only("member", "is")
        member = member_of(row, text, text, table)
        other = row.text("member")
        member_of(row, "member", f"{member[0]}/{other}", table)
        values = row.texts("is")
        if not values:
            row.wrong("is", 'list at least one value: ["Debit"]')
        found[member] = Only(other, values)
    return found


def _separator(csv: FileTable) -> str:
    found = csv.table.get("separator")
    return found if found == "\t" else SEPARATORS[csv.one_of("separator", tuple(SEPARATORS), ",")]


def _namespaces(file: FileTable) -> dict[str, str]:
    row = file.within("namespaces") if "namespaces" in file.table else file.below("namespaces", {})
    return {prefix: row.text(prefix) for prefix in row.table}
