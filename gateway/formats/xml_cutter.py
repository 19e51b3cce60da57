"""The cut of an XML answer, as it comes in: the same for one that is held whole and for a stream, with flat memory.

    bytes ──Expat──► the elements on the way to the records: opened, their other children cut by `xml_around`
                     each record: one small tree, judged and written anew, and forgotten
          ──plain──► runs of records that a strict grammar recognises as bytes (`xml_plain`) never come to Expat

A run is whole elements between two children of one element, so leaving it out changes nothing of how Expat reads the
rest. Whether that is where the document stands is known from Expat itself: the last thing it saw is the end of a record
that ends where the bytes given to it end.
"""

import codecs
from pyexpat import ExpatError
from typing import NamedTuple

from gateway.catalogue.formats import Path
from gateway.formats import drift, xml_plain
from gateway.formats.model import DEPTH, LIMIT, Counts, NotThere, TooLarge, UnknownShape, Upstream
from gateway.formats.paging import Unusable
from gateway.formats.table_plan import UNUSABLE, TablePart, TablePlan
from gateway.formats.totals import Row
from gateway.formats.xml_around import XmlAround, dotted
from gateway.formats.xml_parsing import BLANK, Node, no_base, parser
from gateway.formats.xml_records import HEAD, XmlRecords
from gateway.formats.xml_table import Part, XmlKind, XmlTable
from gateway.ground.calendar.instants import Window

TAGS = 256  # before the records that are read one by one, so that the first record is met at its beginning
SLICE = 4096  # bytes that are read at once where no end of a record tells how many
WIDEST = 1 << 16
HOLD = 1 << 14  # bytes of a record of which the end has not come that wait for it
TOKEN = 1 << 20  # bytes of one comment, tag or instruction: Expat reads an unfinished one again with each piece


class JudgedPeriods(NamedTuple):
    whole: Window  # of the agreement, or of the call
    judged: Window  # in which a record must lie


