"""A declaration is checked whole, and every fault says where, what and what would be right."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from organisations_world import DECLARATIONS, World

from gateway.catalogue import Catalogue
from gateway.errors import DeclarationError
from gateway.ground.store.tables import Directory
from gateway.organisations import declare, views
from gateway.organisations.tables import Organisation
from gateway.settings import shipped_policies

FILES = ("city-energy", "harbour-bank", "meadow-health")
SECRETS = {"CITY_ENERGY_CLIENT_SECRET": "s"}
catalogue = Catalogue(shipped_policies())


def here(host: str) -> list[str]:
    return {"localhost": ["127.0.0.1", "::1"], "mixed.example": ["127.0.0.1", "203.0.113.9"]}.get(host) or nowhere(host)


def nowhere(host: str) -> list[str]:
    raise OSError(host)


def bank() -> dict[str, Any]:
    return tomllib.loads((DECLARATIONS / "harbour-bank.toml").read_text())


def faults(document: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in declare.check(document, catalogue, here)]


@pytest.mark.parametrize("name", FILES)
def test_the_example_declarations_are_right(name: str) -> None:
    declaration = declare.read(DECLARATIONS / f"{name}.toml", catalogue, environ=SECRETS, look_up=here)
    assert declaration.id == name
    assert len(declaration.sha256) == 64


def test_all_faults_are_told_at_once() -> None:
    document = bank()
    document["nmae"] = document.pop("name")
    document["sector"] = "bnak"
    document["zone"] = "Europe/Pariss"
    del document["contact"]["privacy"]
    document["datasets"][0]["paths"] = ["accounts"]
    assert faults(document) == [
        "nmae: is not a key of a declaration; did you mean name?",
        'name: is missing; give both languages: { fr = "…", en = "…" }',
        "zone: is not right; write an IANA name, as in Europe/Paris",
        "contact.privacy: is missing; write a mail address",
        "datasets[0].paths: is not right; 'accounts': a path begins with /",
        "sector: 'bnak' is not known; did you mean bank?",
    ]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("id", "City Energy", "id: is not right; write 1 to 40 of a-z, 0-9 and -"),
        ("id", "../up", "id: is not right"),
        ("name", {"fr": "Banque"}, "name: is not right; give both languages"),
        (
            "name",
            {"fr": "Banque", "en": "Bank\u202eknab"},
            "name: is not right; leave out the invisible character U+202E",
        ),
        ("legal_entity", "", "legal_entity: is not right"),
        ("website", "javascript:alert(1)", "website: is not right; write an https address"),
        ("website", "https://a@b.example", "website: is not right"),
        ("datasets", [], "datasets: is not right; write at least one [[datasets]], at most 50"),
        ("contact", "privacy@x.example", "contact: is not right; write it as a table"),
    ],
)
def test_each_value_is_checked(key: str, value: object, told: str) -> None:
    found = faults({**bank(), key: value})
    assert any(fault.startswith(told) for fault in found), found


def test_a_dataset_of_another_sector_is_unknown_here() -> None:
    document = bank()
    document["datasets"][0]["id"] = "bank.acounts"
    document["datasets"][1]["id"] = "energy.point"
    found = faults(document)
    assert found[0] == "datasets[0].id: 'bank.acounts' is not known; did you mean bank.accounts?"
    assert found[1].startswith("datasets[1].id: 'energy.point' is not known; one of bank.accounts")


def test_a_dataset_stands_once() -> None:
    document = bank()
    document["datasets"][1]["id"] = document["datasets"][0]["id"]
    assert "stands twice" in faults(document)[0]


@pytest.mark.parametrize(
    "path",
    ["/a/{account}/b", "/a", "/Batch/Subscription/{subscription}/UsagePoint/{account}/…", "/fhir/Patient/$everything"],
)
def test_paths_that_are_fine(path: str) -> None:
    assert faults_of_path(path) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "a", "//a", "/a//b", "/a/../b", "/a/./b", "/a?x=1", "/a#b", "/{a}{b}", "/x{a}", "/{a}/{a}", "/…"]
    + ["/a/…/b", "/a/%2e%2e", "/a b", "/{A}", "/a\\b", "https://x.example/a"],
)
def test_paths_that_are_not(path: str) -> None:
    assert faults_of_path(path)


def faults_of_path(path: str) -> list[str]:
    document = bank()
    document["datasets"][0]["paths"] = [path]
    return faults(document)


def faults_of_address(url: str, networks: list[str] | None = None) -> list[str]:
    document = bank()
    document["connection"] |= {"base_url": url, "networks": networks or []}
    return faults(document)


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("https://api.bank.example", []),
        ("https://api.bank.example:8443/open/v4", []),
        ("https://93.184.216.34", []),
        ("https://10.1.2.3", ["10.0.0.0/8"]),
        ("http://10.1.2.3:8080", ["10.1.0.0/16"]),
        ("http://localhost:8402", ["127.0.0.0/8", "::1/128"]),
        ("https://[fd00::1]", ["fd00::/8"]),
    ],
)
def test_addresses_that_are_fine(url: str, networks: list[str]) -> None:
    assert faults_of_address(url, networks) == []


LOCAL = ["127.1", "0.0.0.0", "127.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "localhost", "localhost."]
PRIVATE = ["169.254.169.254", "[fe80::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fc00::1]"]
ODD = ["224.0.0.1", "240.0.0.1", "192.0.0.1", "198.18.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]"]
SPELT = ["2130706433", "0x7f000001", "0177.0.0.1", "127.0x1", "10.1"]


@pytest.mark.parametrize("host", LOCAL + PRIVATE + ODD + SPELT)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_private_addresses_are_refused_in_any_spelling(host: str, scheme: str) -> None:
    assert faults_of_address(f"{scheme}://{host}/x")


@pytest.mark.parametrize(
    "url",
    [
        "https://user@api.example",
        "https://user:pass@api.example",
        "https://api.example/#x",
        "https://api.example/?x",
        "https://api.example/a b",
        "https://api.example\\@evil.example",
        "https://api.example/\r\nX: y",
        "https://api.example:22",
        "https://api.example:6379",
        "https://api.example:11211",
        "https://api.example:99999",
        "https://api.example/",
        "https://api.example/a/../b",
        "https://bücher.example",
        "https://",
        "https://-a.example",
        "file:///etc/passwd",
        "gopher://api.example",
        "ftp://api.example",
        "data:text/plain,x",
        "//api.example",
        "http://api.example",
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    assert faults_of_address(url)


def test_http_needs_every_address_inside_the_declared_networks() -> None:
    assert faults_of_address("http://mixed.example", ["127.0.0.0/8"])
    assert faults_of_address("http://localhost", ["127.0.0.0/8"])  # ::1 is an address of it as well


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "169.254.0.0/16", "8.8.8.0/24", "10.0.0.1/8", "fe80::/10"])
def test_networks_open_private_networks_only(network: str) -> None:
    assert any(fault.startswith("connection.networks") for fault in faults_of_address("https://api.example", [network]))


def test_the_kind_of_connection_needs_its_own_table() -> None:
    document = bank()
    document["connection"]["kind"] = "oauth"
    found = faults(document)
    assert "connection.oauth: is missing; kind = 'oauth' needs it" in found
    assert "connection.link: does not belong to kind = 'oauth'; leave it out" in found


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "o.toml").write_text(text)
    return tmp_path / "o.toml"


@pytest.mark.parametrize(
    ("value", "right"), [("lasting", True), ("new", True), ("", False), ("each", False), (1, False)]
)
def test_a_subscription_is_declared_lasting_or_new(value: object, right: bool) -> None:
    document = tomllib.loads((DECLARATIONS / "city-energy.toml").read_text())
    document["connection"]["oauth"]["subscription"] = value
    told = 'connection.oauth.subscription: is not right; write "lasting" or "new"'
    assert faults(document) == ([] if right else [told])


def energy_text(secret: str) -> str:
    text = (DECLARATIONS / "city-energy.toml").read_text()
    return text.replace('{ env = "CITY_ENERGY_CLIENT_SECRET" }', secret)


def told(path: Path, **more: Any) -> str:
    with pytest.raises(DeclarationError) as error:
        declare.read(path, catalogue, look_up=here, **more)
    return str(error.value)


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    message = told(write(tmp_path, energy_text('"hunter2"')), environ={})
    assert "connection.oauth.client_secret: is not right; never in this file" in message
    assert "hunter2" not in message


def test_a_secret_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    assert "CITY_ENERGY_CLIENT_SECRET is not set" in told(DECLARATIONS / "city-energy.toml", environ={})
    path = write(tmp_path, energy_text('{ file = "secret.txt" }'))
    assert "the file secret.txt cannot be read" in told(path, environ={})
    (tmp_path / "secret.txt").write_text("from the file\n")
    declaration = declare.read(path, catalogue, environ={}, look_up=here)
    assert declaration.secrets == {"oauth": "from the file"}
    assert "from the file" not in repr(declaration)


@pytest.mark.parametrize(("text", "message"), [("id = ", "is not TOML"), ("\x00", "is not TOML")])
def test_a_file_that_is_not_toml_says_so(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    assert told(path).startswith(f"{path}: file: {message}")
    assert told(tmp_path / "absent.toml").endswith("file: cannot be read (No such file or directory)")
    assert told(tmp_path).endswith("file: cannot be read (Is a directory)")


def test_nonsense_of_every_shape_is_a_fault_and_no_crash() -> None:
    for value in (1, [], "x", True, [1], {"a": 1}, 1e400):
        for key in (*bank(), "other"):
            declare.check({**bank(), key: value}, catalogue, here)
        for key in (*bank()["connection"], "oauth"):
            document = bank()
            document["connection"][key] = value
            declare.check(document, catalogue, here)
        assert declare.check({**bank(), "datasets": [{"id": value, "paths": value}]}, catalogue, here)


def load(world: World, name: str = "city-energy", secret: str = "s", **more: Any) -> declare.OrganisationDeclaration:
    environ = {"CITY_ENERGY_CLIENT_SECRET": secret}
    return declare.read(DECLARATIONS / f"{name}.toml", world.house.catalogue, environ=environ, look_up=here, **more)


def add(world: World, declaration: declare.OrganisationDeclaration) -> str:
    with world.house.store.write() as session:
        return declare.add(session, world.house, declaration, world.now)


def generation(world: World) -> int:
    with world.house.store.read() as session:
        row = session.get(Directory, 1)
        return row.generation if row else 0


def test_adding_says_what_it_did_and_tells_the_directory(world: World) -> None:
    assert add(world, load(world)) == "added"
    assert generation(world) == 1
    assert add(world, load(world)) == "unchanged"
    assert generation(world) == 1
    assert add(world, load(world, base_url="http://localhost:9401")) == "changed"
    assert add(world, load(world, secret="rotated", base_url="http://localhost:9401")) == "changed"
    assert generation(world) == 3
    with world.house.store.read() as session:
        assert declare.client_secret(session, world.house.keys, "city-energy") == "rotated"
        view = views.directory(session)["city-energy"]
        row = session.get(Organisation, "city-energy")
        assert row and b"rotated" not in (row.client_secret_sealed or b"") and "rotated" not in str(row.declaration)
    assert (view.base_url, view.kind, view.name["fr"]) == ("http://localhost:9401", "oauth", "Énergie de la Ville")


def test_what_an_organisation_is_cannot_be_changed_under_its_id(world: World) -> None:
    add(world, load(world))
    other = load(world, "harbour-bank")
    impostor = declare.OrganisationDeclaration(other.file, {**other.document, "id": "city-energy"}, "0" * 64)
    with pytest.raises(DeclarationError, match="sector: was 'energy'; give it another id"):
        add(world, impostor)


def test_suspending_keeps_everything_and_says_why(world: World) -> None:
    add(world, load(world))
    with world.house.store.write() as session:
        declare.suspend(session, "city-energy", "Under repair", world.now)
    with world.house.store.read() as session:
        view = views.directory(session)["city-energy"]
    assert (view.active, view.status_reason) == (False, "Under repair")
    with world.house.store.write() as session:
        declare.resume(session, "city-energy", world.now)
    with world.house.store.read() as session:
        assert views.directory(session)["city-energy"].active
    assert generation(world) == 3
