"""Everything that the composition root made, as one typed value that is passed to doors.

The classes are only imported for the type checker, so that no room depends on another
through this file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.ground.lasting import Lasting
from gateway.ground.pools import Pools

if TYPE_CHECKING:
    from gateway.catalogue import Catalogue
    from gateway.ground.http.connector import Connector
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import Store
    from gateway.ground.web.translations import Translations
    from gateway.log import Log
    from gateway.organisations.undeclared import Undeclareds
    from gateway.policy import Policies
    from gateway.settings import Settings


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Latest:
    """The house with the policies as they were read last; None: as they were read at the start."""

    house: "House | None" = None


@dataclass(frozen=True)
class House:
    """It never changes: whoever answers a request with one house answers under one reading of the policies. What lives
    longer than a request asks `latest` each time."""

    settings: "Settings"
    store: "Store"
    keys: "KeyRing"
    log: "Log"
    catalogue: "Catalogue"
    policies: "Policies"
    connector: "Connector"
    translations: "Translations"
    clock: Callable[[], datetime] = _clock  # only doors read it; other code gets `now` as an argument
    pools: Pools = field(default_factory=Pools)
    kept: Latest = field(default_factory=Latest)  # one for all houses made of this one
    undeclared: "Undeclareds | None" = None  # who is told of what organisations send undeclared; None: nobody
    lasting: Lasting = field(default_factory=Lasting)  # what organisations have given the gateway itself for a while

    @property
    def latest(self) -> "House":
        return self.kept.house or self

    def renew(self, catalogue: "Catalogue", policies: "Policies") -> None:
        """From now on the policies are these, which were read together."""
        self.kept.house = replace(self.latest, catalogue=catalogue, policies=policies)
