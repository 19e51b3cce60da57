"""Files of an organisation that has no API: taken in, sealed by customer, and given back for one customer.

    open ──► read record by record ──► sealed in pieces, by customer ──► checked to its end ──► current

A file is current in one transaction, which comes last: whoever reads sees the old one whole or the new one whole, and
where an import breaks off the old one stays. Until then its pieces are of an import that is coming, which nobody
reads; what is coming for a day and what is over leaves by `gateway.retention`, a few rows at a time.

Who a customer is stands nowhere: the rows have `links.whose`, the same keyed MAC as a link, and what is sealed is bound
to it. So nothing of another customer's can be in what is read for a link.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select, update

from gateway.catalogue import Format
from gateway.catalogue.formats import FormatCall
from gateway.errors import Unavailable
from gateway.formats import filed
from gateway.formats import seeming as guesses
from gateway.formats.drift import Seen
from gateway.formats.filed import BadFile, Filed
from gateway.formats.model import FoundAccount, Upstream
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.store.statements import insert, turn
from gateway.house import House
from gateway.organisations import file_rules, links
from gateway.organisations.file_rules import KIND, FilesView
from gateway.organisations.given_files import GivenFile
from gateway.organisations.tables import FileCode, FileImport, FilePart, Organisation
from gateway.organisations.views import OrganisationView, is_strict

__all__ = ["KIND", "BadFile", "Imported", "accounts", "all_of", "bring", "part"]

COMING, CURRENT, OVER = "coming", "current", "over"
COMING_FOR = timedelta(days=1)
CHECKED_AT_ONCE = 500  # records
SEALED_AT_ONCE = 4_000_000  # bytes of records held before they are sealed
ROWS_AT_ONCE = 1000  # of one transaction, so that others can write between them
NAMED = 12  # places of one line
WRITTEN = 16  # characters by which two spellings of a number are told apart
TWO_SPELLINGS = (
    "two customer numbers differ in capital letters or blanks alone, which a person may write as she likes: "
    "write each number the same everywhere, or take a member whose texts differ in more"
)
OTHER_SPELLING = (
    "a customer number is written with other capital letters or blanks than in what is kept, another file or codes: it "
    "may be another customer's. Write it as before; or wait until that has run out, if all are written anew"
)
_log = logging.getLogger("gateway.organisations")


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in. Numbers and names of members, never a value."""

    call: str  # "": codes
    records: int
    customers: int
    size: int
    sha256: str
    until: datetime
    undeclared: tuple[str, ...] = ()  # places that the declaration does not know: they never leave
    missing: tuple[str, ...] = ()  # declared columns of a table that are not in it
    too_large: int = 0  # customers with more than one answer may have
    seems: str = ""  # that its texts are spelt wrongly as they are read; "": nothing speaks for it


def told(organisation: str, done: Imported) -> str:
    """One line for the operator: on the terminal, in the log and beside the file."""
    what = counted(done.records, "record" if done.call else "code")
    named = [*done.undeclared[:NAMED], *([f"{len(done.undeclared) - NAMED} more"] if done.undeclared[NAMED:] else [])]
    more = f"; not declared, and given to nobody: {', '.join(named)}" if named else ""
    if done.missing:
        more += f"; declared, and not in it: {', '.join(done.missing)}"
    if done.too_large:
        have = "has" if done.too_large == 1 else "have"
        more += (
            f"; {counted(done.too_large, 'customer')} {have} more than one answer may have: nothing is given to them"
        )
    if done.seems:
        more += f"; {done.seems}"
    kept = f"kept until {done.until:%Y-%m-%d %H:%M} UTC"
    of = counted(done.customers, "customer")
    return f"{organisation}: {done.call or 'codes'}: {what} of {of}, {done.size} bytes, {kept}{more}"


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def seeming(form: Format, begin: bytes, wrong: str) -> str:
    """What is wrong with a file, and what it seems to be instead. `begin`: of its bytes."""
    seems = guesses.driver(form, begin)
    if not seems and form.driver == "csv":
        seems = guesses.table(form, begin, set(guesses.columns(form)))
    return f"{wrong}; {seems}" if seems else wrong


# ---- taking it in


