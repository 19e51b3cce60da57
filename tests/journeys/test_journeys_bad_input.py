"""Nonsense at every door: answered, never with a fault of ours, and secrets are found in no file afterwards."""

import itertools
import json
import random
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway.app import build_house, doors
from gateway.cli.demo_setup import PASSWORD, Demo
from gateway.settings import Settings
from tests.worlds.demo import Resident, newcomer

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW")
ODD = ("%00", "..%2F..%2Fetc%2Fpasswd", "-1", "9" * 40, "%FF%FE", "'\"><script>", "é" * 20, "a" * 300, "%20", "~")
QUERIES = (
    "",
    "?x[]=1&x[]=2&next=https://evil.example",
    "?next=//evil.example&app=%00&before=%FF&from=0000-99-99&to=x&badge='",
    "?request_uri=urn:x&client_id=%C3%A9&client_id=two&response_type=" + "z" * 200,
)
BODIES: tuple[tuple[str, bytes], ...] = (
    (
        "application/x-www-form-urlencoded",
        b"csrf=x&decision=allow&email=%00&password=%FF&code=000000&next=//evil.example",
    ),
    ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(200))),
    ("application/x-www-form-urlencoded", b"grant_type=authorization_code&code=x&code_verifier=y&client_id=watt-coach"),
    ("application/x-www-form-urlencoded", b"token=" + b"A" * 70_000),
    ("application/json", b'{"a": [[[[[[]]]]]], "b": 1e999}'),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'),
    ("text/xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
    ("", b"\x00\xff\xfe"),
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The path of every door, with {names} in it."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("doors"))
    house = build_house(settings, create_keys=True)
    found = sorted({door.path for door in doors(house)})
    house.store.close()
    return [*found, "/data/city-energy/{path}", "/static/{file}", "/{anything}"]


def nonsense(paths: list[str], seed: int, count: int) -> Iterator[tuple[str, str, str, bytes]]:
    """(method, address, content type, body): every path with each method at least once, then chance."""
    chance = random.Random(seed)
    everywhere = list(itertools.product(paths, METHODS))
    for path, method in everywhere + [(chance.choice(paths), chance.choice(("GET", "POST"))) for _ in range(count)]:
        filled = re.sub(r"\{[^}]*\}", lambda _: chance.choice(ODD), path)
        media, body = chance.choice(BODIES) if method not in ("GET", "HEAD") else ("", b"")
        yield method, filled + chance.choice(QUERIES), media, body


@pytest.mark.parametrize("who", ["stranger", "alice"])
def test_no_door_answers_nonsense_with_a_fault(world: Demo, paths: list[str], who: str) -> None:
    headers = {"accept": "text/html, application/json;q=0.9"}
    if who == "alice":
        alice = newcomer(world)
        headers["cookie"] = "; ".join(f"{one['name']}={one['value']}" for one in alice.cookies())
        headers["origin"] = alice.gateway
    faults: list[str] = []
    with httpx2.Client(base_url=world.url("gateway"), timeout=30, headers=headers) as client:
        for method, address, media, body in nonsense(paths, 20260101, 300):
            extra = {"content-type": media} if media else {}
            answer = client.request(method, address, content=body or None, headers=extra)
            if answer.status_code >= 500 and not (method in ("TRACE", "BREW") and answer.status_code == 501):
                faults.append(f"{answer.status_code} {method} {address[:80]} {media}")
            if "evil.example" in urlsplit(answer.headers.get("location", "")).netloc:
                faults.append(f"{method} {address[:80]} leads to {answer.headers['location']}")
            if "<script>" in answer.text and "text/html" in answer.headers.get("content-type", ""):
                faults.append(f"{method} {address[:80]} comes back as markup")
    assert not faults, "\n".join(faults)


RAW = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a=b; " * 3000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Language: \xff\xfe;q=nan, fr;q=1e999\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


def test_broken_http_is_turned_away_and_the_gateway_stays_up(world: Demo) -> None:
    for sent in RAW:
        with socket.create_connection(("127.0.0.1", world.ports["gateway"]), timeout=10) as wire:
            wire.sendall(sent)
            wire.shutdown(socket.SHUT_WR)
            answer = wire.recv(4096)
        assert not answer.startswith(b"HTTP/1.1 5"), (sent[:60], answer[:200])
    assert httpx2.get(f"{world.url('gateway')}/readyz", timeout=10).status_code == 200


# ---- secrets stay secret


def spent_by(alice: Resident) -> set[bytes]:
    """Every secret of a whole story: cookie, code, verifier, tokens, one-time codes."""
    secret: set[str] = set()

    def sent(request: httpx2.Request) -> None:
        for name in ("code", "code_verifier", "refresh_token"):
            secret.update(re.findall(rf"(?:^|&){name}=([^&]+)", request.content.decode()))

    def received(answer: httpx2.Response) -> None:
        answer.read()
        if answer.headers.get("content-type", "").startswith("application/json"):
            told = answer.json()
            secret.update(str(told[name]) for name in ("access_token", "refresh_token") if name in told)

    alice.story.http.event_hooks = {"request": [sent], "response": [received]}
    alice.links("city-energy", "harbour-bank", "meadow-health")
    alice.story.agree_energy()
    alice.story.read_energy()
    alice.story.agree_budget()
    alice.story.read_bank()
    secret.update(str(one["value"]) for one in alice.cookies() if "sign-in" in str(one["name"]))
    assert len(secret) >= 8, secret
    # of a signed token its signature is enough: that is what makes it worth something
    return {one.rsplit(".", 1)[-1].encode() for one in secret}


@pytest.mark.sqlite
def test_no_secret_is_found_in_any_file_of_the_gateway(world: Demo) -> None:
    canaries = spent_by(newcomer(world))
    canaries |= {PASSWORD.encode(), world.secrets["city-energy"].encode()}
    kept = {str(value).encode() for value in json.loads((world.folder / "demo.json").read_text()).values()}
    places = [path for path in world.gateway_dir.rglob("*") if path.is_file()]
    places += [world.folder / f"{name}.log" for name in ("gateway", "watt-coach", "clear-budget", "city-energy")]
    assert any(path.suffix == ".sqlite3" for path in places)
    found = [(path.name, value[:8]) for path in places for value in canaries | kept if value in path.read_bytes()]
    assert not found, found
    assert not [path for path in places if path.suffix == ".log" and b"Traceback" in path.read_bytes()]


def test_files_of_keys_and_data_are_the_owners_alone(world: Demo) -> None:
    for path in world.gateway_dir.rglob("*"):
        if "keys" in path.parts or path.suffix == ".sqlite3":
            mode = path.stat().st_mode & path.parent.stat().st_mode & 0o007
            assert mode == 0, f"{path.name} may be read by anyone"
    assert (world.folder / "demo.json").stat().st_mode & 0o077 == 0
