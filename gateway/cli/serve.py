"""`aval serve`: checks the settings and runs the gateway in one process."""

import contextlib
import resource
import signal
from typing import Annotated, Any

import typer

from gateway import __version__, compiled
from gateway.cli.opening import alone, opened, settings, stop
from gateway.ground.store.sqlite.engine import sqlite_fault, sqlite_version
from gateway.settings import Settings, unsafe


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of AVAL_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of AVAL_PORT; 0: any free one.")] = None,
) -> None:
    """Run the gateway. Makes keys and database at its very first start.

    \b
    aval serve                                       development, on http://localhost:8400
    AVAL_CONFIG=/etc/aval.toml aval serve            as the file says
    AVAL_MODE=production AVAL_PUBLIC_URL=https://gw.example … aval serve

    Refuses to start with key files that others can read, on a database of a newer version, or beside another gateway
    on the same data; in production also with unsafe settings, with a database that others can read, or with an SQLite
    that can lose data. SIGTERM lets running requests finish.
    """
    using = settings()
    refuse_unsafe(using)
    refuse_old_sqlite(using)
    from gateway.ground.ops import logs

    logs.configure(using.log_level)
    with opened(make=True) as house:
        refuse_open_files(house.settings)
        allow_files(house.settings)
        with alone(house):
            logs.logger().info(
                "starting",
                version=__version__,
                compiled=compiled.in_use(),
                sqlite=sqlite_version(),
                mode=using.mode,
                public_url=using.public_url,
            )
            from gateway.app import Application

            _run(Application(house), using, host or using.host, using.port if port is None else port)


def refuse_unsafe(using: Settings) -> None:
    faults = [f"{name}: {why}" for name, why in unsafe(using)]
    if faults:
        stop("\n".join(["refuses to start in production with these settings:", *faults]))


def refuse_old_sqlite(using: Settings) -> None:
    from gateway.cli.doctor import NEWER_SQLITE

    if using.mode == "production" and (fault := sqlite_fault()):
        stop(f"refuses to start in production: {fault}; {NEWER_SQLITE}")


def allow_files(using: Settings) -> None:
    """Raise the limit of open files. Many systems start processes with a limit of about a thousand, but allow more."""
    from gateway.cli.doctor import OTHER_FILES

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = using.connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def refuse_open_files(using: Settings) -> None:
    """Stop if group or others can read the private keys or, in production, the database."""
    from gateway.cli.doctor import open_database_files, open_key_files

    found = [*open_key_files(using.keys)]
    if using.mode == "production":
        found += [(path, "600") for path in open_database_files(using)]
    faults = [f"{path}: others can read it; chmod {mode} {path}" for path, mode in found]
    if faults:
        stop("\n".join(["refuses to start with these files:", *faults]))


def _run(application: Any, using: Settings, host: str, port: int) -> None:
    import uvicorn

    from gateway.ground.http import listener

    config = listener.config(application, using, host=host, port=port, log_config=None)
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again after shutdown; ignore that
    with contextlib.suppress(SystemExit):
        server.run()
    if not server.started:
        stop(f"could not listen on {host}:{port}, or a part did not start; the line above says why")
