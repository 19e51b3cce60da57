"""TLS to the database, checked by name and by authority, on both drivers; and the password from its file."""

import asyncio
import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from gateway.errors import Unavailable
from gateway.ground.store import open_store
from gateway.ground.store.postgres.address import parameters
from gateway.ground.store.postgres.native import connected
from gateway.settings import Settings
from tests.postgres import Cluster, require

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the server may read, with its key and certificate, for this address."""
    require()
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "server"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", f"{made}.key", "-out", f"{made}.crt", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.with_suffix(".key").chmod(0o600)
    if os.geteuid() == 0:
        server = pwd.getpwnam("postgres")
        os.chown(f"{made}.key", server.pw_uid, server.pw_gid)
        for each in (folder, *folder.parents[:3]):
            each.chmod(each.stat().st_mode | 0o011)
    return folder


@pytest.fixture(scope="module")
def server(certificate: Path) -> Iterator[Cluster]:
    files = {"ssl_cert_file": f"{certificate}/server.crt", "ssl_key_file": f"{certificate}/server.key"}
    with Cluster(ssl="on", **files) as cluster:
        yield cluster


def asked(address: str, password: Path | None = None) -> tuple[bool, bool]:
    """Whether the connection of either driver is encrypted."""
    statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    store = open_store(Settings(database_url=address, database_password_file=password))
    with contextlib.closing(store), contextlib.closing(store.connect()) as connection:
        (pages,) = connection.execute(statement).fetchone()

    async def data_plane() -> bool:
        found = await connected(parameters(address, password))
        encrypted: bool = await found.fetchval(statement)
        await found.close()
        return encrypted

    return pages, asyncio.run(data_plane())


def test_both_drivers_check_the_server_and_encrypt(server: Cluster, certificate: Path) -> None:
    address = f"{server.url('postgres')}?sslmode=verify-full&sslrootcert={certificate}/server.crt"
    assert asked(address) == (True, True)


def test_a_file_may_have_any_name(server: Cluster, certificate: Path, tmp_path: Path) -> None:
    kept = tmp_path / "a & b = 100%.crt"
    kept.write_bytes((certificate / "server.crt").read_bytes())
    query = urlencode({"sslmode": "verify-full", "sslrootcert": kept}, quote_via=quote)
    assert asked(f"{server.url('postgres')}?{query}") == (True, True)


@pytest.mark.parametrize("more", ["", "&ssl_min_protocol_version=TLSv1.3"])
def test_what_the_system_trusts_is_trusted_by_both_and_nothing_else(
    server: Cluster, certificate: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    address = f"{server.url('postgres')}?sslmode=verify-full&sslrootcert=system{more}"
    with pytest.raises(OSError, match="(?i)certificate"):
        asyncio.run(connected(parameters(address)))
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}/server.crt")
    assert asked(address) == (True, True)


def test_a_server_of_another_authority_is_refused_by_both(server: Cluster, certificate: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", f"{tmp_path}/other.key", "-out", f"{other}", "-subj", "/CN=other"],
        check=True, capture_output=True,
    )  # fmt: skip
    address = f"{server.url('postgres')}?sslmode=verify-full&sslrootcert={other}"
    store = open_store(Settings(database_url=address))
    with pytest.raises(Unavailable):
        store.connect()
    store.close()
    with pytest.raises(OSError, match="(?i)certificate"):
        asyncio.run(connected(parameters(address)))


def test_the_password_may_stand_in_a_file(server: Cluster, tmp_path: Path) -> None:
    user, _, rest = server.url("postgres").removeprefix("postgresql://").partition("@")
    name, _, secret = user.partition(":")
    kept = tmp_path / "password"
    kept.write_text(f"{secret}\n")
    asked(f"postgresql://{name}@{rest}", kept)
