"""What organisations send that their declarations do not know: counted in memory while calls are answered, written to
the database every few seconds. Places are paths of member names, never values (`formats.drift`).
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlmodel import Session, col, select

from gateway.catalogue import Catalogue, Format, shapes
from gateway.formats.drift import OTHER, Seen
from gateway.ground.store import Connection
from gateway.ground.store.contract import Store
from gateway.organisations import views
from gateway.organisations.tables import Organisation, Undeclared
from gateway.organisations.views import OrganisationView

PLACES_MOST = 200  # kept of one organisation: more are told as one place
BESIDE_MOST = 12  # kept in one object: so many new names at once may be data, as people's own are in an address book
WAITING_MOST = 1000  # places that wait to be written: more are told as one place
WRITE_SECONDS = 5
_POSITIONS = re.compile(r"\[[0-9]+\]")

Place = tuple[str, str, str]  # organisation, type of data, place


@dataclass
class _Count:
    answers: int
    first: datetime
    last: datetime
    refused: bool = False


class Undeclareds:
    """Of one process. `of` gives a plan somebody to tell; `write` puts what was told into the database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], Seen] = {}
        self._counts: dict[Place, _Count] = {}
        self.told: Callable[[str, int], None] | None = None  # measures: organisation, answers

    def of(self, organisation: str, dataset: str) -> Seen:
        with self._lock:
            found = self._seen.get((organisation, dataset))
            if found is None:
                found = self._seen[organisation, dataset] = Seen(partial(self._told, organisation, dataset))
            return found

    def _told(self, organisation: str, dataset: str, places: tuple[str, ...], answers: int, now: datetime) -> None:
        if self.told is not None:
            self.told(organisation, answers)
        with self._lock:
            for place in places:
                key = organisation, dataset, place
                if key not in self._counts and len(self._counts) >= WAITING_MOST:
                    key = organisation, dataset, OTHER
                known = self._counts.setdefault(key, _Count(0, now, now))
                known.answers, known.last = known.answers + answers, now

    def refused(self, organisation: str, dataset: str, place: str) -> None:
        """An answer was refused because of what stands at a place, told with its positions in lists."""
        with self._lock:
            key = organisation, dataset, _POSITIONS.sub("", place) or "the whole answer"
            now = datetime.now(UTC)
            known = self._counts.setdefault(key, _Count(0, now, now, refused=True))
            known.answers, known.last = known.answers + 1, now

    def write(self, store: Store) -> None:
        """What was told since the last time. Raises Unavailable; then it is kept for the next."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            with store.write() as session:
                known: dict[str, list[tuple[str, str]]] = {}  # organisation → its types of data and places
                for place, count in sorted(counts.items()):
                    _add(session, place, count, known)
        except BaseException:
            with self._lock:
                self._counts = {**counts, **self._counts}
            raise


def _add(session: Session, place: Place, count: _Count, known: dict[str, list[tuple[str, str]]]) -> None:
    organisation, dataset, path = place
    if session.get(Organisation, organisation) is None:
        return
    row = session.get(Undeclared, place, with_for_update=True)
    if row is None:
        if organisation not in known:
            known[organisation] = _paths(session, organisation)
        path = _kept_as(dataset, path, known[organisation], refused=count.refused)
        row = session.get(Undeclared, (organisation, dataset, path), with_for_update=True)
    if row is None:
        known[organisation].append((dataset, path))
        row = Undeclared(
            organisation_id=organisation,
            dataset=dataset,
            place=path,
            answers=0,
            first_at=count.first,
            last_at=count.last,
        )
    row.answers, row.last_at = row.answers + count.answers, max(row.last_at, count.last)
    row.refused = row.refused or count.refused
    session.add(row)


def _kept_as(dataset: str, path: str, known: list[tuple[str, str]], *, refused: bool) -> str:
    """A new place, or the one that stands for those beside it, or for all. Where answers are refused stays as it is: it
    is declared."""
    above = path.rpartition(".")[0]
    beside = sum(of == dataset and each.rpartition(".")[0] == above for of, each in known)
    if beside >= BESIDE_MOST and not refused:
        path = f"{above}.{OTHER}" if above else OTHER
    return path if len(known) < PLACES_MOST else OTHER


def _paths(session: Session, organisation: str) -> list[tuple[str, str]]:
    found = select(Undeclared.dataset, Undeclared.place).where(col(Undeclared.organisation_id) == organisation)
    return list(session.exec(found))


def all_of(session: Session, organisation: str | None = None) -> list[Undeclared]:
    """Every place, by organisation, type of data and place."""
    found = select(Undeclared).order_by(Undeclared.organisation_id, Undeclared.dataset, Undeclared.place)
    if organisation is not None:
        found = found.where(col(Undeclared.organisation_id) == organisation)
    return list(session.exec(found))


def forget(session: Session, organisation: str) -> int:
    """Begin anew, when the declaration was changed; how many places there were."""
    rows = all_of(session, organisation)
    for row in rows:
        session.delete(row)
    return len(rows)


def counts(connection: Connection) -> Mapping[str, int]:
    """Organisation → how many places. Uses a bare connection, for commands that look at a database as it is."""
    rows = connection.execute("SELECT organisation_id, count(*) FROM undeclared GROUP BY organisation_id")
    return {str(organisation): int(count) for organisation, count in rows}


def proposed(view: OrganisationView | None, catalogue: Catalogue, row: Undeclared) -> str:
    """The word to add to a line of shapes: where it belongs, as far as the format's tables tell. "": nothing is known.

    The word is `-`, which gives it to nobody: only a person can say what it is.
    """
    if row.refused:
        return ""
    dataset = catalogue.of(view, row.dataset)
    form = None if view is None or dataset is None else views.forms(view, catalogue).get(dataset.format)
    if form is None or not form.described or OTHER in row.place:
        return ""
    *path, name = row.place.split(".")
    for call in form.calls.values():
        if call.dataset == row.dataset:
            kind = _type_at(form, form.root(call), path)
            if kind:
                return f"{kind}: {shapes.written(name, '-')}"
    return ""


def said(proposal: str) -> str:
    """What `proposed` gives, for people: what to write, and where."""
    kind, _, member = proposal.partition(": ")
    if not member:
        return ""
    escaped = member.replace("\\", "\\\\").replace('"', '\\"')
    quoted = f" (or {escaped} if that line is in double quotes)" if escaped != member else ""
    return f"in [format.shapes], at the end of {kind}: {member}{quoted}"


def _type_at(form: Format, word: str, path: list[str]) -> str:
    kind = shapes.inner(word)
    for name in path:
        kind = shapes.inner(shapes.members(form.shapes, kind).get(name, "")) if kind in form.shapes else ""
    return kind if kind in form.shapes else ""
