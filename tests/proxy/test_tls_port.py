"""The gateway's port speaks TLS: how, to whom, and with the patience and limits that it has without."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gateway.ground.http import entrance, listener, tls
from tests.worlds.tls import (
    ServingThread,
    authority,
    client_context,
    client_files,
    self_signed_files,
    server_files,
    serving,
    settings,
    spoken,
)

PATIENCE = 0.4


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Tells what it was asked, and how much of a body came. A path of digits: that many bytes."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), bool(message.get("more_body"))
    told = {"scheme": scope["scheme"], "path": scope["path"], "size": size, "keys": sorted(scope)}
    body = json.dumps(told).encode()
    if scope["path"][1:].isdigit():
        body = b"x" * int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServingThread]:
    with serving(app, settings(tmp_path)) as made:
        yield made


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServingThread]:
    """A server with little patience."""
    for module, name in (
        *((listener, name) for name in ("HEAD_SECONDS", "BODY_SECONDS", "WRITE_SECONDS")),
        (entrance, "HANDSHAKE_SECONDS"),
        (entrance, "GOODBYE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, PATIENCE)
    monkeypatch.setattr(listener, "SWEEP_SECONDS", PATIENCE / 8)
    with serving(app, settings(tmp_path)) as made:
        yield made


def ended(connection: socket.socket) -> bytes:
    """What is still said until the server ends the connection. It fails after the socket's own time."""
    said = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := connection.recv(65536):
            said += piece
    return said


def eventually(claim: Callable[[], bool]) -> bool:
    for _ in range(200):
        if claim():
            return True
        time.sleep(0.05)
    return False


def is_served(made: ServingThread, **how: Any) -> bool:
    try:
        return b" 200 " in made.asked(**how).partition(b"\r\n")[0]
    except OSError:
        return False


# ---- what is spoken


def test_a_request_over_tls_is_answered_and_known_as_https(served: ServingThread) -> None:
    head, _, body = served.asked().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body)["scheme"] == "https"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mutual", [False, True])
def test_tls_12_and_13_are_spoken_without_compression(
    served: ServingThread, version: ssl.TLSVersion, mutual: bool
) -> None:
    context = client_context(served.ca_file)
    context.minimum_version = context.maximum_version = version
    with served.connected(mutual, context=context) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert connection.compression() is None and connection.selected_alpn_protocol() is None


def test_http_11_is_agreed_on_and_http_2_is_not(served: ServingThread) -> None:
    context = client_context(served.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with served.connected(context=context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(served: ServingThread, version: ssl.TLSVersion, mutual: bool) -> None:
    context = client_context(served.ca_file)
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this machine's own OpenSSL would not even try
    context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)), served.connected(mutual, context=context):
        pass


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize(
    ("suite", "taken"),
    [
        *((name, True) for name in tls.SUITES if "ECDSA" in name),  # the key of the test's server is of that kind
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA", False),
        ("ECDHE-ECDSA-AES128-CCM8", False),
        ("ECDHE-ECDSA-CAMELLIA128-SHA256", False),
    ],
)
def test_suites_are_those_of_bcp_195(served: ServingThread, suite: str, taken: bool, mutual: bool) -> None:
    context = client_context(served.ca_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    if taken:
        with served.connected(mutual, context=context) as connection:
            assert (connection.cipher() or ("",))[0] == suite
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)), served.connected(mutual, context=context):
            pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the command openssl is not here")
def test_nobody_begins_a_second_handshake_on_a_connection(served: ServingThread) -> None:
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{served.port}"]
    done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=30)
    said = done.stdout + done.stderr
    assert b"RENEGOTIATING" in said and b"no renegotiation" in said, said


def test_plain_http_on_the_port_of_tls_is_told_nothing(served: ServingThread) -> None:
    for port in (served.port, served.mtls_port):
        with socket.create_connection(("127.0.0.1", port), 15) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = ended(connection)
            assert len(said) <= 7, said  # nothing, or an alert (RFC 8446 §6)


def test_on_the_main_port_nobody_is_asked_for_a_certificate(served: ServingThread, tmp_path: Path) -> None:
    for client in (client_files(tmp_path, "meter"), self_signed_files(tmp_path, "mallory")):
        told = json.loads(served.asked(client=client).partition(b"\r\n\r\n")[2])
        assert not [key for key in told["keys"] if "certificate" in key], "even who has one shows none"


# ---- certificates come and go


def serial(made: ServingThread) -> int:
    with made.connected() as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(True) or b"").serial_number


def test_a_certificate_that_was_replaced_is_shown_without_a_restart(served: ServingThread, tmp_path: Path) -> None:
    before = serial(served)
    with served.connected() as kept:
        certificate, _ = server_files(tmp_path, "localhost")
        after = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
        assert serial(served) == after != before
        assert b" 200 " in spoken(kept, "localhost"), "who was here before stays"
    assert served.server.fault() == ""


def test_half_of_a_new_pair_is_not_used_and_the_other_half_completes_it(served: ServingThread, tmp_path: Path) -> None:
    before = serial(served)
    certificate, key = server_files(tmp_path, "localhost", name="next")
    new = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
    certificate.replace(tmp_path / "server.pem")
    assert serial(served) == before and "the key is not that of the certificate" in served.server.fault()
    key.replace(tmp_path / "server.key")
    assert serial(served) == new and served.server.fault() == ""


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_is_spoilt_while_it_serves_stops_nothing(
    served: ServingThread, tmp_path: Path, content: bytes | None
) -> None:
    before, file = serial(served), tmp_path / "server.pem"
    good = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert serial(served) == before and served.server.fault()
    file.write_bytes(good)
    assert serial(served) == before and served.server.fault() == ""