def bring(
    house: House,
    view: OrganisationView,
    call: str,
    given: GivenFile,
    now: datetime,
    progress: Callable[[int, int], None] = lambda records, size: None,
) -> Imported:
    """Take in a file with the records of one call, in place of the one before. Raises BadFile; then nothing changes.

    `progress` is told now and then how many records and bytes were read.
    """
    form, files = _described(view)
    importing = _Importing(house, view, form, files, form.calls[call], given, now)
    try:
        importing.begin()
        try:
            importing.read(progress)
        except BadFile as wrong:
            raise BadFile(seeming(form, given.begin, str(wrong))) from None
        given.require_whole()
        done = importing.end()
    except BaseException:
        importing.drop()
        raise
    _log.info("files: %s", told(view.id, done))
    return done


def _described(view: OrganisationView) -> tuple[Format, FilesView]:
    if view.files is None or view.form is None:
        raise BadFile(f"{view.id} has an API and gives no files")
    return view.form, view.files


def as_written(keys: KeyRing, organisation: str, number: str) -> str:
    """How a customer's number is written, so that two spellings of it are told apart."""
    return keys.mac("customer as written", organisation, number.strip())[:WRITTEN]


class _Waiting(NamedTuple):
    """Records of one customer that are to be sealed. `written`: her number, as the file has it."""

    written: str
    records: list[bytes]


