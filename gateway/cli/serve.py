"""`aval serve`: checks the settings and runs the gateway, in this process or in several behind one port."""

import contextlib
import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import __version__, compiled
from gateway.cli.opening import NO, alone, opened, settings, stop
from gateway.ground.store.sqlite.engine import sqlite_fault
from gateway.settings import Settings, contradictions, unsafe

if TYPE_CHECKING:
    from gateway.app import Application
    from gateway.cli.processes import Place
    from gateway.ground.http.server import Ports
    from gateway.ground.ops.metrics import Metrics
    from gateway.house import House

ANOTHER_MTLS_PORT = "If the port is taken, stop what listens there, or name another in AVAL_MTLS_PORT"
ANOTHER_PORT = "If the port is taken, stop what listens there, or name another in AVAL_PORT"


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of AVAL_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of AVAL_PORT; 0: any free one.")] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes behind the port, instead of AVAL_PROCESSES; on PostgreSQL."),
    ] = None,
    child: Annotated[str, typer.Option(hidden=True, help="What a parent hands to each of its processes.")] = "",
) -> None:
    """Run the gateway. Makes keys and database at its very first start.

    \b
    aval serve                                       development, on http://localhost:8400
    AVAL_CONFIG=/etc/aval.toml aval serve            as the file says
    AVAL_MODE=production AVAL_PUBLIC_URL=https://gw.example … aval serve
    AVAL_DATABASE_URL=postgresql://… aval serve --processes 4

    With AVAL_TLS_CERTIFICATE_FILE and AVAL_TLS_KEY_FILE the port speaks https; AVAL_MTLS_PORT opens a second one, on
    which apps show certificates.

    Refuses to start with key files that others can read, on a database of a newer version, or beside another gateway
    on the same data; in production also with unsafe settings, with a database that others can read, or with an SQLite
    that can lose data. SIGTERM lets running requests finish. Of several processes, one that dies is started again.
    """
    from gateway.cli.processes import Place
    from gateway.ground.ops import logs

    using = settings()
    processes = processes or using.processes
    host, port = host or using.host, using.port if port is None else port
    place = Place.read(child) if child else None
    refuse_contradictions(using)
    refuse_unsafe(using)
    refuse_certificate(using)
    refuse_old_sqlite(using)
    refuse_several(using, processes)
    several = place is None and processes > 1
    logs.configure(using.log_level, process=str(place.number) if place else "parent" if several else "")
    if place is not None:
        place.follow()
    with checked() as house:
        if not several:
            with alone(house), measured(using, place) as metrics:
                from gateway.app import Application

                tell_start(house)
                _run(Application(house, metrics), using, host, port, place)
    if several:
        _run_several(processes, using, host, port)


@contextlib.contextmanager
def checked() -> "Iterator[House]":
    """What must be right before the first request: files, keys, schema, policies, the server of the database."""
    with opened(make=True, begun=tell_begun) as house:
        refuse_open_files(house.settings)
        refuse_server(house)
        allow_files(house.settings)
        yield house


@contextlib.contextmanager
def measured(using: Settings, place: "Place | None") -> "Iterator[Metrics | None]":
    """What this process measures, which is scraped here, or with a parent there; None: it measures nothing."""
    if not using.metrics_address:
        yield None
        return
    from gateway.ground.ops.metrics import Metrics

    metrics = Metrics(__version__, compiled.in_use(), place.number if place else None)
    with scraped(using.metrics_address, metrics.text) if place is None else contextlib.nullcontext():
        yield metrics


@contextlib.contextmanager
def scraped(address: str, text: Callable[[], bytes]) -> Iterator[None]:
    """Listen for who scrapes, or stop with the reason."""
    from gateway.ground.ops import logs, scrapes

    with contextlib.ExitStack() as stack:
        try:
            port = stack.enter_context(scrapes.listening(address, text))
        except OSError as error:
            stop(f"metrics_address: could not listen on {address}: {error.strerror}")
        logs.logger().info("metrics are scraped here", metrics=address, port=port)
        yield


def tell_begun(where: str, keys: Path) -> None:
    """In the log, whose lines nobody need be able to read."""
    from gateway.ground.ops import logs

    logs.logger().info("a new gateway was begun", database=where, keys=str(keys))


def tell_start(house: "House") -> None:
    from gateway.ground.ops import logs

    logs.logger().info(
        "starting",
        version=__version__,
        compiled=compiled.in_use(),
        database=house.store.version(),
        where=house.store.where,
        mode=house.settings.mode,
        public_url=house.settings.public_url,
        pid=os.getpid(),
    )


def refuse_contradictions(using: Settings) -> None:
    faults = [f"{name}: {why}" for name, why in contradictions(using)]
    if faults:
        stop("\n".join(["refuses to start with these settings:", *faults]))


def refuse_certificate(using: Settings) -> None:
    """Stop if a port cannot speak TLS with these files. Those that come later are used, or the old ones go on."""
    from gateway.ground.http import tls

    if not using.speaks_tls:
        return
    try:
        tls.plain_port(using)
        tls.mutual_port(using)
    except (OSError, ValueError) as error:
        stop(f"tls_certificate_file, tls_key_file or mtls_ca_file: {tls.why(error)}; `aval doctor` says more")


