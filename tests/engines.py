"""The same tests on the other engine: `ENGINE=postgres` gives every gateway a test makes a database of PostgreSQL.

A gateway is known by its data folder, as on SQLite: whoever opens the same folder again finds the same data. The
databases are copies of one that has been migrated, made when they are first opened, and dropped some time after their
test.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from tests.postgres import Cluster, require

POSTGRES = os.environ.get("ENGINE") == "postgres"
_made: dict[str, None] = {}  # names, in the order in which they were made
MOST = 60


@cache
def cluster() -> Cluster:
    require()
    found = Cluster(quick=True, max_connections=900)
    found.start()
    found.create("migrated")
    from gateway.ground.store import migrate
    from gateway.settings import Settings

    migrate.upgrade(Settings(database_url=found.url("migrated")))
    return found


def url_of(folder: Path) -> str:
    return cluster().url("t" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:20])


def of_a_demo(folder: Path) -> str:
    """The database of a gateway that runs as a process of its own; empty: SQLite in its folder."""
    if not POSTGRES:
        return ""
    name = "demo" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:20]
    cluster().create(name)
    return cluster().url(name)


def use_postgres() -> None:
    """From now on every Settings names a database of PostgreSQL, and every store finds it made."""
    from gateway.ground.store.postgres import engine
    from gateway.settings import Settings

    settings_init, connected = Settings.__init__, engine.PostgresStore.__init__

    def init(self: Settings, **given: Any) -> None:
        settings_init(self, **given)
        if not self.database_url:
            self.__dict__["database_url"] = url_of(self.data_dir)

    def store(self: engine.PostgresStore, where: str, parameters: Any, **more: Any) -> None:
        name = parameters["dbname"]
        if name.startswith("t") and name not in _made:
            _made[name] = None
            cluster().create(name, template="migrated")
        connected(self, where, parameters, **{**more, "connections": 4})

    Settings.__init__ = init  # type: ignore[method-assign]
    engine.PostgresStore.__init__ = store  # type: ignore[method-assign]


def drop_idle() -> None:
    """Drop the databases that nobody is connected to any more, but for the newest."""
    if len(_made) > MOST:
        busy = {name for (name,) in cluster().execute("SELECT DISTINCT datname FROM pg_stat_activity")}
        for name in list(_made)[: -MOST // 2]:
            if name not in busy:
                cluster().drop(name)
                del _made[name]


def end() -> None:
    if POSTGRES and cluster.cache_info().currsize:
        cluster().close()
