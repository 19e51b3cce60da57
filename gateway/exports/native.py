"""The organisation's own format: what its calls answered, with the records of all pages in one file for each call."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.catalogue.formats import Format, FormatCall
from gateway.exports import tables
from gateway.formats import everything, xml_everything
from gateway.formats.model import Account, Download, Fetch, Source
from gateway.formats.shapes import encode
from gateway.formats.stamps import stamp
from gateway.ground.calendar.instants import Span

Read = Mapping[str, Mapping[str, list[Any]]]  # call → account, "" where it names none → records, as they were written


@dataclass(frozen=True, slots=True)
class _Asked:
    call: FormatCall
    accounts: tuple[str, ...]


def read(form: Format, source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> Read:
    """All records of each call of the format's download, all pages, of these accounts only."""
    natives = tuple(account.native for account in accounts)
    found: dict[str, dict[str, list[Any]]] = {}
    for name in form.download:
        call = form.calls[name]
        asked = natives if call.names_account else ("",)
        found[name] = {native: _records(form, source, fetch, call, native, natives) for native in asked}
    return found


def _records(
    form: Format, source: Source, fetch: Fetch, call: FormatCall, native: str, natives: tuple[str, ...]
) -> list[Any]:
    records = [record for page in everything.pages(form, source, fetch, call, native or None) for record in page]
    path = form.records[call.records].account
    if not path or (form.accounts is None and not source.filed):  # of a file, a call for one account has all of them
        return records
    theirs = (native,) if source.filed and native else natives
    return [record for record in records if everything.text(everything.value(record), path) in theirs]


def files(form: Format, source: Source, read: Read) -> list[Download]:
    """One file for each call; in XML several, where documents do not fit into one."""
    made: list[Download] = []
    for name, found in read.items():
        records: list[Any] = [record for each in found.values() for record in each]
        if form.driver == "xml":
            made += _documents(form, source, name, records)
        else:
            made.append(_file(form, source, name, records))
    return made


def _documents(form: Format, source: Source, name: str, records: list[Any]) -> list[Download]:
    call = form.calls[name]
    found = []
    for number, (body, inside) in enumerate(xml_everything.documents(form, call, records), 1):
        start, end = _lasting(form, call, source, inside)
        file = f"{_stem(form, name)}{f'-{number}' if number > 1 else ''}.xml"
        found.append(Download(file, form.accept, body, call.dataset, len(inside), start, end))
    return found


def _file(form: Format, source: Source, name: str, records: list[Any]) -> Download:
    call = form.calls[name]
    start, end = _lasting(form, call, source, records)
    if form.driver == "csv":
        text, title = tables.table(form, call.records, records), f"{_stem(form, name)}.csv"
        return Download(title, tables.media_type(form), text, call.dataset, len(records), start, end)
    body: Any = records[0] if form.single(call) and records else records
    for member in reversed(form.place(call)):
        body = {member: body}
    text = b"".join(encode(record) + b"\n" for record in records) if form.driver == "ndjson" else encode(body)
    ending = "ndjson" if form.driver == "ndjson" else "json"
    return Download(f"{_stem(form, name)}.{ending}", form.accept, text, call.dataset, len(records), start, end)


def _lasting(
    form: Format, call: FormatCall, source: Source, records: list[Any]
) -> tuple[datetime | None, datetime | None]:
    """From when to when the records are."""
    spans = [span for record in records if (span := _span(form, call, source, everything.value(record))) is not None]
    return (min(spans)[0], max(last for _, last in spans)) if spans else (None, None)


def _stem(form: Format, name: str) -> str:
    """Of a call for one account the last word: `account-transactions` is `transactions`."""
    return name.removeprefix("account-") if form.calls[name].names_account else name


def _span(form: Format, call: FormatCall, source: Source, record: Any) -> Span | None:
    time = form.records[call.records].time
    if time.how not in ("instant", "span"):
        return None
    try:
        edges = [stamp(time.written)(everything.text(record, path), source.zone) for path in time.paths]
    except ValueError:
        return None
    return edges[0][0], edges[-1][1]
