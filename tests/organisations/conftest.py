"""Fixtures of the stage: one listening gateway, two example organisations, a fresh database for every test."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlmodel import Session, SQLModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store
from gateway.ground.web.context import Caller
from gateway.ground.web.doors import route
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.organisations import pages
from gateway.settings import Settings, shipped_policies
from tests.organisations.stage import ROOT, SECRET, Browser, Gateway, PlainConnector, Running, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(KeyRing(tmp_path_factory.mktemp("keys"), create=True))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def texts() -> tuple[Catalogue, Translations]:
    return Catalogue(shipped_policies()), Translations()


@pytest.fixture
def gateway(server: Server, texts: tuple[Catalogue, Translations], tmp_path: Path) -> Iterator[Gateway]:
    settings = Settings(public_url=server.url, data_dir=tmp_path)
    store = Store(settings.database, fsync=False)
    SQLModel.metadata.create_all(store.engine)
    connector, clock = PlainConnector(), [timedelta()]
    house = House(
        settings=settings,
        store=store,
        keys=server.keys,
        log=Log(server.keys),
        catalogue=texts[0],
        policies=cast(Any, None),  # these doors decide nothing by policy
        connector=cast(Any, connector),
        translations=texts[1],
        clock=lambda: datetime.now(UTC) + clock[0],
    )
    callers: dict[str, Caller] = {}

    def identify(session: Session, secret: str, now: datetime) -> Caller | None:
        return callers.get(secret)

    routes = [route(door, house, identify) for door in pages.doors(lambda *_: None)]
    jwks = Route("/jwks.json", lambda request: JSONResponse(server.keys.jwks()))
    server.app = Starlette(routes=[*routes, jwks])
    yield Gateway(house, server.url, connector, callers, clock)
    store.close()


@pytest.fixture(scope="session")
def start(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start an example organisation on a free port; stopped at the end of the run."""
    processes: list[subprocess.Popen[str]] = []
    readers: list[threading.Thread] = []

    def one(name: str) -> Running:
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, "-m", f"examples.organisations.{name}", "--port", "0", "--faults"]
        command += ["--gateway", server.url, "--dir", str(folder), "--today", "2026-11-23"]
        environment = {**os.environ, "CITY_ENERGY_CLIENT_SECRET": SECRET}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("ready http://localhost:"), line
        reader = threading.Thread(target=process.stdout.read, daemon=True)  # codes are printed; the pipe may not fill
        reader.start()
        readers.append(reader)
        return Running(name.replace("_", "-"), line.removeprefix("ready ").strip(), folder, process)

    yield one
    for process, reader in zip(processes, readers, strict=True):
        process.terminate()
        process.wait(10)
        reader.join(10)
        if process.stdout:
            process.stdout.close()


@pytest.fixture(scope="session")
def bank_process(start: Callable[[str], Running]) -> Running:
    return start("harbour_bank")


@pytest.fixture(scope="session")
def energy_process(start: Callable[[str], Running]) -> Running:
    return start("city_energy")


@pytest.fixture
def bank(gateway: Gateway, bank_process: Running) -> Iterator[Running]:
    gateway.add(bank_process)
    bank_process.forgets_messages()
    yield bank_process
    bank_process.fault("none")


@pytest.fixture
def energy(gateway: Gateway, energy_process: Running) -> Iterator[Running]:
    gateway.add(energy_process)
    yield energy_process
    energy_process.fault("none")


@pytest.fixture
def alice(gateway: Gateway) -> Browser:
    return gateway.person("Alice")


@pytest.fixture
def mallory(gateway: Gateway) -> Browser:
    return gateway.person("Mallory")