@dataclass
class _Importing:
    house: House
    view: OrganisationView
    form: Format
    files: FilesView
    call: FormatCall
    given: GivenFile
    now: datetime

    def __post_init__(self) -> None:
        self._id, self._head = fresh(), b""
        self._its, self._timed = self.form.records[self.call.records], False
        self._records = self._pieces = self._held = 0
        self._waiting: dict[str, _Waiting] = {}  # by customer
        self._places: dict[str, None] = {}

    def begin(self) -> None:
        row = FileImport(
            id=self._id,
            organisation_id=self.view.id,
            call=self.call.name,
            state=COMING,
            at=self.now,
            until=self.now + COMING_FOR,
        )
        with self.house.store.write() as session:
            session.add(row)

    def read(self, progress: Callable[[int, int], None]) -> None:
        driver, file = filed.DRIVERS[self.form.driver], self.given.reader()
        self._head, records = driver.opened(self.form, self.call, file)
        whose = file_rules.customer_of(self.form, self.call, self.files.customer)
        filed.require_customers(self.form, self._head, whose)
        some: list[Filed] = []
        for record in records:
            some.append(record)
            self._keep(filed.identified(record, whose), record)
            if len(some) == CHECKED_AT_ONCE:
                self._check(some)
                some.clear()
                progress(record.number, self.given.summed.size)
            if self._held > SEALED_AT_ONCE:
                self._seal()
        self._check(some)
        self.given.require_some(self._records)
        filed.require_times(self._its, not self._records or self._timed)
        self._seal()

    def _check(self, records: list[Filed]) -> None:
        """A new `Seen` each time looks through all of them, and not through samples as of answers."""
        strict = is_strict(self.view, self.call.dataset)
        seen = None if strict else Seen(lambda places, answers, at: self._places.update(dict.fromkeys(places)))
        filed.require_declared(self.form, self.call, self.view.zone, self._head, records, seen)

    def _keep(self, customer: str, record: Filed) -> None:
        self._records = record.number
        self._timed = self._timed or filed.has_time(record, self._its)
        self._held += len(record.text)
        waiting = self._waiting.setdefault(links.spelled(customer), _Waiting(customer.strip(), []))
        if waiting.written != customer.strip():
            raise BadFile(f"record {record.number}: {TWO_SPELLINGS}")
        waiting.records.append(record.text)

    def _seal(self) -> None:
        self._pieces += 1
        rows = []
        for customer, (written, records) in self._waiting.items():
            whose = links.whose(self.house.keys, self.view.id, customer)
            context = _context(self.view.id, self.call.name, whose, self._id, self._pieces)
            sealed = self.house.keys.seal(filed.packed(records), context)
            rows.append(
                {
                    "import_id": self._id,
                    "customer": whose,
                    "piece": self._pieces,
                    "records": len(records),
                    "written": as_written(self.house.keys, self.view.id, written),
                    "sealed": sealed,
                }
            )
        self._waiting, self._held = {}, 0
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            with self.house.store.write() as session:
                session.execute(insert(session, FilePart), rows[begin : begin + ROWS_AT_ONCE])

    def end(self) -> Imported:
        """The last step: this one is current from now on."""
        until, limit = self.files.kept.after(self.now), self.house.settings.answer_limit_bytes
        with self.house.store.read() as session:
            customers = session.exec(select(func.count()).select_from(self._by_customer().subquery())).one()
            spellings = self._by_customer().having(func.min(FilePart.written) != func.max(FilePart.written))
            if session.exec(select(func.count()).select_from(spellings.subquery())).one():
                raise BadFile(TWO_SPELLINGS)
            size = func.sum(func.length(FilePart.sealed))
            large = select(func.count()).select_from(self._by_customer().having(size > limit).subquery())
            too_large = session.exec(large).one() if self.form.driver == "json" else 0  # others are given as streams
            twice = self._by_customer().having(func.sum(FilePart.records) > 1).subquery()
            if self.form.single(self.call) and session.exec(select(func.count()).select_from(twice)).one():
                raise BadFile("a customer has more than one record, and the declaration says one = true")
        with self.house.store.write() as session:
            turn(session, f"files {self.view.id}")
            if session.exec(self._written_before()).first() or session.exec(self._written_in_codes()).first():
                raise BadFile(OTHER_SPELLING)
            organisation = session.get(Organisation, self.view.id)
            if organisation is None or organisation.declaration_sha256 != self.view.declaration_sha256:
                raise BadFile("the declaration was changed meanwhile: give it again")
            _over(session, _current(self.view.id, self.call.name), self.now)
            row = session.get_one(FileImport, self._id, with_for_update=True)
            row.state, row.until, row.at = CURRENT, until, self.now
            row.sha256, row.size = self.given.sha256, self.given.summed.size
            row.records, row.customers = self._records, customers
            if self._head:
                row.head_sealed = self.house.keys.seal(self._head, _head_context(self.view.id, self._id))
            session.add(row)
        if self._places and self.house.undeclared is not None:  # as of one answer: `aval organisations drift`
            self.house.undeclared.of(self.view.id, self.call.dataset).note(self._places)
        return Imported(
            self.call.name,
            self._records,
            customers,
            self.given.summed.size,
            self.given.sha256,
            until,
            tuple(self._places),
            filed.columns_missing(self.form, self.call, self._head),
            too_large,
            guesses.encoding(self.form, self.given.begin) if self.form.driver == "csv" else "",
        )

    def _written_before(self) -> Any:
        """Customers whose number is written otherwise in what is kept."""
        before = aliased(FilePart)
        same = (col(before.customer) == col(FilePart.customer)) & (col(before.written) != col(FilePart.written))
        return (
            select(FilePart.customer)
            .join(before, same & (col(before.written) != ""))
            .join(FileImport, col(FileImport.id) == col(before.import_id))
            .where(FilePart.import_id == self._id, FileImport.organisation_id == self.view.id)
            .where(FileImport.state == CURRENT, FileImport.until > self.now)
            .limit(1)
        )

    def _written_in_codes(self) -> Any:
        same = (col(FileCode.customer) == col(FilePart.customer)) & (col(FileCode.written) != col(FilePart.written))
        return (
            select(FilePart.customer)
            .join(FileCode, same & (col(FileCode.written) != ""))
            .where(FilePart.import_id == self._id, FileCode.organisation_id == self.view.id, FileCode.until > self.now)
            .limit(1)
        )

    def _by_customer(self) -> Any:
        return select(FilePart.customer).where(FilePart.import_id == self._id).group_by(FilePart.customer)

    def drop(self) -> None:
        """What was written of it leaves at the next pruning, or after a day if that cannot be said now. Not if it has
        become current after all: a commit of which nothing is known may have happened."""
        with contextlib.suppress(Unavailable), self.house.store.write() as session:
            _over(session, (FileImport.id == self._id, FileImport.state == COMING), self.now)


