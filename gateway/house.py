"""Everything that the composition root made, as one typed value that is passed to doors.

The classes are only imported for the type checker, so that no room depends on another
through this file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.ground.pools import Pools

if TYPE_CHECKING:
    from gateway.catalogue import Catalogue
    from gateway.ground.http.connector import Connector
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import Store
    from gateway.ground.web.translations import Translations
    from gateway.log import Log
    from gateway.policy import Policies
    from gateway.settings import Settings


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class House:
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
