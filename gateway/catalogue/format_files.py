"""A format as its file says it: each table read, and everything that is wrong with it noted with its key.

policies/formats/<id>.toml        a format that several organisations share
[format] of a declaration         one organisation's own
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import available_timezones

from gateway.catalogue import shapes
from gateway.catalogue.formats import (
    ACCEPT,
    AROUND,
    CUSTOMER,
    DRIVERS,
    EDGES,
    ENCODINGS,
    FILES,
    NOT_FOR_APPS,
    PAGING,
    PLACED,
    SEPARATORS,
    STAMPS,
    TABLES,
    USES,
    WAYS,
    AccountsTable,
    Format,
    FormatCall,
    FormatParameter,
    Member,
    Only,
    Pages,
    Path,
    Records,
    RecordTime,
    along,
)
from gateway.catalogue.made import OverRecords, answer
from gateway.catalogue.shapes import BadShape, Table, members
from gateway.catalogue.words import FileTable

_PATH = re.compile(r"(/[A-Za-z0-9._~!$'()*+,;=:@{}-]+)+/?|/")
_MEDIA = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
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
    parameters = {key: _parameter(key, row) for key, row in file.rows("parameters").items()}
    records = {kind: _records(kind, row, table) for kind, row in file.rows("records").items()}
    calls = _calls(file, parameters, records, table, driver)
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
        pages=_pages(file, table, parameters, calls) if "pages" in file.table else None,
        records=records,
        around=_around(file, table),
        instead=instead,
        required=required,
        only=_only(file, table),
        numbers=frozenset(_member_of(file, "numbers", text, table) for text in file.texts("numbers")),
        accounts=_accounts(file, calls, table) if "accounts" in file.table else None,
        download=_download(file, calls),
        files=_files(file),
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


def _parameter(name: str, row: FileTable) -> FormatParameter:
    row.only("as", "written", "included", "most", "values", "needs", "zone")
    use = row.one_of("as", USES)
    if use == "choice" and not row.table.get("values"):
        row.wrong("values", 'list the values an app may send: ["asc", "desc"]')
    return FormatParameter(
        name,
        use,
        row.one_of("written", EDGES, "rfc3339") if use in ("from", "to") else "",
        row.flag("included"),
        row.whole("most", 1, 1_000_000),
        row.texts("values"),
        row.text("needs") if "needs" in row.table else "",
        _zone(row, use),
    )


def _zone(row: FileTable, use: str) -> str:
    if "zone" not in row.table:
        return ""
    name = row.text("zone")
    if use not in ("from", "to"):
        row.wrong("zone", "leave it out: only from and to are times")
    elif name not in available_timezones():
        row.wrong("zone", "an IANA name, as Europe/Paris or Etc/GMT+1 (which is an hour behind UTC)")
    else:
        return name
    return ""


def _path(row: FileTable, key: str, table: Table, kind: str) -> Path:
    """The members that a dotted text names inside a type; () where the key is not there."""
    if key not in row.table:
        return ()
    return _split(row, key, row.text(key), table, kind)


def _split(row: FileTable, key: str, text: str, table: Table, kind: str) -> Path:
    path = _resolve(table, kind, text)
    if path is None:
        row.wrong(key, f"{text!r} leads to no member of {kind}")
    return path or ()


def _resolve(table: Table, kind: str, text: str) -> Path | None:
    """A dotted text as members: names may have dots themselves, so each is looked for at its full length first."""
    if not text:
        return ()
    known = members(table, kind) if kind in table and not isinstance(_safe(table, kind), BadShape) else {}
    if text in known:
        return (text,)
    for name in known:
        if text.startswith(name + "."):
            rest = _resolve(table, shapes.inner(known[name]), text[len(name) + 1 :])
            if rest is not None:
                return (name, *rest)
    return None


def led_to(table: Table, kind: str, text: str) -> Path:
    """The members that a dotted text names inside a type; () where it leads nowhere."""
    return _resolve(table, kind, text) or ()


def _safe(table: Table, kind: str) -> Any:
    try:
        return members(table, kind)
    except BadShape as fault:
        return fault


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
        _path(row, "account", table, kind),
        _time(row, table, kind),
        row.one_of("whose", ("account", "person"), "account") == "person",
        _path(row, "customer", table, kind),
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
    paths = tuple(_split(row, how, text, table, kind) for text in texts if text)
    length = row.table.get("length", 0)
    by_member = isinstance(length, str)
    found = RecordTime(
        how,
        paths,
        row.one_of("written", STAMPS, "iso"),
        row.flag("ends"),
        0 if by_member else row.whole("length", 1, 366 * 86400),
        _path(row, "length", table, kind) if by_member else (),
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


def _calls(
    file: FileTable,
    parameters: Mapping[str, FormatParameter],
    records: Mapping[str, Records],
    table: Table,
    driver: str,
) -> dict[str, FormatCall]:
    rows = file.entries("calls")
    found: dict[str, FormatCall] = {}
    for row in rows:
        name = row.text("name")
        here = file.below(f"calls.{name}", row.table) if name else row
        here.only("name", "dataset", "records", "path", "asks", "query", "method", "body", "sends", "at", "one",
                  "envelope", "answer", "days", "pages")  # fmt: skip
        if name and not _NAME.fullmatch(name):
            here.wrong("name", "small letters, digits and -")
        if name in found:
            here.wrong("name", f"{name} stands twice")
        found[name] = _call(here, name, parameters, records, table)
        _placed_at(here, found[name], records, table, driver)
    return found


def _call(
    row: FileTable, name: str, parameters: Mapping[str, FormatParameter], records: Mapping[str, Records], table: Table
) -> FormatCall:
    kind = row.one_of("records", tuple(records) or ("",))
    path = row.text("path")
    asks = row.text("asks") if "asks" in row.table else ""
    for key, text in (("path", path), ("asks", asks.partition("?")[0])):
        if text and not _PATH.fullmatch(text):
            row.wrong(key, "a path begins with / and has plain segments or {account}")
    query = row.texts("query")
    for unknown in sorted(set(query) - parameters.keys()):
        row.wrong("query", f"{unknown} is in no [format.parameters.{unknown}]")
    method = row.one_of("method", ("GET", "POST"), "GET")
    body = row.table.get("body")
    if body is not None and (method != "POST" or not isinstance(body, dict)):
        row.wrong("body", 'a table, and only with method = "POST"')
        body = None
    call = FormatCall(
        name,
        row.text("dataset"),
        kind,
        path,
        asks,
        query,
        method,
        body,
        row.one_of("sends", ("json", "form"), "json"),
        tuple(filter(None, row.table["at"].split("."))) if isinstance(row.table.get("at"), str) else None,
        row.flag("one"),
        row.text("envelope") if "envelope" in row.table else "Answer",
        _answer(row, table, kind),
        row.flag("pages") if "pages" in row.table else True,
        row.whole("days", 1, 3660),
    )
    uses = {parameters[word].use for word in (*query, *call.placed) if word in parameters}
    if call.days and not {"from", "to"} <= uses:
        row.wrong(
            "days", "leave it out: without a parameter for both ends of the period it cannot be asked for in parts"
        )
    in_path = PLACED.findall(path)
    for word in sorted({*NOT_FOR_APPS, *parameters} & set(in_path)):
        why = "it is a parameter, which a path does not judge" if word in parameters else "it is not theirs to say"
        row.wrong("path", f"apps call it with a word of their own for {{{word}}}, and {why}: take another name")
    for word in sorted(set(PLACED.findall(asks.partition("?")[0])) & parameters.keys()):
        row.wrong("asks", f"{{{word}}} may be missing, and a path has no place for that: write it behind the ?")
    for unknown in sorted(call.placed - parameters.keys() - {"account", CUSTOMER} - set(in_path)):
        right = f"{{{unknown}}} is neither {{account}}, {{{CUSTOMER}}} nor a parameter"
        row.wrong("asks" if unknown in asks else "body", right)
    return call


def _answer(row: FileTable, table: Table, kind: str) -> OverRecords | None:
    found = answer(row)
    return None if found is None else replace(found, of=_path(row.within("answer"), "of", table, kind))


def _placed_at(row: FileTable, call: FormatCall, records: Mapping[str, Records], table: Table, driver: str) -> None:
    """That the records of the call stand where they are said to."""
    if call.records not in records:
        return
    at = records[call.records].at if call.at is None else call.at
    single = call.one or records[call.records].one
    if not at or driver == "csv":
        return
    if call.envelope not in table:
        row.wrong("at", f"there is no line {call.envelope} in shapes, which it leads into")
        return
    found = along(table, call.envelope, at)
    word = members(table, found[-1][0])[found[-1][1]] if found else ""
    right = call.records if single else f"{call.records}*"
    if word != right:
        row.wrong("at", f"{'.'.join(at)} of {call.envelope} in shapes must be {right}, and is {word or 'not there'}")


def _pages(
    file: FileTable, table: Table, parameters: Mapping[str, FormatParameter], calls: Mapping[str, FormatCall]
) -> Pages:
    row = file.within("pages")
    row.only("by", "at", "parameter", "size", "first", "own", "start", "before")
    by = row.one_of("by", PAGING)
    for key, wanted in (("at", by in ("link", "cursor")), ("parameter", by in ("cursor", "page", "offset"))):
        if wanted and key not in row.table:
            row.wrong(key, f'by = "{by}" needs it')
    for key in ("parameter", "size"):
        if key in row.table and row.text(key) not in parameters:
            row.wrong(key, f"{row.text(key)} is in no [format.parameters.{row.text(key)}]")
    return Pages(
        by,
        _answered(row, "at", table, calls),
        row.text("parameter") if "parameter" in row.table else "",
        row.text("size") if "size" in row.table else "",
        row.whole("first", 0, 1, 1),
        _answered(row, "own", table, calls),
        _answered(row, "start", table, calls),
        _answered(row, "before", table, calls),
    )


def _answered(row: FileTable, key: str, table: Table, calls: Mapping[str, FormatCall]) -> Path:
    """The members that a dotted text names inside an answer: the first of the calls' that has them."""
    answers = dict.fromkeys(call.envelope for call in calls.values()) or {"Answer": None}
    text = row.text(key) if key in row.table else ""
    leading = (kind for kind in answers if _resolve(table, kind, text))
    return _path(row, key, table, next(leading, next(iter(answers))))