def _context(organisation: str, call: str, customer: str, import_: str, piece: int) -> str:
    return f"filepart:{organisation}:{call}:{customer}:{import_}:{piece}"


def _head_context(organisation: str, import_: str) -> str:
    return f"fileimport:{organisation}:{import_}"


def _current(organisation: str, call: str) -> tuple[Any, ...]:
    return FileImport.organisation_id == organisation, FileImport.call == call, FileImport.state == CURRENT


def _over(session: Session, which: tuple[Any, ...], now: datetime) -> None:
    session.execute(update(FileImport).where(*which).values(state=OVER, until=now))


# ---- giving it back


def part(house: House, view: OrganisationView, whose: str, call: str, now: datetime) -> tuple[str, bytes]:
    """What the organisation would answer to the call about this customer: media type and body. `whose`: of the link.

    Raises ConnectorError `no_data` where no file of the call is kept. One in which the customer has nothing is an
    answer without records.
    """
    form, _ = _described(view)
    if not whose or call not in form.calls:
        raise ConnectorError("no_data", "no such file")
    with house.store.read() as session:
        head, pieces = _read(session, house.keys, view.id, whose, call, now)
    records = [record for piece in pieces for record in filed.unpacked(piece)]
    if form.single(form.calls[call]) and not records:
        raise ConnectorError("no_data", "no record of the customer")
    return form.media_types[0], filed.answer(form, form.calls[call], head, records)


def _read(
    session: Session, keys: KeyRing, organisation: str, whose: str, call: str, now: datetime
) -> tuple[bytes, list[bytes]]:
    """One statement, so that all is of one import."""
    theirs = (col(FilePart.import_id) == col(FileImport.id)) & (col(FilePart.customer) == whose)
    query = (
        select(FileImport.id, FileImport.head_sealed, FilePart.piece, FilePart.sealed)
        .outerjoin(FilePart, theirs)
        .where(*_current(organisation, call), FileImport.until > now)
        .order_by(col(FilePart.piece))
    )
    found = session.exec(query).all()
    if not found:
        raise ConnectorError("no_data", "no file of the call is kept")
    head_sealed = found[0][1]
    head = keys.open(head_sealed, _head_context(organisation, found[0][0])) if head_sealed else b""
    pieces = [
        keys.open(sealed, _context(organisation, call, whose, import_, piece))
        for import_, _, piece, sealed in found
        if sealed is not None
    ]
    return head, pieces


def asked(house: House, view: OrganisationView, whose: str, upstream: Upstream, now: datetime) -> tuple[str, bytes]:
    """The same for a call that a plan has made. What else it asks is judged by the plan, which cuts the answer."""
    return part(house, view, whose, upstream.operation, now)


def accounts(house: House, view: OrganisationView, whose: str, now: datetime) -> list[FoundAccount] | None:
    """The accounts that the customer's records name, where the organisation gives no list of them; None: it does, or
    its records name none. Raises ConnectorError `no_data` where no file is kept."""
    form, _ = _described(view)
    if form.accounts is not None or not any(records.account for records in form.records.values()):
        return None
    found: dict[str, FoundAccount] = {}
    bodies = list(_bodies(house, view, whose, now))
    if not bodies:
        raise ConnectorError("no_data", "no file is kept")
    for call, body in bodies:
        try:
            named = list(filed.accounts(form, form.calls[call], body))
        except BadFile:  # it was taken in under another declaration
            raise ConnectorError("organisation_answer_invalid", f"accounts of {call}") from None
        for account in named:
            found.setdefault(account.native, account)
    return list(found.values())


def _bodies(house: House, view: OrganisationView, whose: str, now: datetime) -> Iterator[tuple[str, bytes]]:
    form, _ = _described(view)
    for call in form.calls:
        try:
            yield call, part(house, view, whose, call, now)[1]
        except ConnectorError as error:
            if error.reason != "no_data":
                raise


def all_of(session: Session, organisation: str, now: datetime) -> list[FileImport]:
    """What is kept of an organisation, by call."""
    query = select(FileImport).where(
        FileImport.organisation_id == organisation, FileImport.state == CURRENT, FileImport.until > now
    )
    return sorted(session.exec(query), key=lambda row: row.call)
