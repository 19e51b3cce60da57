"""Where a call of ours may go: a table of addresses, and the connection itself."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ground.http.connector import ConnectorError, OutboundRequest, Target
from gateway.ground.http.reach import addresses, is_public, origin
from gateway.ground.http.transport import Transport
from gateway.organisations.addresses import base_url_faults
from gateway.settings import Settings
from tests.proxy.raw import RawOrganisation, answer

LOOPBACK = ("127.0.0.0/8", "::1/128")


def reachable(url: str, networks: tuple[str, ...] = (), names: dict[str, list[str]] | None = None) -> bool:
    async def look_up(host: str, port: int) -> list[str]:
        return (names or {}).get(host, [])

    try:
        return bool(asyncio.run(addresses(origin(url), networks, look_up)))
    except ConnectorError as error:
        assert error.reason == "organisation_unavailable"
        return False


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "localhost", "localhost.",
     "169.254.169.254", "[fe80::1]", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
     "[fc00::1]", "[fd12::1]", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.0.8", "192.0.2.1",
     "198.18.0.1", "198.51.100.1", "203.0.113.1", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]",
     "[2002:7f00:1::]", "[2002:a00:1::1]", "[2002:5db8:d822::1]",
     "[2001::1]", "[2001:db8::1]", "[ff02::1]", "[fec0::1]", "[::127.0.0.1]",
     "[::ffff:0:7f00:1]", "[::ffff:169.254.169.254]", "[100::1]", "2130706433", "0x7f000001", "0x7f.0.0.1",
     "0177.0.0.1", "017700000001", "127.0.1", "0", "metadata.internal", "a_b.example", "-a.example", "a..example"],
)  # fmt: skip
def test_what_is_not_public_is_refused(host: str) -> None:
    names = {"localhost": ["127.0.0.1", "::1"], "metadata.internal": ["169.254.169.254"]}
    assert not reachable(f"https://{host}/", names=names)
    assert not reachable(f"https://{host}", names=names)


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:4700::1111]", "bank.example", "[64:ff9b::5db8:d822]"])
def test_what_is_public_is_reached_by_https_only(host: str) -> None:
    names = {"bank.example": ["93.184.216.34"]}
    assert reachable(f"https://{host}", names=names)
    assert not reachable(f"http://{host}", names=names)


def test_a_name_with_one_private_address_is_refused_whole() -> None:
    assert not reachable("https://bank.example", names={"bank.example": ["93.184.216.34", "10.0.0.1"]})


def test_a_name_without_address_is_unreachable() -> None:
    assert not reachable("https://bank.example")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("http://127.0.0.1:8401", True), ("http://localhost:8401", True), ("http://10.1.2.3", False),
     ("http://[::ffff:127.0.0.1]:8401", True), ("https://169.254.169.254", False)],
)  # fmt: skip
def test_a_declared_network_is_open_and_no_other(url: str, allowed: bool) -> None:
    assert reachable(url, LOOPBACK, {"localhost": ["127.0.0.1", "::1"]}) is allowed


@pytest.mark.parametrize(
    "url",
    ["https://user@bank.example", "https://user:secret@bank.example", "https://bank.example/#a", "https://bank.example/?a",
     "https://bank.example\\@mallory", "https://bank.example/\r\nX: y", "https://bank.example /", "file:///etc/passwd",
     "gopher://bank.example", "ftp://bank.example", "unix:/run/x", "data:text/plain,x", "https://", "bank.example",
     "https://bank.example:99999", "https://bank.example/a/../b;c", "https://b\u00e4nk.example",
     "https://bank.example/" + "a" * 2000],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(ConnectorError):
        origin(url)


@pytest.mark.parametrize("port", [22, 25, 6379, 11211, 8080])
def test_an_address_that_no_operator_wrote_has_a_web_port(port: int) -> None:
    with pytest.raises(ConnectorError):
        origin(f"https://app.example:{port}/logo", declared=False)
    assert origin("https://app.example/logo.svg?x"[:-2], declared=False).port == 443


def test_a_translated_address_is_what_it_carries() -> None:
    from ipaddress import ip_address

    assert not is_public(ip_address("2002:c0a8:101::1")) and is_public(ip_address("64:ff9b::5db8:d822"))


@pytest.mark.parametrize(
    "host",
    ["93.184.216.34", "192.88.99.1", "192.0.0.9", "198.18.0.1", "240.0.0.1", "127.0.0.1", "10.0.0.1", "169.254.169.254",
     "[2606:4700::1111]", "[2620:4f:8000::1]", "[2001::1]", "[2001:4:112::1]", "[2001:20::1]", "[2002:808:808::1]",
     "[3fff::1]", "[5f00::1]", "[64:ff9b::808:808]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[::8.8.8.8]",
     "[::ffff:8.8.8.8]", "[::ffff:0:808:808]", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "[::1]", "2130706433",
     "0x7f.1", "127.1", "a.0x1", "a.1", "bank.example", "localhost", "-a.example", "a" * 64 + ".example"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("networks", [(), LOOPBACK, ("10.0.0.0/8", "fd00::/8")])
def test_a_declaration_is_judged_as_the_connection_is(host: str, scheme: str, networks: tuple[str, ...]) -> None:
    names = {"bank.example": ["93.184.216.34"], "localhost": ["127.0.0.1", "::1"]}
    faults = list(base_url_faults(f"{scheme}://{host}", networks, lambda name: names.get(name, [])))
    try:
        found = reachable(f"{scheme}://{host}", networks, names)
    except ConnectorError:
        found = False
    assert (faults == []) is found


# ---- the connection itself


def target(url: str, networks: tuple[str, ...] = LOOPBACK) -> Target:
    return Target("bank", url, networks, 5.0, 8)


def ask(url: str, settings: Settings | None = None, networks: tuple[str, ...] = LOOPBACK, **names: list[str]) -> bytes:
    looked_up: list[str] = []

    async def look_up(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return names.get(host, ["127.0.0.1"])

    async def run() -> bytes:
        transport = Transport(settings or Settings(), look_up=look_up)
        try:
            found = await transport.get(OutboundRequest(target(url, networks), "GET", "/x", []))
            return await found.read(1000)
        finally:
            assert len(looked_up) <= 1
            await transport.close()

    return asyncio.run(run())


def test_the_name_is_resolved_once_and_that_address_is_used(organisation: RawOrganisation) -> None:
    organisation.reset()
    organisation.says(answer(b"hello"))
    assert ask(f"http://bank.test:{organisation.port}") == b"hello"
    assert organisation.seen[-1].headers["host"] == f"bank.test:{organisation.port}"


def test_without_a_declared_network_nothing_is_connected(organisation: RawOrganisation) -> None:
    organisation.reset()
    with pytest.raises(ConnectorError) as caught:
        ask(f"http://bank.test:{organisation.port}", networks=())
    assert not organisation.seen
    assert "127" not in str(caught.value) and "bank" not in str(caught.value)


def test_a_redirect_is_an_answer_and_is_not_followed(organisation: RawOrganisation) -> None:
    organisation.reset()
    organisation.says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno")
    assert ask(f"http://bank.test:{organisation.port}") == b"no"
    assert len(organisation.seen) == 1


def test_an_environment_proxy_is_not_used(organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    organisation.says(answer(b"hello"))
    assert ask(f"http://bank.test:{organisation.port}") == b"hello"


@pytest.mark.parametrize(
    ("path", "field"),
    [("/a b", b"x"), ("/a\r\nX: y", b"x"), ("a", b"x"), ("/a#b", b"x"), ("/a", b"x\r\ny: z"), ("/a", b"\0")],
)
def test_one_call_is_one_request(organisation: RawOrganisation, path: str, field: bytes) -> None:
    organisation.reset()

    async def run() -> None:
        transport = Transport(Settings())
        await transport.get(OutboundRequest(target(organisation.url), "GET", path, [(b"x-a", field)]))

    with pytest.raises(ConnectorError):
        asyncio.run(run())
    assert not organisation.seen


def test_asking_from_a_command_without_a_server(organisation: RawOrganisation) -> None:
    organisation.says(answer(b"hello"))
    transport = Transport(Settings())
    assert transport.ask(OutboundRequest(target(organisation.url), "POST", "/x", [], b"body"))[2] == b"hello"
    with pytest.raises(ConnectorError) as caught:
        transport.ask(OutboundRequest(target(organisation.url), "GET", "/x", []), limit=3)
    assert caught.value.reason == "too_large"
    transport.shut()


# ---- TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server with a certificate of its own for bank.test."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=bank.test", "-addext", "subjectAltName=DNS:bank.test",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not here to make a certificate")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"hello"))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    ports: list[int] = []
    ready, over = threading.Event(), threading.Event()

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # refused handshakes are what is tested
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await asyncio.to_thread(over.wait)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait(5)
    yield ports[0], folder / "cert.pem"
    over.set()
    thread.join(5)


def test_our_own_authority_is_trusted_when_configured(secure: tuple[int, Path]) -> None:
    port, certificate = secure
    assert ask(f"https://bank.test:{port}", Settings(ca_file=certificate)) == b"hello"


def test_a_certificate_nobody_vouches_for_is_refused(secure: tuple[int, Path]) -> None:
    with pytest.raises(ConnectorError):
        ask(f"https://bank.test:{secure[0]}")


def test_the_certificate_of_another_host_is_refused(secure: tuple[int, Path]) -> None:
    port, certificate = secure
    with pytest.raises(ConnectorError):
        ask(f"https://other.test:{port}", Settings(ca_file=certificate))


def test_a_name_that_is_slow_to_be_found_holds_up_its_own_callers_only(
    organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, gate, asked = socket.getaddrinfo("127.0.0.1", organisation.port), threading.Event(), []

    def resolver(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        assert host == "healthy.test" or gate.wait(20)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    async def run() -> bytes:
        transport = Transport(Settings())

        async def get(name: str) -> bytes:
            target = Target(name, f"http://{name}.test:{organisation.port}", LOOPBACK)
            return await (await transport.get(OutboundRequest(target, "GET", "/", []))).read(2**16)

        slow = [asyncio.ensure_future(get("slow")) for _ in range(20)]
        while "slow.test" not in asked:
            await asyncio.sleep(0.01)
        body = await get("healthy")
        assert not any(each.done() for each in slow)
        gate.set()
        for each in slow:
            assert await each == body
        await transport.close()
        return body

    assert asyncio.run(run())
    assert asked.count("slow.test") == 1
