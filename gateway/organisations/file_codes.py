"""Codes by which people show an organisation's gateway which customer they are, where the organisation can be asked
nothing: it gives each customer a code, by letter or in its shop, and the same codes in a file.

Of a code only a MAC is kept, keyed and of its customer. It links once: whoever has used it, no other attempt can. A new
code of a customer takes the place of her unused one; other customers keep theirs.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, or_, select, update

from gateway.formats.filed import BadFile
from gateway.ground.keys import KeyRing
from gateway.ground.store.statements import insert, turn
from gateway.house import House
from gateway.organisations import links
from gateway.organisations.files import CURRENT, OTHER_SPELLING, Imported, as_written
from gateway.organisations.given_files import GivenFile
from gateway.organisations.links import spelled
from gateway.organisations.tables import FileCode, FileImport, FilePart
from gateway.organisations.views import OrganisationView

CODE = re.compile(r"[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){7,39}")
NUMBER = re.compile(r"\S(?:[^\x00-\x1f]{0,62}\S)?")  # whatever an organisation calls its customers
NAMES = ["customer", "code"]
MOST = 1_000_000  # codes of one file
AT_ONCE = 1000
_LINE = 400


def bring(house: House, view: OrganisationView, given: GivenFile, now: datetime) -> Imported:
    """Take in a file of codes: CSV with the line `customer,code`. Raises BadFile; then nothing changes."""
    if view.files is None:
        raise BadFile(f"{view.id} has an API and gives no files")
    rows = list(_rows(given))
    given.require_some(len(rows))
    given.require_whole()
    until = view.files.kept.after(now)
    with house.store.write() as session:
        turn(session, f"files {view.id}")  # as of all its files: they must spell numbers alike
        for begin in range(0, len(rows), AT_ONCE):
            _keep(session, house.keys, view.id, rows[begin : begin + AT_ONCE], now, until)
    return Imported("", len(rows), len(rows), given.summed.size, given.sha256, until)


def _rows(given: GivenFile) -> Iterator[tuple[str, str, str]]:
    """(customer, code), both as they are spelled for comparing, and the customer as it is written."""
    seen: set[str] = set()
    for number, cells in enumerate(_cells(given), 1):
        if number == 1:
            if [cell.strip().lower() for cell in cells] != NAMES:
                raise BadFile(f"line 1: it must be {','.join(NAMES)}")
            continue
        if not cells:
            continue
        if len(cells) != 2 or not spelled(cells[0]) or not CODE.fullmatch(cells[1].strip()):
            raise BadFile(f"row {number}: write a customer number and a code of 8 to 40 letters and digits")
        customer = spelled(cells[0])
        if customer in seen:
            raise BadFile(f"row {number}: this customer has a code before; one row for each")
        if len(seen) == MOST:
            raise BadFile(f"row {number}: more than {MOST} codes; give them in several files")
        seen.add(customer)
        yield customer, plain(cells[1]), cells[0]


def _cells(given: GivenFile) -> Iterator[list[str]]:
    lines = (line.decode("utf-8-sig" if not number else "utf-8") for number, line in enumerate(_lines(given)))
    try:
        yield from csv.reader(lines, strict=True)
    except UnicodeDecodeError:
        raise BadFile("it is not UTF-8: write it in UTF-8") from None
    except csv.Error:
        raise BadFile("a quotation mark stands wrong or does not end") from None


def _lines(given: GivenFile) -> Iterator[bytes]:
    reader, number = given.reader(), 0
    while line := reader.readline(_LINE + 1):
        number += 1
        if len(line) > _LINE:
            raise BadFile(f"line {number}: it is longer than {_LINE} bytes")
        yield line


def plain(code: str) -> str:
    """A code, the same however it is spelled."""
    return "".join(letter for letter in code.upper() if letter.isalnum())


def _mac(keys: KeyRing, organisation: str, customer: str, code: str) -> str:
    return keys.mac("file code", organisation, customer, code)


def _keep(
    session: Session, keys: KeyRing, organisation: str, rows: list[tuple[str, str, str]], now: datetime, until: datetime
) -> None:
    """One that was used stays used, also where it comes again. Raises BadFile."""
    made: list[dict[str, Any]] = []
    for number, code, text in rows:
        customer = links.whose(keys, organisation, number)
        mac, written = _mac(keys, organisation, customer, code), as_written(keys, organisation, text)
        its = {"organisation_id": organisation, "customer": customer, "code": mac, "written": written}
        made.append({**its, "at": now, "until": until})
    _require_as_before(session, organisation, {row["customer"]: row["written"] for row in made}, now)
    customers, codes = [row["customer"] for row in made], [row["code"] for row in made]
    session.execute(
        delete(FileCode).where(
            col(FileCode.organisation_id) == organisation,
            col(FileCode.customer).in_(customers),
            col(FileCode.code).not_in(codes),
            col(FileCode.spent_by).is_(None),
        )
    )
    again = insert(session, FileCode).values(made)
    key = ["organisation_id", "customer", "code"]
    session.execute(
        again.on_conflict_do_update(index_elements=key, set_={"until": until, "written": again.excluded.written})
    )


def _require_as_before(session: Session, organisation: str, written: Mapping[str, str], now: datetime) -> None:
    """Raises BadFile where a customer's number is written otherwise than in what is kept."""
    codes = select(FileCode.customer, FileCode.written).where(
        FileCode.organisation_id == organisation, FileCode.until > now, col(FileCode.customer).in_(written)
    )
    parts = (
        select(FilePart.customer, FilePart.written)
        .join(FileImport, col(FileImport.id) == col(FilePart.import_id))
        .where(FileImport.organisation_id == organisation, FileImport.state == CURRENT, FileImport.until > now)
        .where(col(FilePart.customer).in_(written))
    )
    for known in (codes, parts):
        if any(before and before != written[customer] for customer, before in session.exec(known)):
            raise BadFile(OTHER_SPELLING)


def spent(house: House, organisation: str, number: str, code: str, attempt: str, now: datetime) -> bool:
    """Whether this is the customer's code, and it is this attempt's from now on. The same attempt may give it again:
    what came after may have failed."""
    customer = links.whose(house.keys, organisation, spelled(number))
    mac = _mac(house.keys, organisation, customer, plain(code))
    with house.store.write() as session:
        used = session.execute(
            update(FileCode)
            .where(
                col(FileCode.organisation_id) == organisation,
                col(FileCode.customer) == customer,
                col(FileCode.code) == mac,
                col(FileCode.until) > now,
                or_(col(FileCode.spent_by).is_(None), col(FileCode.spent_by) == attempt),
            )
            .values(spent_by=attempt)
        )
        return bool(used.rowcount)  # type: ignore[attr-defined]


def count(session: Session, organisation: str, now: datetime) -> int:
    """How many codes are kept that nobody has used."""
    found = select(FileCode.code).where(
        FileCode.organisation_id == organisation, col(FileCode.spent_by).is_(None), FileCode.until > now
    )
    return len(session.exec(found).all())
