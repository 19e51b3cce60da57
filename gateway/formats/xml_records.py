"""The records of an XML answer: judged, given or withheld, and counted.

A record comes as a small tree, or in a run of plain ones that were cut as bytes (`xml_plain`); both count the same.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.formats import xml_coarser, xml_plain
from gateway.formats.model import Counts, UnknownShape, Upstream
from gateway.formats.table_plan import AT_ANY_TIME, TablePart, TablePlan
from gateway.formats.totals import Row
from gateway.formats.xml_judging import judge
from gateway.formats.xml_parsing import Node, tree, wrapped
from gateway.formats.xml_table import XmlTable, escaped, quoted
from gateway.formats.xml_writing import Writing, put_at, text_at
from gateway.ground.calendar.instants import Span, Window

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


class XmlRecords:
    """Of one answer, in their order. `rows`: in place of writing records, what counts
    of them goes there. `may_be_whose`: raises UnknownShape where it is not known yet whose the records are. `tell`: of
    a member that is not declared."""

    def __init__(
        self,
        plan: TablePlan,
        table: XmlTable,
        part: TablePart,
        sent: Upstream,
        period: Window,
        rows: list[Row] | None,
        may_be_whose: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        call = plan.form.calls[sent.operation]
        self._table, self._rows, self._may_be_whose = table, rows, may_be_whose
        self.out: list[bytes] = []  # of the whole answer, in its order
        self._of = table.along(table.record, call.answer.of) if rows is not None and call.answer is not None else ()
        self.refs: Mapping[str, str] = part.refs(sent)
        self.inside = judge(table.time, period, plan.source.zone)
        self.names, pair = part.names, plan.pair(part)
        self.writing = Writing(
            table, part.names, pair, tell, xml_coarser.changes(table.form, table.coarse, part.makers)
        )
        self.encoded_refs = {native.encode(): escaped(ref).encode() for native, ref in self.refs.items()}
        self.encoded_pair = lambda text: pair(text.strip().decode()).encode() if text.strip() else text
        self.most = part.records_max if rows is None else None
        self.window = xml_plain.LEAST  # bytes that are tried at once as a run of plain ones
        # what was found and given
        self.found = self.kept = self._fields = 0
        self.first: Span | None = None
        self._last: Span | None = None

    def counts(self) -> Counts:
        start, end = (None, None) if self.first is None or self._last is None else (self.first[0], self._last[1])
        return Counts(self.kept, self.found - self.kept, self.writing.fields + self._fields, start, end)

    def where(self) -> str:
        return f"{'.'.join(self._table.at)}[{self.found}]"

    def wrong_time(self) -> UnknownShape:
        paths = self._table.records.time.paths
        return UnknownShape(f"{self.where()}.{'.'.join(paths[0]) if paths else ''}")

    def wrong_account(self) -> UnknownShape:
        return UnknownShape(f"{self.where()}.{'.'.join(self._table.records.account)}")

    def add(self, node: Node) -> None:
        """The next one, as a tree."""
        text = self._cut(node)
        self.found += 1
        if text is not None:
            self.kept += 1
            if len(self._table.steps) == 1:
                text = self._with_namespaces(text)
            self.out.append(text)

    def take(self, count: int, texts: list[bytes], fields: int, spans: list[Span]) -> None:
        """The next ones, which were cut as bytes."""
        if count:
            self._may_be_whose()
        self.found += count
        self.kept += len(texts)
        self._fields += fields
        self.out += texts
        if spans:
            self._lasts(min(spans))
            self._lasts(max(spans, key=_end_of))

    def rewritten(self, piece: bytes, bindings: Mapping[str, str]) -> bytes:
        """A record that was cut as bytes, without the names of accounts in it."""
        node = tree(wrapped(piece, bindings, quoted)).elements()[0]
        where = self.where()
        if self._table.account:
            put_at(node, self._table.account, self.refs[text_at(node, self._table.account, where)])
        before = self.writing.fields
        text = self.writing.record(node, where)
        self.writing.fields = before
        return text

    def _cut(self, node: Node) -> bytes | None:
        """The record as it is given; None: it is withheld."""
        self._may_be_whose()
        table, where = self._table, self.where()
        paths = (*table.times, table.length) if table.length else table.times
        texts = [text_at(node, path, where) for path in paths]
        try:
            span = self.inside(*texts)
        except (ValueError, OverflowError):
            raise self.wrong_time() from None
        if span is False:
            return None
        ref = None
        if table.account:
            owner = text_at(node, table.account, where)
            if not owner and not table.time.lenient:
                raise self.wrong_account()
            ref = self.refs.get(owner) if owner else None
            if ref is None:
                return None
        if self.most is not None and self.kept >= self.most:
            return None
        value = text_at(node, self._of, where) if self._of else ""
        if ref is not None:
            put_at(node, table.account, ref)
        text = self.writing.record(node, where)
        if self._rows is not None:
            self._rows.append((*(AT_ANY_TIME if isinstance(span, bool) else span), value or None))
        if not isinstance(span, bool):
            self._lasts(span)
        return text

    def _lasts(self, span: Span) -> None:
        if self.first is None or span < self.first:
            self.first = span
        if self._last is None or span[1] > self._last[1]:
            self._last = span

    def _with_namespaces(self, text: bytes) -> bytes:
        """The record that is the whole document."""
        begin = b"<" + self._table.steps[0].tag.encode()
        return HEAD.encode() + begin + self._table.namespaces.encode() + text[len(begin) :]


def _end_of(span: Span) -> datetime:
    return span[1]