class XmlCutter:
    """One answer. `link`: its Link header. `rows`: in place of writing records, what counts of them goes there."""

    def __init__(
        self,
        plan: TablePlan,
        table: XmlTable,
        part: TablePart,
        sent: Upstream,
        periods: JudgedPeriods,
        link: str = "",
        rows: list[Row] | None = None,
    ) -> None:
        self._plan, self._table, self._part, self._sent, self._link = plan, table, part, sent, link
        self.media_type = table.form.accept  # it is written in UTF-8, whatever it was read in
        self.records = XmlRecords(plan, table, part, sent, periods.judged, rows, self._require_owner, self._tell)
        self._writing = self.records.writing
        self._rows = rows
        self._around = XmlAround(table, periods.whole, plan.source.zone, self.records.refs, self._leads)
        self._told: dict[str, None] = {}
        self._instead = False  # something that is not declared, and has members, stands where the records do
        self._aside = False  # what is skipped stands there
        self.led = ""  # what the answer says of its next page
        self.following = self.notice = ""
        # the bytes: decoded, and not yet read
        self._decode = codecs.getincrementaldecoder(table.form.encoding)().decode
        self._utf_8 = table.form.encoding == "utf-8"
        self._buffer = b""
        self._at = 0
        # where the document stands
        self._parser = parser(self._start, self._end, self._data, table.form.encoding)
        self._parser.StartNamespaceDeclHandler = self._bound
        self._parser.EndNamespaceDeclHandler = self._unbound
        self._bindings: dict[str, list[str]] = {}
        self._fed = 0
        self._depth = self._skipped = self._level = self._deepest = 0
        self._seen: list[set[str]] = []
        self._stack: list[Node] = []
        self._begun = 0  # where the element that is being read begins
        self._read_part: Part | None = None  # what that is
        self._ended = -1  # where the end tag of the last record begins
        self._close = b""  # how the end tag of a record is written; b"": not known yet
        self._plain: xml_plain.Plain | None = None
        self._tags = 0
        self._step = 0  # bytes behind which the end of a record is looked for
        self._unlike = 0  # records that were not plain, less those that were

    # ---- the bytes

    def feed(self, chunk: bytes) -> bytes:
        self._buffer = self._buffer[self._at :] + self._decoded(chunk)
        self._at = 0
        try:
            self._advance(HOLD)
        except ExpatError:
            raise UnknownShape("xml") from None
        return self._taken()

    def close(self) -> bytes:
        """Raises NotThere where the one record of the answer is withheld."""
        self._decoded(b"", final=True)
        try:
            self._advance(0)
            self._parser.Parse(b"", True)
        except ExpatError:
            raise UnknownShape("xml") from None
        if self._deepest < len(self._table.steps) - 1:
            raise UnknownShape(self._where(self._deepest))
        if self._instead and not self.records.found:  # the records may have another name now
            raise UnknownShape(self._where(len(self._table.steps) - 1, self._table.steps[-1]))
        if self._table.single and not self.records.kept and self._rows is None:
            raise NotThere
        if self._around.judges and not self._around.judged and not self._owned:
            raise UnknownShape(self._where(0))
        if self._rows is None:
            self._lead_on()
        if self._told and self._part.seen is not None:
            self._part.seen.note(self._told)
        return self._taken()

    def counts(self) -> Counts:
        return self.records.counts()

    def _decoded(self, chunk: bytes, final: bool = False) -> bytes:
        """The same in UTF-8. Raises UnknownShape for what is none."""
        try:
            text = self._decode(chunk, final)
        except UnicodeError:
            raise UnknownShape("encoding") from None
        return chunk if self._utf_8 else text.encode()

    def _taken(self) -> bytes:
        """What may be sent now: of an answer of one record nothing before that record was given."""
        if self._table.single and not self.records.kept:
            return b""
        out = b"".join(self.records.out)
        self.records.out.clear()
        return out

    def _advance(self, hold: int) -> None:
        """Read on. `hold`: of what follows a record, so many bytes may wait: they may be a part of a plain one."""
        while self._at < len(self._buffer):
            if self._plain is not None and self._is_between:
                self._run(self._plain)
                if len(self._buffer) - self._at < hold and self._buffer.find(self._close, self._at) < 0:
                    break
            end = self._piece_end()
            if hold and end < 0 and len(self._buffer) - self._at < SLICE:
                break
            self._read(self._at + SLICE if end < 0 else end)
            self._step = 0 if self._is_between else min(max(2 * self._step, 256), WIDEST)
        self._buffer, self._at = self._buffer[self._at :], 0

    @property
    def _is_between(self) -> bool:
        """Whether the last that was read is the end of a record, or the tag before the first."""
        return self._ended >= 0 and self._ended + len(self._close) == self._fed

    def _piece_end(self) -> int:
        """Where to read on to: the end of a record, if it is one. Where it was none, in a comment perhaps, further with
        each try, since Expat reads what is unfinished again. Before the records, to the end of a tag. -1: there is no
        such end."""
        if not self._close and self._tags < TAGS:
            self._tags += 1
            return self._buffer.find(b">", self._at) + 1 or -1
        if self._plain is None:
            return -1
        found = self._buffer.find(self._close, self._at + self._step)
        return found if found < 0 else found + len(self._close)

    def _read(self, end: int) -> None:
        piece = self._buffer[self._at : end]
        self._at += len(piece)
        self._fed += len(piece)
        self._parser.Parse(piece, False)
        if self._fed - self._parser.CurrentByteIndex > TOKEN or (self._stack and self._fed - self._begun > LIMIT):
            raise TooLarge("one element")

    def _run(self, plain: "xml_plain.Plain") -> None:
        before = self.records.found
        self._at = plain.run(self.records, self._buffer, self._at)
        if self.records.found > before:
            self._unlike -= self.records.found - before
        elif self._buffer.find(self._close, self._at) >= 0:
            self._unlike += 1
        self._unlike = max(self._unlike, -xml_plain.PATIENCE)
        if self._unlike > xml_plain.PATIENCE:
            self._plain = None

    # ---- Expat's handlers

    def _bound(self, prefix: str | None, uri: str | None) -> None:
        self._bindings.setdefault(prefix or "", []).append(uri or "")

    def _unbound(self, prefix: str | None) -> None:
        self._bindings[prefix or ""].pop()

    def _start(self, key: str, attributes: list[str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise TooLarge("depth")
        if attributes:
            no_base(attributes)
        stack = self._stack
        if stack:
            node = Node(key, attributes)
            stack[-1].items.append(node)
            stack.append(node)
            return
        if self._skipped:
            self._instead = self._instead or self._aside
            return
        node = Node(key, attributes)
        steps, level = self._table.steps, self._level
        step = steps[level] if level < len(steps) else None
        kind = self._kind()
        part = step if step is not None and step.key == key else kind.elements.get(key)
        if level == 0 and part is not step:
            raise UnknownShape("root")
        if part is None:
            self._skipped = self._depth
            self._writing.undeclared("", key, self._where(level))
            self._aside = level == len(steps) - 1
            self._instead = self._instead or (self._aside and bool(attributes))
            return
        counts = part is step or self._around.matters(part, kind, (*self._place(level), part.name))
        if part.refused or (counts and part.name in self._seen_here() and not part.many):
            raise UnknownShape(self._where(level, part))
        self._seen_here().add(part.name)
        if part is step and level < len(steps) - 1:
            self._open(part, node)
        elif counts:
            self._stack.append(node)
            self._read_part, self._begun = part, self._parser.CurrentByteIndex
        else:
            self._skipped, self._aside = self._depth, False

    def _end(self, _key: str) -> None:
        self._depth -= 1
        stack = self._stack
        if len(stack) > 1:
            stack.pop()
            return
        if self._skipped:
            if self._depth < self._skipped:
                self._skipped = 0
            return
        if not stack:
            self._level -= 1
            self._seen.pop()
            self._ended = -1
            self._write(f"</{self._table.steps[self._level].tag}>")
            return
        node = stack.pop()
        part, self._read_part = self._read_part, None
        assert part is not None
        if part is self._table.steps[-1] and self._level == len(self._table.steps) - 1:
            self.records.add(node)
            self._ended = self._parser.CurrentByteIndex
        else:
            out: list[str] = []
            before = self._writing.fields
            self._around.element(self._kind(), part, node, self._writing, self._place(self._level), out)
            self._writing.fields = before
            self._write("".join(out))

    def _data(self, text: str) -> None:
        if self._stack:
            self._stack[-1].items.append(text)
        elif not self._skipped and text.strip(BLANK):
            raise UnknownShape(self._where(self._level))

    # ---- around the records

    def _kind(self) -> XmlKind:
        """The type of the element whose children are read."""
        kind = self._table.steps[self._level - 1].kind if self._level else self._table.answer
        assert kind is not None
        return kind

    def _seen_here(self) -> set[str]:
        if len(self._seen) <= self._level:
            self._seen.append(set())
        return self._seen[self._level]

    def _place(self, level: int) -> Path:
        return tuple(step.name for step in self._table.steps[:level])

    def _where(self, level: int, part: Part | None = None) -> str:
        return dotted((*self._place(level), part.name) if part is not None else self._place(level))

    def _open(self, part: Part, node: Node) -> None:
        self._level += 1
        self._deepest = max(self._deepest, self._level)
        self._seen_here()
        assert part.kind is not None
        attributes = self._around.attributes(part.kind, node, self._writing, self._place(self._level))
        head, names = (HEAD, self._table.namespaces) if self._level == 1 else ("", "")
        self._write(f"{head}<{part.tag}{names}{attributes}>")
        if self._level == len(self._table.steps) - 1:
            bindings = {prefix: uris[-1] for prefix, uris in self._bindings.items() if uris}
            self._plain = xml_plain.plain(self._table, bindings) if self._rows is None else None
            self._close = self._plain.close if self._plain is not None else b""
            if self._close and self._tags < TAGS:
                self._ended = self._fed - len(self._close)  # what was read ends with this tag: its children follow

    def _write(self, text: str) -> None:
        self.records.out.append(text.encode())

    def _tell(self, place: str) -> None:
        """Of a member that is not declared."""
        if self._part.seen is None:
            raise UnknownShape(place)
        if len(self._told) <= drift.MOST:
            self._told[place.replace(f"[{self.records.found}]", "", 1)] = None

    @property
    def _owned(self) -> bool:
        """Whether it is known whose a record is without the answer saying so of all of them."""
        form = self._plan.form
        return form.says_whose(form.calls[self._sent.operation])

    def _require_owner(self) -> None:
        """Raises UnknownShape where the answer says whose its records are, and has not said it yet."""
        if self._around.judges and not self._around.judged and not self._owned:
            raise UnknownShape(self._where(self._level))

    # ---- pages

    def _leads(self, rule: str, said: str) -> str:
        """What the app gets in place of an address of a page."""
        plan, part, sent, pages = self._plan, self._part, self._sent, self._plan.form.pages
        assert pages is not None
        if rule == "start":
            return plan.address(part, sent, "")
        if rule == "own":
            return plan.address(part, sent, plan.own_token(part, sent))
        if rule == "before":
            return plan.before(part, sent, said)
        if pages.by not in ("link", "cursor"):  # where the next page begins is only known at the end
            return ""
        self.led = said
        if self._rows is not None:
            return ""
        token = self._token(said)
        return token if pages.by == "cursor" or not token else plan.address(part, sent, token)

    def _token(self, led: str) -> str:
        """Of the next page; "": there is none, or what is said of it leads nowhere."""
        try:
            return self._plan.following(
                self._part, self._sent, self._plan.leads_on(self._sent, led, self._link, self.records.found)
            )
        except Unusable:
            self.notice = UNUSABLE
            return ""

    def _lead_on(self) -> None:
        token = self._token(self.led)
        self.following = self._plan.address(self._part, self._sent, token) if token else ""
