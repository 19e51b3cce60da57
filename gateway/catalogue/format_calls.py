"""How an organisation is asked: the calls of a format, their parameters and pages, and which of them list the person's
accounts and make up her copy."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from zoneinfo import available_timezones

from gateway.catalogue.format_paths import path_of, resolved, split
from gateway.catalogue.formats import (
    CUSTOMER,
    EDGES,
    FILES,
    NOT_FOR_APPS,
    PAGING,
    PLACED,
    USES,
    AccountsTable,
    FormatCall,
    FormatParameter,
    Pages,
    Path,
    Records,
    along,
)
from gateway.catalogue.made import OverRecords, answer
from gateway.catalogue.shapes import Table, members
from gateway.catalogue.words import FileTable

_PATH = re.compile(r"(/[A-Za-z0-9._~!$'()*+,;=:@{}-]+)+/?|/")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


def parameter(name: str, row: FileTable) -> FormatParameter:
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


def calls_of(
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
    return None if found is None else replace(found, of=path_of(row.within("answer"), "of", table, kind))


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


def pages_of(
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
    leading = (kind for kind in answers if resolved(table, kind, text))
    return path_of(row, key, table, next(leading, next(iter(answers))))


def accounts_of(file: FileTable, calls: Mapping[str, FormatCall], table: Table) -> AccountsTable:
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
        closed[split(inside, text, text, table, kind)] = inside.texts(text)
    paths = {key: path_of(row, key, table, kind) for key in ("native", "label", "number", "kind")}
    return AccountsTable(name, paths["native"], paths["label"], paths["number"], paths["kind"], closed)


def download_of(file: FileTable, calls: Mapping[str, FormatCall]) -> tuple[str, ...]:
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


def files_of(file: FileTable) -> tuple[str, ...]:
    download = file.table.get("download")
    named = download.get("files", ["native"]) if isinstance(download, dict) else ["native"]
    if not isinstance(named, list) or not named or any(each not in FILES for each in named):
        file.wrong("download.files", f"a list of {', '.join(FILES)}")
        return ("native",)
    return tuple(named)
