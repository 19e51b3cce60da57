"""Trying a file of an organisation without an API: whose records are in it, those of one customer, and whether the file
would be taken in at all. Read by the code that takes files in; nothing is kept.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.catalogue import Format
from gateway.catalogue.formats import FormatCall
from gateway.formats import filed
from gateway.formats.drift import Seen
from gateway.formats.filed import BadFile, Filed
from gateway.organisations import file_rules
from gateway.organisations.files import TWO_SPELLINGS, seeming
from gateway.organisations.links import spelled

SOME = 4  # customers that are named


@dataclass(slots=True)
class FileTried:
    customers: dict[str, list[Filed]] = field(default_factory=dict)  # as the file spells the first, in its order
    head: bytes = b""
    refused: str = ""  # why an import refuses it; "": it does not
    records: int = 0

    @property
    def named(self) -> str:
        found = list(self.customers)
        return ", ".join(found[:SOME]) + (f" and {len(found) - SOME} more" if len(found) > SOME else "")

    def of(self, customer: str) -> list[Filed] | None:
        """None: nothing in the file is hers."""
        known = {spelled(each): records for each, records in self.customers.items()}
        return known.get(spelled(customer))


def tried(form: Format, call: FormatCall, zone: str, named: str, body: bytes, *, strict: bool) -> FileTried:
    """`named`: the member of [connection.files] that says whose a record is. `zone`: the organisation's."""
    found = FileTried()
    whose = file_rules.customer_of(form, call, named)
    names: dict[str, str] = {}
    records: list[Filed] = []
    try:
        found.head, each = filed.DRIVERS[form.driver].opened(form, call, io.BytesIO(body))
        filed.require_customers(form, found.head, whose)
        for record in each:
            found.records += 1
            customer = filed.identified(record, whose)
            name = names.setdefault(spelled(customer), customer.strip())
            if name != customer.strip():
                raise BadFile(f"record {record.number}: {TWO_SPELLINGS}")
            found.customers.setdefault(name, []).append(record)
            records.append(record)
        seen = None if strict else Seen(lambda *_: None)
        filed.require_declared(form, call, zone, found.head, records, seen)
        its = form.records[call.records]
        filed.require_times(its, not records or any(filed.has_time(record, its) for record in records))
    except BadFile as wrong:
        found.refused = seeming(form, body, str(wrong))
        return found
    twice = [name for name, its in found.customers.items() if len(its) > 1]
    if form.single(call) and twice:
        found.refused = "a customer has more than one record, and the declaration says one = true"
    return found


def answer(form: Format, call: FormatCall, found: FileTried, records: Sequence[Filed]) -> bytes:
    """As a live call for one customer has it."""
    return filed.answer(form, call, found.head, [record.text for record in records])
