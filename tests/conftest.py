"""What every test may use. The cast: Alice owns the data, Bob may, Mallory has no business here."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from gateway import compiled
from tests import engines

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


# Timings are never asserted in tests: a busy machine is no fault. What is random is the same in each run, so that a
# change is judged by what it does and not by chance; new cases are looked for by `make torture`.
hypothesis.settings.register_profile(
    "aval", deadline=None, database=None, derandomize=not os.environ.get("TORTURE"), print_blob=True
)
hypothesis.settings.load_profile("aval")


def pytest_configure(config: pytest.Config) -> None:
    # A developer's own settings must not steer the tests.
    for name in [name for name in os.environ if name.startswith("AVAL_") and name != compiled.INTERPRETED]:
        del os.environ[name]
    # Reading all authorities of the system takes 20 ms, for each client and each process; tests call none they signed.
    os.environ["SSL_CERT_FILE"] = str(ROOT / "tests" / "worlds" / "no_authority.pem")

    if engines.POSTGRES:
        engines.use_postgres()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    if engines.POSTGRES:
        engines.drop_idle()


def pytest_unconfigure() -> None:
    engines.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if engines.POSTGRES:
        for item in items:
            # A store that a test leaves open is an open file on SQLite and no fault; here its driver speaks up.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            if item.get_closest_marker("sqlite"):
                item.add_marker(pytest.mark.skip(reason="about the SQLite store itself"))
    if compiled.in_use():
        why = f"replaces a part of the data plane, which is compiled: {compiled.INTERPRETED}=1 runs it"
        for item in items:
            if item.get_closest_marker("inside"):
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session", autouse=True)
def shipped_policies_are_read_once() -> Iterator[None]:
    """They never change, and reading them takes 50 ms."""
    from tests.worlds import policies  # here: as below

    with pytest.MonkeyPatch.context() as patch:
        policies.read_once(patch)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Public samples, schemas and vectors kept beside the checkout; never part of it."""
    if not SHARED.is_dir():
        pytest.skip("the public samples and vectors are not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """Debian's, one for all tests of one worker: Playwright can be started only once at a time."""
    from tests.worlds.chromium import launched  # here: as below

    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Cluster]":
    """A PostgreSQL server for all tests of one worker. Its databases are not kept safe from a loss of power."""
    from tests.postgres import Cluster, require  # here: tests that do not ask for a server do not load its driver

    require()
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def database(postgres: "Cluster") -> Iterator[str]:
    """The address of a new, empty database on that server; gone after the test."""
    yield from _new_database(postgres)


@pytest.fixture
def migrated_database(postgres: "Cluster", _template: str) -> Iterator[str]:
    """The same with all tables, as `migrate.upgrade` makes them there: a copy of one where it did."""
    yield from _new_database(postgres, _template)


@pytest.fixture(scope="session")
def _template(postgres: "Cluster") -> str:
    from gateway.ground.store import migrate
    from gateway.settings import Settings

    postgres.start()
    postgres.create("migrated")
    migrate.upgrade(Settings(database_url=postgres.url("migrated")))
    return "migrated"


def _new_database(postgres: "Cluster", template: str | None = None) -> Iterator[str]:
    postgres.start()  # a test before this one may have stopped it
    name = f"test_{secrets.token_hex(6)}"
    postgres.create(name, template)
    yield postgres.url(name)
    postgres.start()
    postgres.drop(name)
