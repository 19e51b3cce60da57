"""Token keys as rows: begun, read, followed by a next one, and ended.

    published        /jwks.json has it and what it signs is accepted: from when it is written
    signs_from       from then on it signs, if no newer one of its algorithm does
    accepted_until   set once a newer one signs: by then what it has signed is over. It leaves /jwks.json, its private
                     part is deleted, and the rest of the row leaves later (gateway/retention.py)
    ended_at         in an emergency: accepted no more by whoever has read it; its private part is deleted with it

A private key is never in the database but sealed to its row. So whoever can write rows, and no more, can take a key
away, but not bring one.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select, update

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing
from gateway.ground.keys.algorithms import DEFAULT, SigningKey
from gateway.ground.keys.files import TOKENS, TokenFile, token_files
from gateway.ground.keys.ring import KeptKey
from gateway.ground.store.contract import Store
from gateway.ground.store.statements import turn
from gateway.ground.store.tables import KeyCheck, SigningKeyRow

# Nothing that a token key signs is good for longer, besides receipts: access tokens for five minutes at most.
SIGNED = timedelta(hours=1)
AHEAD = timedelta(days=7)  # how long before it signs the next key of a schedule is published
KEPT = timedelta(days=730)  # of a key that is not accepted any more: for who checks a receipt that it signed
LOOK_SECONDS = 0.5  # how often a process looks for other keys

UNSEALED = "is not sealed for its row, or not by this sealing key"
BACK = "put the key files back from where you keep them"
_TURN = "signing keys"


@dataclass(frozen=True, slots=True)
class Rotated:
    """`ended`: kids of those that ended at once."""

    key: str  # kid of the next one
    algorithm: str
    signs_from: datetime
    ended: tuple[str, ...] = ()


def rows(session: Session) -> list[SigningKeyRow]:
    """The newest first."""
    newest = (col(SigningKeyRow.signs_from).desc(), col(SigningKeyRow.kid).desc())
    return list(session.exec(select(SigningKeyRow).order_by(*newest)))


def read(store: Store, ring: KeyRing, now: float) -> list[str]:
    """Hand the ring the keys as they are now. Returns the kids of those that cannot be opened (`KeyRing.take`). The
    table of a database that nobody has begun says nothing. Raises Unavailable."""
    with ring.reading:
        began = time.monotonic()
        with store.read_apart() as session:
            found = [_kept(row) for row in rows(session)]
        wrong = ring.take(found, now) if found else []
        ring.was_read(began)
        return wrong


def begin(store: Store, ring: KeyRing, now: datetime, settle: timedelta = timedelta(0), *, make: bool = True) -> bool:
    """Hand the ring the keys of this database. Where it has none, those of the files of a release before become its
    first, and the newest of them signs once it has been there for `settle`; with `make`, or else a new one. Returns
    whether it has some. Raises Unavailable: also where a key cannot be opened, for at the start somebody is there who
    can help."""
    with store.read() as session:
        begun = bool(rows(session))
    if not begun:
        found = token_files(ring.folder)
        if not found and not make:
            return False
        with store.write() as session:
            turn(session, _TURN)
            if not rows(session):
                _begin(session, ring, found, now, settle)
    ring.read_by(lambda: read(store, ring, time.time()))
    if wrong := read(store, ring, now.timestamp()):
        raise Unavailable(
            f"keys: {store.where}: token key {wrong[0]} {UNSEALED}; put its row of the table signingkey back, or"
            " delete it"
        )
    return True


def _begin(session: Session, ring: KeyRing, found: Sequence[TokenFile], now: datetime, settle: timedelta) -> None:
    pinned = {each.file: each.value for each in session.exec(select(KeyCheck)) if each.file.startswith("token-")}
    _require_own(ring, found, pinned)
    signs_from = datetime.max.replace(tzinfo=UTC)
    for each in found:  # the newest first, by name: whoever copied the folder may have changed the order of the times
        since = datetime.fromtimestamp(each.since, UTC)
        signs_from = min(since + settle, signs_from - timedelta(seconds=1))
        session.add(_row(ring, each.key, since, signs_from))
    if not found:
        session.add(_row(ring, SigningKey.made(), now, now))


def _require_own(ring: KeyRing, found: Sequence[TokenFile], pinned: Mapping[str, str]) -> None:
    """Raises Unavailable where the files are not those of this database."""
    if pinned and not found:
        raise Unavailable(f"keys: no {TOKENS} in {ring.folder}, which this database was used with; {BACK}")
    for each in found:
        if pinned.get(each.path.name, each.key.kid) != each.key.kid:
            raise Unavailable(f"keys: {each.path}: holds another key than this database was used with; {BACK}")


def unused_files(ring: KeyRing) -> list[str]:
    """Files of keys that are not read any more."""
    found = [str(path) for path in sorted(ring.folder.glob(TOKENS))]
    old = ring.folder / "kek.hex"
    return found if ring.sealing.file == old or not old.exists() else [*found, str(old)]


# ---- the next one


def rotate(
    session: Session, ring: KeyRing, algorithm: str, now: datetime, settle: timedelta, *, at: datetime | None = None
) -> Rotated:
    """Make the next key of this algorithm: published now, signing `settle` later, or at `at` if that is later. Where
    one is published already and does not sign yet, it is that one, and it does not sign later than so. Where there is
    none of the algorithm, the first signs at once."""
    turn(session, _TURN)
    living = [row for row in rows(session) if row.algorithm == algorithm and _lives(row, now)]
    if not living:
        return _added(session, ring, algorithm, now, now)
    signs_from = max(now + settle, at or now)
    newest = living[0]
    if newest.signs_from <= now:
        return _added(session, ring, algorithm, now, signs_from)
    newest.signs_from = min(newest.signs_from, max(now, newest.published_from + settle))
    session.add(newest)
    return Rotated(newest.kid, algorithm, newest.signs_from)


def is_due(session: Session, days: int, now: datetime) -> bool:
    """Whether `scheduled` or `retire` has something to do."""
    found = rows(session)
    gone = any(row.sealed and row.accepted_until is not None and row.accepted_until <= now for row in found)
    return gone or bool(_overdue(found, days, now) or _behind(found, now))


def scheduled(session: Session, ring: KeyRing, days: int, now: datetime, settle: timedelta) -> list[Rotated]:
    """What the schedule wants now: of each algorithm the next key, when the newest will have signed for `days`. 0:
    never."""
    turn(session, _TURN)
    due = _overdue(rows(session), days, now)
    return [rotate(session, ring, row.algorithm, now, settle, at=row.signs_from + timedelta(days=days)) for row in due]


def _overdue(found: Sequence[SigningKeyRow], days: int, now: datetime) -> list[SigningKeyRow]:
    """Of each algorithm the newest, if it is time to publish the next."""
    newest: dict[str, SigningKeyRow] = {}
    for row in found if days else ():
        if _lives(row, now):
            newest.setdefault(row.algorithm, row)
    ahead = timedelta(days=days) - min(AHEAD, timedelta(days=days) / 2)
    return [row for row in newest.values() if row.signs_from + ahead <= now]


def retire(session: Session, now: datetime) -> list[str]:
    """Say until when those are accepted behind which a newer one signs, and delete the private parts of those of which
    that is over. Returns the kids of those that sign no more."""
    turn(session, _TURN)
    found = rows(session)
    for row in found:
        if row.accepted_until is not None and row.accepted_until <= now:
            row.sealed = b""
    done = _behind(found, now)
    for row in done:
        row.accepted_until = now + SIGNED
    session.add_all(found)
    return [row.kid for row in done]


def _behind(found: Sequence[SigningKeyRow], now: datetime) -> list[SigningKeyRow]:
    """Those behind which a newer one signs, and of which no end is known yet."""
    behind, signs = list[SigningKeyRow](), set[str]()
    for row in found:
        if _lives(row, now) and row.signs_from <= now:
            if row.algorithm in signs and row.accepted_until is None:
                behind.append(row)
            signs.add(row.algorithm)
    return behind


# ---- in an emergency


def end_at_once(session: Session, ring: KeyRing, algorithms: Sequence[str], now: datetime) -> list[Rotated]:
    """End all keys of these algorithms, those to come among them, and make new ones that sign at once. Without any:
    of all algorithms."""
    turn(session, _TURN)
    found = [row for row in rows(session) if row.ended_at is None and (row.sealed or _lives(row, now))]
    made = []
    for algorithm in algorithms or sorted({row.algorithm for row in found} or {DEFAULT}):
        ending = [row for row in found if row.algorithm == algorithm]
        for row in ending:
            row.ended_at, row.sealed = now, b""
            session.add(row)
        added = _added(session, ring, algorithm, now, now)
        made.append(Rotated(added.key, algorithm, now, tuple(row.kid for row in ending)))
    return made


def emergency(session: Session) -> datetime | None:
    """When the last emergency began whose token families of before have not all been ended."""
    waits = (col(SigningKeyRow.ended_at).is_not(None), col(SigningKeyRow.families_ended_at).is_(None))
    newest = select(SigningKeyRow.ended_at).where(*waits).order_by(col(SigningKeyRow.ended_at).desc())
    return session.exec(newest.limit(1)).first()


def emergency_over(session: Session, began: datetime, now: datetime) -> None:
    """All token families that began before have been ended."""
    session.execute(
        update(SigningKeyRow)
        .where(col(SigningKeyRow.ended_at) <= began, col(SigningKeyRow.families_ended_at).is_(None))
        .values(families_ended_at=now)
        .execution_options(synchronize_session=False)
    )


def state(row: SigningKeyRow, signs: bool, now: datetime) -> str:
    """In a few words, for the operator. `signs`: whether it is its turn."""
    if row.ended_at is not None:
        return f"ended {_minute(row.ended_at)}"
    if row.accepted_until is not None:
        return f"accepted until {_minute(row.accepted_until)}" if row.accepted_until > now else "accepted no more"
    if signs:
        return "signs"
    return f"signs from {_minute(row.signs_from)}" if row.signs_from > now else "accepted"


def short(kid: str) -> str:
    """For log lines, which hide whatever is as long as a secret."""
    return kid[:12]


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _lives(row: SigningKeyRow, now: datetime) -> bool:
    return row.ended_at is None and (row.accepted_until is None or row.accepted_until > now)


def _added(session: Session, ring: KeyRing, algorithm: str, now: datetime, signs_from: datetime) -> Rotated:
    key = SigningKey.made(algorithm)
    session.add(_row(ring, key, now, signs_from))
    session.flush()
    return Rotated(key.kid, algorithm, signs_from)


def _row(ring: KeyRing, key: SigningKey, now: datetime, signs_from: datetime) -> SigningKeyRow:
    kept = ring.kept(key, signs_from=signs_from.timestamp())
    return SigningKeyRow(
        kid=kept.kid,
        algorithm=kept.algorithm,
        public=json.dumps(key.jwk),
        sealed=kept.sealed,
        created_at=now,
        published_from=now,
        signs_from=signs_from,
    )


def _kept(row: SigningKeyRow) -> KeptKey:
    until = row.accepted_until.timestamp() if row.accepted_until else None
    return KeptKey(row.kid, row.algorithm, row.sealed, row.signs_from.timestamp(), until, row.ended_at is not None)