def test_at_the_start_files_that_cannot_be_used_are_an_error(tmp_path: Path) -> None:
    using = settings(tmp_path)
    other, _ = server_files(tmp_path, "localhost", name="other")
    with pytest.raises(OSError) as mismatch:
        tls.plain_port(using.model_copy(update={"tls_certificate_file": other}))
    assert tls.why(mismatch.value) == "the key is not that of the certificate"
    with pytest.raises(OSError) as missing:
        tls.plain_port(using.model_copy(update={"tls_key_file": tmp_path / "nowhere.key"}))
    assert tls.why(missing.value) == f"{tmp_path / 'nowhere.key'}: No such file or directory"
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="there is no certificate in it"):
        tls.mutual_port(using.model_copy(update={"mtls_ca_file": tmp_path / "text.pem"}))


# ---- patience and limits are those of the port without TLS


@pytest.mark.parametrize("begun", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_handshake_that_does_not_come_on_is_cut_off(hasty: ServingThread, begun: bytes) -> None:
    for port in (hasty.port, hasty.mtls_port):
        with socket.create_connection(("127.0.0.1", port), 15) as connection:
            connection.sendall(begun)
            assert ended(connection) == b""


@pytest.mark.parametrize(
    "begun",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"],
    ids=["nothing", "a byte", "half a head", "half a body"],
)
@pytest.mark.parametrize("mutual", [False, True])
def test_a_request_that_does_not_come_on_is_cut_off(hasty: ServingThread, begun: bytes, mutual: bool) -> None:
    with hasty.connected(mutual) as connection:
        connection.sendall(begun)
        assert ended(connection) == b""


def test_who_does_not_read_is_cut_off(hasty: ServingThread) -> None:
    with hasty.connected() as connection:
        connection.sendall(b"GET /50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert eventually(lambda: not hasty.server.server_state.connections)


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\nHost: a\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"\r\n"])
def test_heads_are_as_strict_as_without(served: ServingThread, head: bytes) -> None:
    with served.connected() as connection:
        connection.sendall(head)
        assert ended(connection).startswith(b"HTTP/1.1 400 ")


def test_a_head_that_is_too_large_is_refused(served: ServingThread) -> None:
    with served.connected() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"y" * 60_000)
        assert ended(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("size", [10, 70_000, 3_000_000])
def test_bodies_pass_whole_in_both_directions(served: ServingThread, size: int) -> None:
    with served.connected() as connection:
        connection.sendall(b"GET /%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % size)
        assert len(ended(connection).partition(b"\r\n\r\n")[2]) == size
    with served.connected() as connection:
        head = b"POST /told HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
        connection.sendall(head + b"y" * size)
        assert json.loads(ended(connection).partition(b"\r\n\r\n")[2])["size"] == size


def test_several_requests_one_behind_the_other_are_answered_in_their_order(served: ServingThread) -> None:
    with served.connected() as connection:
        requests = [b"GET /%s HTTP/1.1\r\nHost: localhost\r\n" % name for name in (b"one", b"two", b"three")]
        connection.sendall(b"\r\n".join([*requests[:2], requests[2] + b"Connection: close\r\n\r\n"]))
        said = ended(connection)
    assert [said.find(name) > 0 for name in (b"/one", b"/two", b"/three")] == [True] * 3
    assert said.find(b"/one") < said.find(b"/two") < said.find(b"/three")


@contextlib.contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections on which no handshake begins."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(socket.create_connection(("127.0.0.1", port), 15)) for _ in range(count)]


@pytest.mark.parametrize("mutual", [False, True])
def test_handshakes_under_way_take_the_places_of_their_address(tmp_path: Path, mutual: bool) -> None:
    with serving(app, settings(tmp_path, address_connections=3, connections=100)) as made:
        with silent(made.mtls_port if mutual else made.port, 3):
            assert eventually(lambda: made.greeted() == 3)
            assert not is_served(made) and not is_served(made, mutual=True)
        assert eventually(lambda: is_served(made)), "and leave them"


def test_all_together_have_a_limit_too_on_both_ports(tmp_path: Path) -> None:
    with serving(app, settings(tmp_path, address_connections=100, connections=4)) as made:
        with silent(made.port, 2), silent(made.mtls_port, 2):
            assert eventually(lambda: made.greeted() == 4)
            assert not is_served(made) and not is_served(made, mutual=True)
        assert eventually(lambda: is_served(made) and is_served(made, mutual=True))


def test_a_place_is_free_again_however_a_handshake_ended(tmp_path: Path) -> None:
    with serving(app, settings(tmp_path, address_connections=2, connections=100)) as made:
        mallory = self_signed_files(tmp_path, "mallory")
        for number in range(12):
            with silent(made.port, 1) as [connection]:
                connection.sendall((b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n")[number % 3])
                if number % 2:  # a reset instead of a goodbye
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            assert not is_served(made, mutual=True, client=mallory)
            assert eventually(lambda: is_served(made)), number
        assert eventually(lambda: is_served(made) and is_served(made, mutual=True))


def test_the_server_ends_although_a_handshake_is_under_way(tmp_path: Path) -> None:
    with serving(app, settings(tmp_path)) as made, silent(made.port, 2), silent(made.mtls_port, 2):
        assert is_served(made)  # `serving` fails if its thread does not end


def test_the_certificate_fits_the_name_it_was_made_for(served: ServingThread, tmp_path: Path) -> None:
    """The test's client looks at it: with another authority it takes nothing."""
    stranger = authority(tmp_path / "elsewhere")
    with pytest.raises(ssl.SSLCertVerificationError), served.connected(context=client_context(stranger.file)):
        pass
