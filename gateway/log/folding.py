"""A run of like accesses, told as one line.

A paged format is one entry per page: all true, but one evening with an app fills the log and hides the
rest. Entries fold only side by side, on one day, and if they say the same but for the account, the time,
the period and the counts: another outcome, another type of data or a refusal begins a new line.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from gateway.log.reading import Entry

KIND = "access"
ALIKE = (
    "client client_name organisation organisation_name organisations datasets consent purpose outcome"
    " on_behalf_of processor processor_name guardian guardian_name fields_delivered fields_withheld present"
).split()
SUMMED = ("records", "records_withheld")


def runs(entries: Iterable[Entry], zone: ZoneInfo) -> list[tuple[Entry, ...]]:
    """The entries in their order, those that fold together; `zone`: a run never goes past a midnight there."""
    return [tuple(run) for _, run in groupby(entries, key=lambda entry: _likeness(entry, zone))]


def together(run: Sequence[Entry]) -> dict[str, Any]:
    """What a run of accesses comes to. A count or period that one of them lacks is not said of all."""
    facts = {name: run[0].facts[name] for name in ALIKE if name in run[0].facts}
    for name in SUMMED:
        counts = [entry.facts.get(name) for entry in run]
        if all(isinstance(count, int) for count in counts):
            facts[name] = sum(counts)
    for name, furthest in (("period_from", min), ("period_to", max)):
        instants = [str(entry.facts.get(name) or "") for entry in run]
        if all(instants):
            facts[name] = furthest(instants)  # RFC 3339 in UTC: in order as texts
    return facts


def _likeness(entry: Entry, zone: ZoneInfo) -> str:
    if entry.kind != KIND or entry.at is None:
        return str(entry.seq)
    day = entry.at.astimezone(zone).date().isoformat()
    return json.dumps([day, entry.actor, [entry.facts.get(name) for name in ALIKE]], sort_keys=True)