def refuse_unsafe(using: Settings) -> None:
    faults = [f"{name}: {why}" for name, why in unsafe(using)]
    if faults:
        stop("\n".join(["refuses to start in production with these settings:", *faults]))


def refuse_old_sqlite(using: Settings) -> None:
    from gateway.cli.doctor import NEWER_SQLITE

    if using.mode == "production" and not using.database_url and (fault := sqlite_fault()):
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
    """Stop if group or others can read the private keys or, in production, the database or its password."""
    from gateway.cli.doctor import open_database_files, open_key_files, open_sealing_file
    from gateway.cli.doctor_tls import open_key_file

    found = [*open_key_files(using.keys), *open_sealing_file(using), *open_key_file(using)]
    if using.mode == "production":
        found += [(path, "600") for path in open_database_files(using)]
        if using.database_url:
            from gateway.cli.doctor_database import open_password_file  # here: a file needs no driver of a server

            found += open_password_file(using)
    faults = [f"{path}: others can read it; chmod {mode} {path}" for path, mode in found]
    if faults:
        stop("\n".join(["refuses to start with these files:", *faults]))


def refuse_server(house: "House") -> None:
    """Stop if the database server takes no writes; if production would be served by one that may lose what it
    acknowledged, or over a network in the clear."""
    if not house.settings.database_url:
        return
    from gateway.ground.store import migrate
    from gateway.ground.store.postgres import server

    with contextlib.closing(house.store.connect()) as connection:
        found = server.look(connection)
    if found.read_only:
        stop(f"{house.store.where}: {migrate.READ_ONLY}; {migrate.PRIMARY}")
    faults = [f"{name}: {why}" for name, why in server.unsafe(found)] if house.settings.mode == "production" else []
    if faults:
        stop("\n".join([f"refuses to start in production on {house.store.where}:", *faults]))


def refuse_several(using: Settings, processes: int) -> None:
    if processes > 1 and not using.database_url:
        stop(
            f"processes: {processes} cannot share SQLite, which is for one; "
            "name a PostgreSQL database, as in AVAL_DATABASE_URL=postgresql://user@host/name"
        )


@contextlib.contextmanager
def all_measured(using: Settings) -> Iterator[Callable[[int], None]]:
    """What the processes that are started meanwhile measure is scraped here, all together. Yields who must hear of each
    that has ended."""
    if not using.metrics_address:
        yield lambda number: None
        return
    from gateway.ground.ops import scrapes

    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(scrapes.several(using.data_dir))
        except OSError as error:
            stop(f"metrics_address: no folder for what the processes measure: {error.strerror}")
        stack.enter_context(scraped(using.metrics_address, found.text))
        yield found.ended


def _run(application: "Application", using: Settings, host: str, port: int, place: "Place | None") -> None:
    from gateway.ground.http import listener
    from gateway.ground.http.server import HttpServer
    from gateway.ground.ops import health

    class _Server(HttpServer):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if place is not None and self.started:
                place.serves()

    config = listener.config(application, using, host=host, port=port, log_config=None)
    ports = _bound(using, host, port) if place is None else place.ports
    server = _Server(config, using, ports, application.registered)
    if using.speaks_tls:
        health.watch(application.house, tls=lambda: "")  # it serves, whatever becomes of the files
        health.watch_lesser(application.house, tls=server.fault)

    def end(*_: object) -> None:
        server.should_exit = True  # uvicorn raises the signal again after shutdown; then it is too late to matter

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with contextlib.suppress(SystemExit):
        server.run(ports.main or None)
    if not server.started:
        stop(f"could not listen on {host}:{port}, or a part did not start; the line above says why. {ANOTHER_PORT}")


def _bound(using: Settings, host: str, port: int) -> "Ports":
    """The sockets of a process that is alone. Without TLS there are none: uvicorn makes its own."""
    from gateway.cli.processes import bound, close
    from gateway.ground.http.server import Ports

    found: list[list[socket.socket]] = []
    for number, another in ((port, ANOTHER_PORT), (using.mtls_port, ANOTHER_MTLS_PORT)) if using.speaks_tls else ():
        try:
            found.append(bound(host, number, shared=False) if number or not found else [])
        except OSError as error:
            for sockets in found:
                close(sockets)
            more = f". {another}" if error.errno == errno.EADDRINUSE else ""
            stop(f"could not listen on {host}:{number}: {error.strerror}{more}")
    return Ports(*found)


def _run_several(processes: int, using: Settings, host: str, port: int) -> None:
    from gateway.cli.processes import GaveUp, Processes

    command = [sys.executable, *sys.orig_argv[1:], "--child"]
    try:
        with all_measured(using) as ended, Processes(command, processes, host, port, ended, using.mtls_port) as parent:
            parent.run()
    except OSError as error:
        more = f". {ANOTHER_PORT}" if error.errno == errno.EADDRINUSE else ""
        also = f" or :{using.mtls_port}" if using.mtls_port else ""
        stop(f"could not listen on {host}:{port}{also}: {error.strerror}{more}")
    except GaveUp:
        stop("no process serves: each ended at once, again and again; the lines above say why", NO)
