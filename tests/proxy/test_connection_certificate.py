"""Mutual TLS: the gateway shows its certificate, trusts whom the declaration names, and rereads files that change."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import DeclarationError
from tests.proxy.certificates import Root
from tests.proxy.clerk import Clerk, Said, Sent, api_key
from tests.proxy.connected_world import HEADER, NUMBER, Connected, Connection, Person
from tests.proxy.connection_texts import KEY

OWN = """
kind = "client_credentials"
match = "number"
[connection.client_credentials]
token = "/token"
client_id = "aval"
auth = "tls_client_auth"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def clerk(root: Root) -> Iterator[Clerk]:
    with Clerk(api_key("x-api-key", "s")).running(root.server(root.file)) as running:
        yield running


def tls(root: Root, name: str = "client", ca: str = "") -> str:
    certificate, key = root.gives(name)
    trusted = ca or str(root.file)
    return f'[connection.tls]\ncertificate = "{certificate}"\nkey = "{key}"\nca = "{trusted}"\n'


def reads_all(alice: Person) -> None:
    assert alice.links_by_number().status == 303
    assert alice.shares().reads().status == 200
    assert alice.downloads().status == 200


def test_the_certificate_is_shown_on_every_call(world: Connected, clerk: Clerk, root: Root) -> None:
    reads_all(Connection(world, clerk, KEY + NUMBER + HEADER + tls(root), SECRET="s").person())
    names = {dict(part[0] for part in sent.certificate["subject"])["commonName"] for sent in clerk.seen}
    assert names == {"client"}


def test_the_certificate_is_the_proof_at_the_token_endpoint_too(world: Connected, clerk: Clerk, root: Root) -> None:
    def token(sent: Sent) -> Said:
        assert sent.certificate and sent.form["client_id"] == "aval" and "authorization" not in sent.headers
        return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 300}

    clerk.also["/token"], clerk.proof = token, lambda sent: sent.bearer == "t"
    reads_all(Connection(world, clerk, OWN + NUMBER + HEADER + tls(root)).person())


def test_without_it_or_with_anothers_nothing_is_read(
    world: Connected, clerk: Clerk, root: Root, tmp_path: Path
) -> None:
    alice = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s").person()
    assert alice.links_by_number().status == 502
    mallory = Root(tmp_path / "mallory", "mallory")
    bob = Connection(world, clerk, KEY + NUMBER + HEADER + tls(mallory, ca=str(root.file)), SECRET="s").person("bob")
    assert bob.links_by_number().status == 502
    assert not clerk.seen


def test_a_server_that_another_root_has_signed_is_not_spoken_to(
    world: Connected, clerk: Clerk, root: Root, tmp_path: Path
) -> None:
    other = Root(tmp_path / "other", "other")
    alice = Connection(world, clerk, KEY + NUMBER + HEADER + tls(root, ca=str(other.file)), SECRET="s").person()
    assert alice.links_by_number().status == 502
    assert not clerk.seen


def test_files_that_change_are_used_from_the_next_call_on(world: Connected, clerk: Clerk, root: Root) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER + tls(root), SECRET="s")
    alice = at.person()
    reads_all(alice)
    first = clerk.seen[-1].certificate["serialNumber"]
    root.gives("client")
    assert alice.reads().status == 200
    assert clerk.seen[-1].certificate["serialNumber"] != first, "also where a connection was open"


def test_a_pair_that_does_not_fit_yet_is_passed_over(world: Connected, clerk: Clerk, root: Root) -> None:
    alice = Connection(world, clerk, KEY + NUMBER + HEADER + tls(root), SECRET="s").person()
    reads_all(alice)
    first = clerk.seen[-1].certificate["serialNumber"]
    certificate, key = root.gives("next")
    shutil.copy(certificate, root.folder / "client.pem")
    assert alice.reads().status == 200 and clerk.seen[-1].certificate["serialNumber"] == first
    (root.folder / "client.key").unlink()
    assert alice.reads().status == 200 and clerk.seen[-1].certificate["serialNumber"] == first
    shutil.copy(key, root.folder / "client.key")
    assert alice.reads().status == 200 and clerk.seen[-1].certificate["serialNumber"] != first


@pytest.mark.parametrize("broken", ["key", "certificate", "ca"])
def test_files_that_cannot_be_used_are_told_when_declared(
    world: Connected, clerk: Clerk, root: Root, broken: str
) -> None:
    text = tls(root)
    other = root.folder / "broken"
    other.write_text("canary: not PEM")
    lines = [f'{broken} = "{other}"' if line.startswith(f"{broken} ") else line for line in text.splitlines()]
    with pytest.raises(DeclarationError, match="connection.tls: cannot be used") as error:
        Connection(world, clerk, KEY + NUMBER + HEADER + "\n".join(lines), SECRET="s")
    assert "canary" not in str(error.value)
    other.unlink()
    with pytest.raises(DeclarationError, match=f"connection.tls.{broken}: is not there"):
        Connection(world, clerk, KEY + NUMBER + HEADER + "\n".join(lines), SECRET="s")
