"""Files in XML with the records of many customers: taken apart into records, judged, and put together again.

A record is the organisation's own bytes, in UTF-8. The start tags around them are kept once, so all records of a file
stand inside the same ones. What else stands around them belongs to nobody and is left.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.catalogue.formats import Format, FormatCall
from gateway.formats import xml_everything
from gateway.formats.drift import Seen
from gateway.formats.model import UnknownShape
from gateway.formats.names import AccountNames
from gateway.formats.xml_everything import as_declared
from gateway.formats.xml_judging import judge
from gateway.formats.xml_parsing import Node, tree
from gateway.formats.xml_table import XmlTable
from gateway.formats.xml_writing import Writing, text_at
from gateway.ground.calendar.instants import Window

_BETWEEN = b"\0"  # stands in no XML


@dataclass(frozen=True, slots=True)
class XmlFile:
    head: bytes  # the start tags around every record, and the end tags
    records: Sequence[tuple[bytes, dict[str, Any]]]  # bytes, and the members as JSON has them


def taken(form: Format, call: FormatCall, body: bytes) -> XmlFile:
    """Raises UnknownShape, and TooLarge for what is too deep."""
    found = xml_everything.page(form, call, body, most=len(body), exact=True).records
    around = {(record.opening, record.closing) for record in found} or {xml_everything.empty(as_declared(form, call))}
    if len(around) > 1:
        raise UnknownShape("the start tags around the records, which are not the same for all,")
    [(opening, closing)] = around
    records = [(record.source, msgspec.json.decode(record.value, type=dict[str, Any])) for record in found]
    return XmlFile(opening + _BETWEEN + closing, records)


def document(form: Format, head: bytes, records: Iterable[bytes]) -> bytes:
    """The answer with these records alone, in the encoding of the format."""
    opening, _, closing = head.partition(_BETWEEN)
    text = b"".join([opening, *records, closing]).decode()
    return f'<?xml version="1.0" encoding="{form.encoding}"?>\n{text}'.encode(form.encoding)


def fault(
    form: Format, call: FormatCall, zone: str, head: bytes, records: Sequence[bytes], seen: Seen | None
) -> str | None:
    """The place that is not as declared; None: there is none. It is judged with the functions that cut an answer."""
    own, told, number = as_declared(form, call), dict[str, None](), 0

    def tell(place: str) -> None:
        if seen is None:
            raise UnknownShape(place)
        told[place.replace(f"[{number}]", "", 1)] = None

    writing = Writing(own, AccountNames(()), str, tell, {})
    opening, _, closing = head.partition(_BETWEEN)
    try:
        for number, node in enumerate(_nodes(own, tree(b"".join([opening, *records, closing])))):
            _judged(own, node, zone, f"{'.'.join(own.at)}[{number}]", writing)
    except UnknownShape as shape:
        return shape.where or "the outermost place"
    if told and seen is not None:
        seen.note(told)
    return None


def _nodes(own: XmlTable, root: Node) -> Iterator[Node]:
    nodes = [root]
    for step in own.steps[1:]:
        nodes = [below for node in nodes for below in node.elements() if below.key == step.key]
    yield from nodes


def _judged(own: XmlTable, node: Node, zone: str, where: str, writing: Writing) -> None:
    paths = (*own.times, own.length) if own.length else own.times
    try:
        judge(own.time, Window(None, None), zone)(*[text_at(node, path, where) for path in paths])
    except (ValueError, OverflowError):
        raise UnknownShape(f"{where}.{'.'.join(own.records.time.paths[0])}") from None
    if own.account and not own.time.lenient and not text_at(node, own.account, where):
        raise UnknownShape(f"{where}.{'.'.join(own.records.account)}")
    writing.plain(node, where)
