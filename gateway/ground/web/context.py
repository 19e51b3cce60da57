"""One call of a door, as the function behind the door sees it: who calls, with what, and at which time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from gateway import errors
from gateway.ground.web import cookies
from gateway.ground.web.headers import see_other
from gateway.house import House

Kind = Literal["page", "api", "oauth"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person, as far as doors need to know her."""

    person: str
    name: str
    language: str
    auth_time: datetime
    methods: tuple[str, ...]
    sign_in: str  # id of the sign-in row
    series: str = ""  # id of the first sign-in that this one goes on from, in the same browser; "": it is the first
    # Notes that the sign-in is still used, in a small transaction after the answer; None: was noted a moment ago.
    seen: Callable[[Session], None] | None = field(default=None, compare=False)
    # For whom she may decide besides herself, to be read in a transaction that decides; None: nobody.
    wards: Callable[[Session], Sequence[str]] | None = field(default=None, compare=False)

    @property
    def in_series(self) -> str:
        """Stays the same while she only confirms who she is: what apps know as one session."""
        return self.series or self.sign_in


@dataclass
class Context:
    house: House
    request: Request
    now: datetime
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_lists: Mapping[str, list[str]]
    form: Mapping[str, str]
    form_lists: Mapping[str, list[str]]
    raw_body: bytes
    repeated: frozenset[str]  # names given more than once, in query or form or across both
    visit: str  # secret of the browser's visit cookie; anonymous forms are bound to it
    new_visit: bool  # the browser has no such cookie yet; it gets one with the first form
    render: Callable[..., Response]  # (context, template, status, **values): `answers.page`
    caller: Caller | None = None
    _session: Session | None = None
    set_cookies: list[tuple[str, str, int | None]] = field(default_factory=list)
    done: set[str] = field(default_factory=set)  # what was done `First` for this call

    @property
    def session(self) -> Session:
        if self._session is None:
            raise RuntimeError("this door opens no session: declare opens='read' or 'write'")
        return self._session

    @property
    def person(self) -> Caller:
        if self.caller is None:
            raise errors.NotSignedIn
        return self.caller

    @property
    def csrf(self) -> str:
        """The synchroniser token for this visitor's forms: bound to the sign-in, or to the visit before it."""
        if self.caller is None and self.new_visit:
            self.new_visit = False
            self.set_cookies.append((cookies.VISIT, self.visit, None))
        bound = self.caller.sign_in if self.caller else self.visit
        return self.house.keys.mac("csrf", bound)

    def signed_in_within(self, minutes: int) -> bool:
        """A sign-in that lies ahead (the clock was set back) is no recent one."""
        if self.caller is None:
            return False
        return timedelta(minutes=-1) <= self.now - self.caller.auth_time <= timedelta(minutes=minutes)

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        return self.render(self, template, status, **values)

    def go(self, path: str) -> Response:
        """303 to one of our own pages (never 307: a form must not be sent twice)."""
        return see_other(path)
