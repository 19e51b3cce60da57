"""Telling apps what waits for them. The leading process begins with it every other second and waits for nobody.

What waits stands in boxes: the outbox of this room, and any that another room has (`Box`). A box has lanes, each for
one address; a lane has a thread while something is due in it, of the few of its host's party (duty "notice" of
`ground.pools`), and what is tried for the first time comes first: an app that is down or slow holds up nobody else's.
A notice is tried again after pauses that double, up to an hour, and given up when its kind's patience is over. An
answer of 400 is the app's last word: the notice is wrong to it, and would be again. Where nobody answers, whatever
else waits in that lane waits as well. Redirects are not followed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol

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
LANES = 200  # of a box, in which something is told in one round
AT_ONCE = 20  # notices of one lane, one after the other; then the others come first


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, made for this one try."""

    body: bytes
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Meaning(NamedTuple):
    """What an answer means: "told", "refused" for good, or "" for neither, then it is tried again."""

    outcome: str
    why: str = ""  # for the operator; never a text of the app's own


@dataclass(frozen=True, slots=True)
class NoticeTry:
    """One try to tell something, claimed: no other process makes it."""

    id: str
    kind: str
    client_id: str
    address: str
    message: Message
    again_at: datetime  # when the next try is due, unless this one ends well
    judge: Callable[[int, bytes], Meaning]  # of status and body of the answer
    in_order: bool = False  # what comes after it in its lane waits until the app has it


class Lane(NamedTuple):
    """What is told one after the other, to one address."""

    name: str
    address: str


class Box(Protocol):
    """Where something waits to be told."""

    def waiting(self, session: Session, now: datetime, most: int) -> Sequence[Lane]:
        """Lanes in which something is due."""

    def claim(self, session: Session, lane: str, now: datetime) -> NoticeTry | None:
        """The next of this lane, with its message, for one try: unless that ends well it is due again at `again_at`,
        also if this process ends meanwhile. None: there is none, or another process tells it."""

    def finish(self, session: Session, lane: str, found: NoticeTry, outcome: str, now: datetime) -> None:
        """The app has it ("told"), or will never take it ("refused")."""

    def hold(self, session: Session, lane: str, found: NoticeTry, now: datetime) -> None:
        """Nobody took it: what waits in its lane waits until it is tried again."""


class Sender:
    """The sender of one process. `boxes`: what it empties."""

    def __init__(self, house: House, boxes: Sequence[Box]) -> None:
        self._house, self._boxes = house, boxes
        self._guard = threading.Lock()
        self._busy: set[tuple[int, str]] = set()  # boxes, lanes in which something is told right now; under _guard

    def send_due(self) -> list[Future[None]]:
        """Begin to tell what is due. Returns the work begun; what is under way from before goes on by itself."""
        begun = []
        for at, box in enumerate(self._boxes):
            with self._house.store.read() as session:
                lanes = box.waiting(session, self._house.clock(), LANES)
            begun += [self._begin(at, *lane) for lane in lanes]
        return [one for one in begun if one is not None]

    def _begin(self, at: int, lane: str, address: str) -> Future[None] | None:
        with self._guard:
            if (at, lane) in self._busy:
                return None
            self._busy.add((at, lane))
        try:
            return self._house.pools.submit("notice", fetching.party(address), partial(self._tell, at, lane))
        except Full:
            self._end(at, lane)
            return None

    def _end(self, at: int, lane: str) -> None:
        with self._guard:
            self._busy.discard((at, lane))

    def _tell(self, at: int, lane: str) -> None:
        house, box = self._house, self._boxes[at]
        try:
            for _ in range(AT_ONCE):
                with house.store.write() as session:
                    found = box.claim(session, lane, house.clock())
                if found is None or not _told(house, box, lane, found):
                    break
        except Exception:  # what waits stays and is due again; nobody looks at what this thread raises
            logger().exception("notices to an app were not sent")
        finally:
            self._end(at, lane)


def pause(age: timedelta) -> timedelta:
    """As long as it has waited already: so pauses double."""
    return min(max(age, FIRST_PAUSE), LONGEST_PAUSE)


def _told(house: House, box: Box, lane: str, found: NoticeTry) -> bool:
    """Make the try, outside of any transaction. False: what comes after it has to wait."""
    message, headers = found.message, Headers(found.message.headers)
    try:
        with within(CALL_SECONDS):
            status, body = fetching.post(
                house.connector, house.latest.settings, found.address, message.body, message.media_type, headers
            )
    except ConnectorError as error:
        log(found.kind, found.client_id, "unanswered", why=error.detail)
        with house.store.write() as session:
            box.hold(session, lane, found, house.clock())
        return False
    outcome, why = found.judge(status, body)
    log(found.kind, found.client_id, outcome or "unanswered", status=status, **({"why": why} if why else {}))
    if outcome or found.in_order:
        with house.store.write() as session:
            if outcome:
                box.finish(session, lane, found, outcome, house.clock())
            else:
                box.hold(session, lane, found, house.clock())
    return bool(outcome) or not found.in_order


def log(kind: str, client_id: str, outcome: str, **more: object) -> None:
    """For the operator: neither the address, which may hold a secret, nor anything of the person."""
    say = logger().info if outcome in ("told", "dropped") else logger().warning
    say("notice", kind=kind, client=client_id, outcome=outcome, **more)


# ---- the outbox of this room


@dataclass(frozen=True, slots=True)
class NoticeKind:
    make: Callable[[Session, AppNotice, datetime], Message | None]  # None: it is not to be told any more
    taken: frozenset[int] = frozenset((200, 204))  # statuses by which the app says that it has it
    refused: frozenset[int] = frozenset((400,))
    patience: timedelta = timedelta(days=1)

    def judge(self, status: int, _body: bytes) -> Meaning:
        return Meaning("told" if status in self.taken else "refused" if status in self.refused else "")


Kinds = Mapping[str, NoticeKind]


@dataclass(frozen=True, slots=True)
class NoticeBox:
    """The outbox as a box, of which each address is a lane. `kinds`: what can be told; rows of other kinds, which a
    newer version has written, are left to that one."""

    kinds: Kinds

    def waiting(self, session: Session, now: datetime, most: int) -> list[Lane]:
        return [Lane(address, address) for address in outbox.waiting(session, self.kinds, now, most)]

    def claim(self, session: Session, lane: str, now: datetime) -> NoticeTry | None:
        for _ in range(AT_ONCE):
            notice = outbox.first(session, self.kinds, lane, now)
            if notice is None:
                break
            kind, age = self.kinds[notice.kind], now - notice.made_at
            late = age > kind.patience
            message = None if late else kind.make(session, notice, now)
            if message is not None:
                found = NoticeTry(notice.id, notice.kind, notice.client_id, lane, message, now + pause(age), kind.judge)
                return found if outbox.claim(session, notice, found.again_at) else None
            outcome = "given_up" if late else "dropped"
            outbox.finish(session, notice.id, outcome, now)
            log(notice.kind, notice.client_id, outcome)
        return None

    def finish(self, session: Session, lane: str, found: NoticeTry, outcome: str, now: datetime) -> None:
        outbox.finish(session, found.id, outcome, now)

    def hold(self, session: Session, lane: str, found: NoticeTry, now: datetime) -> None:
        outbox.hold(session, lane, found.again_at)