def _member_of(file: FileTable, key: str, text: str, table: Table) -> Member:
    kind, _, name = text.partition("/")
    known = _safe(table, kind) if kind in table else {}
    if isinstance(known, BadShape) or name not in known:
        file.wrong(key, f"{text!r} is no Type/member of shapes")
    return kind, name


def _around(file: FileTable, table: Table) -> dict[Member, str]:
    row = file.within("around") if "around" in file.table else file.below("around", {})
    return {_member_of(row, text, text, table): row.one_of(text, AROUND) for text in row.table}


def _required(file: FileTable, table: Table) -> tuple[dict[Member, Any], dict[Member, str]]:
    row = file.within("required") if "required" in file.table else file.below("required", {})
    instead: dict[Member, Any] = {}
    required: dict[Member, str] = {}
    for text, way in row.table.items():
        member = _member_of(row, text, text, table)
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
        member = _member_of(row, text, text, table)
        other = row.text("member")
        _member_of(row, "member", f"{member[0]}/{other}", table)
        values = row.texts("is")
        if not values:
            row.wrong("is", 'list at least one value: ["Debit"]')
        found[member] = Only(other, values)
    return found


def _accounts(file: FileTable, calls: Mapping[str, FormatCall], table: Table) -> AccountsTable:
    row = file.within("accounts")
    row.only("call", "native", "label", "number", "kind", "closed")
    name = row.one_of("call", tuple(calls) or ("",))
    kind = calls[name].records if name in calls else ""
    if name in calls and "{account}" in calls[name].path + calls[name].asks + repr(calls[name].body):
        row.wrong("call", "it lists the accounts, so it cannot name one: take a call without {account}")
    if "native" not in row.table:
        row.wrong("native", "name the member that identifies an account")
    closed: dict[Path, tuple[str, ...]] = {}
    inside = row.within("closed") if "closed" in row.table else row.below("closed", {})
    for text in inside.table:
        closed[_split(inside, text, text, table, kind)] = inside.texts(text)
    paths = {key: _path(row, key, table, kind) for key in ("native", "label", "number", "kind")}
    return AccountsTable(name, paths["native"], paths["label"], paths["number"], paths["kind"], closed)


