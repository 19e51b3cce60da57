"""Telling apps what is in the outbox. The leading process begins with it every other second and waits for nobody.

Each address has a thread while something is due there, of the few of its host's party (duty "notice" of
`ground.pools`), and what is tried for the first time comes first: an app that is down or slow holds up nobody else's.
A notice is tried again after pauses that double, up to an hour, and given up when its kind's patience is over. An
answer of 400 is the app's last word: the notice is wrong to it, and would be again. Where nobody answers, whatever
else waits for that address waits as well. Redirects are not followed.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session

from gateway.ground.http import fetching
from gateway.ground.http.connector import ConnectorError, Headers
from gateway.ground.ops.logs import logger
from gateway.ground.pools import Full, within
from gateway.house import House
from gateway.notices import outbox
from gateway.notices.tables import AppNotice

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
CALL_SECONDS = 10.0  # for one try
ADDRESSES = 200  # to which something is told in one round
AT_ONCE = 20  # notices to one address, one after the other; then the others come first


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, made for this one try."""

    body: bytes
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeKind:
    make: Callable[[Session, AppNotice, datetime], Message | None]  # None: it is not to be told any more
    taken: frozenset[int] = frozenset((200, 204))  # statuses by which the app says that it has it
    refused: frozenset[int] = frozenset((400,))
    patience: timedelta = timedelta(days=1)


Kinds = Mapping[str, NoticeKind]


@dataclass(frozen=True, slots=True)
class _Try:
    id: str
    kind: str
    client_id: str
    message: Message
    again_at: datetime


class Sender:
    """The sender of one process. `kinds`: what it can tell; rows of other kinds, which a newer version has written, are
    left to that one."""

    def __init__(self, house: House, kinds: Kinds) -> None:
        self._house, self._kinds = house, kinds
        self._guard = threading.Lock()
        self._busy: set[str] = set()  # addresses that are told something right now; under _guard

    def send_due(self) -> list[Future[None]]:
        """Begin to tell what is due. Returns the work begun; what is under way from before goes on by itself."""
        with self._house.store.read() as session:
            addresses = outbox.waiting(session, self._kinds, self._house.clock(), ADDRESSES)
        return [begun for begun in map(self._begin, addresses) if begun is not None]

    def _begin(self, address: str) -> Future[None] | None:
        with self._guard:
            if address in self._busy:
                return None
            self._busy.add(address)
        try:
            return self._house.pools.submit("notice", fetching.party(address), partial(self._tell, address))
        except Full:
            self._end(address)
            return None

    def _end(self, address: str) -> None:
        with self._guard:
            self._busy.discard(address)

    def _tell(self, address: str) -> None:
        house, kinds = self._house, self._kinds
        try:
            for _ in range(AT_ONCE):
                found = _next(house, kinds, address)
                if found is None or not _told(house, kinds[found.kind], found, address):
                    break
        except Exception:  # the rows stay and are due again; nobody looks at what this thread raises
            logger().exception("notices to an app were not sent")
        finally:
            self._end(address)


def _next(house: House, kinds: Kinds, address: str) -> _Try | None:
    """The next that is due, with its message. None: there is none, or another process tells it."""
    while True:
        now = house.clock()
        with house.store.write() as session:
            notice = outbox.first(session, kinds, address, now)
            if notice is None:
                return None
            kind, again_at = kinds[notice.kind], now + _pause(now - notice.made_at)
            late = now - notice.made_at > kind.patience
            message = None if late else kind.make(session, notice, now)
            if message is not None:
                taken = _Try(notice.id, notice.kind, notice.client_id, message, again_at)
                return taken if outbox.claim(session, notice, again_at) else None
            outcome = "given_up" if late else "dropped"
            outbox.finish(session, notice.id, outcome, now)
            _log(notice.kind, notice.client_id, outcome)


def _pause(age: timedelta) -> timedelta:
    """As long as it has waited already: so pauses double."""
    return min(max(age, FIRST_PAUSE), LONGEST_PAUSE)


def _told(house: House, kind: NoticeKind, found: _Try, address: str) -> bool:
    """Make the try, outside of any transaction. False: nobody answers there."""
    message, headers = found.message, Headers(found.message.headers)
    try:
        with within(CALL_SECONDS):
            status, _ = fetching.post(
                house.connector, house.latest.settings, address, message.body, message.media_type, headers
            )
    except ConnectorError as error:
        _log(found.kind, found.client_id, "unanswered", why=error.detail)
        with house.store.write() as session:
            outbox.hold(session, address, found.again_at)
        return False
    outcome = "told" if status in kind.taken else "refused" if status in kind.refused else ""
    _log(found.kind, found.client_id, outcome or "unanswered", status=status)
    if outcome:
        with house.store.write() as session:
            outbox.finish(session, found.id, outcome, house.clock())
    return True


def _log(kind: str, client_id: str, outcome: str, **more: object) -> None:
    """For the operator: neither the address, which may hold a secret, nor anything of the person."""
    say = logger().info if outcome in ("told", "dropped") else logger().warning
    say("notice", kind=kind, client=client_id, outcome=outcome, **more)
