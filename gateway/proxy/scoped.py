"""The plain scopes that would be needed at an address, for challenges (RFC 6750 §3), to apps that ask by such names.

What is known of organisations is read again when one of them has changed, which is looked at once a second at most and
only where there is something to say: nobody who has a good token waits for it.
"""

import time
from collections.abc import Iterable, Mapping

import anyio.to_thread

from gateway.catalogue import Scope
from gateway.catalogue.scopes import TAKEN
from gateway.errors import Refusal, Unavailable
from gateway.formats import registry
from gateway.formats.model import Asked, Denied, Plan
from gateway.ground.calendar.instants import Window
from gateway.ground.store.tables import directory_generation
from gateway.house import House
from gateway.organisations import views
from gateway.organisations.views import OrganisationView

READ_SECONDS = 1.0
_ALWAYS = Window(None, None)


def is_plain(scope: str) -> bool:
    """Whether who has a token of this scope asked by names that stand for data."""
    return bool(set(scope.split()) - TAKEN)


def may_help(refusal: Refusal) -> bool:
    """Whether a token with another scope might get what this one was refused."""
    return refusal.reason == "dataset" or (refusal.reason, refusal.term) == ("field", "fields")


class NeededScopes:
    """Of the event loop."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._directory: Mapping[str, OrganisationView] = {}
        self._plans: dict[str, tuple[Plan, ...]] = {}  # by organisation
        self._of: House | None = None  # whose policies they were made of
        self._generation = -1
        self._read_at = float("-inf")

    async def at(self, organisation: str, path: str) -> str:
        """The scopes that cover the data at this address, in the order of their names; "": none does."""
        now = time.monotonic()
        if now - self._read_at >= READ_SECONDS:
            self._read_at = now
            await anyio.to_thread.run_sync(self._read)
        view = self._directory.get(organisation)
        if view is None or self._of is None:
            return ""
        if view.id not in self._plans:
            self._plans[view.id] = await anyio.to_thread.run_sync(_plans, view, self._of)
        answers = [plan.request(Asked("GET", path), _ALWAYS) for plan in self._plans[view.id]]
        missed = [one.asked for one in answers if isinstance(one, Denied) and one.term == "datasets"]
        read = frozenset(name for asked in missed for name in asked.split()) & view.datasets.keys()
        return " ".join(sorted(_covering(self._known(organisation).values(), organisation, read)))

    async def beside(self, held: str, organisation: str, path: str) -> str:
        """The same with those of its purposes that the app holds already: what it asks for next takes the place of what
        it has, so who asked for these alone would lose the others."""
        needed = await self.at(organisation, path)
        known = self._known(organisation)
        purposes = {known[name].purpose for name in needed.split()}
        kept = [name for name in held.split() if name in known and known[name].purpose in purposes]
        return " ".join(dict.fromkeys([*kept, *needed.split()]))

    def _known(self, organisation: str) -> Mapping[str, Scope]:
        view = self._directory.get(organisation)
        every = self._of.catalogue.scopes if self._of is not None else {}
        return {**every, **view.scopes} if view is not None else every

    def _read(self) -> None:
        """A database that does not answer now changes nothing: what was known stays."""
        latest = self._house.latest
        try:
            with self._house.store.read_apart() as session:
                generation = directory_generation(session)
                if generation == self._generation and latest is self._of:
                    return
                self._directory, self._plans = views.directory(session), {}
        except Unavailable:
            return
        self._generation, self._of = generation, latest


def _plans(view: OrganisationView, house: House) -> tuple[Plan, ...]:
    """Of nothing: each misses, for any call, the types of data that it would read."""
    source = views.source(view, house)
    return tuple(registry.plan(source, name, []) for name in registry.formats_of(source))


def _covering(scopes: Iterable[Scope], organisation: str, datasets: frozenset[str]) -> set[str]:
    """Of scopes that give the same of these those that give the least besides: nobody is asked for more than needed."""
    meant = {
        scope.name: frozenset(data.dataset for data in scope.data if data.organisation in ("", organisation))
        for scope in scopes
    }
    return {
        name
        for name, all_ in meant.items()
        if all_ & datasets and not any(other < all_ and other & datasets == all_ & datasets for other in meant.values())
    }