def _download(file: FileTable, calls: Mapping[str, FormatCall]) -> tuple[str, ...]:
    """The calls that together hold everything: those named, or all that need no id but an account's."""
    row = file.within("download") if "download" in file.table else file.below("download", {})
    row.only("calls", "files")
    named = row.texts("calls")
    for unknown in sorted(set(named) - calls.keys()):
        row.wrong("calls", f"{unknown} is none of the calls")
    return named or tuple(_whole(calls))


def _whole(calls: Mapping[str, FormatCall]) -> Iterator[str]:
    """Of each type of data the first call that asks for all of it, or all of one account: a list, if there is one."""
    seen: set[str] = set()
    for name, call in sorted(calls.items(), key=lambda named: named[1].one):
        if call.dataset not in seen and set(PLACED.findall(call.path)) <= {"account"}:
            seen.add(call.dataset)
            yield name


def _files(file: FileTable) -> tuple[str, ...]:
    download = file.table.get("download")
    named = download.get("files", ["native"]) if isinstance(download, dict) else ["native"]
    if not isinstance(named, list) or not named or any(each not in FILES for each in named):
        file.wrong("download.files", f"a list of {', '.join(FILES)}")
        return ("native",)
    return tuple(named)


def _separator(csv: FileTable) -> str:
    found = csv.table.get("separator")
    return found if found == "\t" else SEPARATORS[csv.one_of("separator", tuple(SEPARATORS), ",")]


def _namespaces(file: FileTable) -> dict[str, str]:
    row = file.within("namespaces") if "namespaces" in file.table else file.below("namespaces", {})
    return {prefix: row.text(prefix) for prefix in row.table}
