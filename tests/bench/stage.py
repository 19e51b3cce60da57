"""What every measurement stands on: the data server with its documents, and Aval prepared to read them."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench import aval, documents, nginx
from tests.bench.aval import Prepared
from tests.bench.documents import Document
from tests.bench.load import Load, Sent
from tests.bench.processes import OTHER_CORE, SERVER_CORE, Group
from tests.ports import free_port

PROOFS_AT_FIRST = 4000
JWKS_PATH = "/jwks.json"
Say = Callable[[str], None]


class NotRight(Exception):
    """A server under test does not answer what it has to. Says which."""


@dataclass
class Stage:
    group: Group
    port: int  # of the data server
    documents: dict[str, Document]

    @property
    def data_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def gateway(self, name: str, *, fsync: bool = True, database_url: str = "", neighbours: int = 0) -> Prepared:
        return aval.prepare(
            self.group.folder / name,
            free_port(),
            self.data_url,
            fsync=fsync,
            database_url=database_url,
            neighbours=neighbours,
        )

    def publish(self, gateway: Prepared) -> None:
        """The gateway's public keys, where the data server serves them."""
        (self.group.folder / "documents" / "jwks").write_text(json.dumps(gateway.house.keys.jwks()))


def stage(group: Group) -> Stage:
    port = free_port()
    found = documents.documents(f"http://127.0.0.1:{port}", date.today())
    found["jwks"] = Document(JWKS_PATH, "application/json", b"{}")
    made = Stage(group, port, found)
    documents.write(group.folder / "documents", found)
    _serve(made, "data", OTHER_CORE, port)
    return made


def second_data_server(stage: Stage, port: int) -> int:
    """The organisation's server itself as the server under test; its process id."""
    return _serve(stage, "direct", SERVER_CORE, port)


def _serve(stage: Stage, name: str, on: int, port: int) -> int:
    return nginx.data_server(stage.group, name, on, port, stage.documents, stage.group.folder / "documents")


# ---- what is asked of Aval


READS = {  # kind of load → sharing, organisation, document
    "bank": ("budget", "harbour-bank", "bank"),
    "claims": ("budget", "meadow-health", "claims"),
    "everything": ("everything", "meadow-health", "claims"),
    "usage": ("advice", "city-energy", "usage"),
}


def url(stage: Stage, gateway: Prepared, kind: str) -> str:
    sharing, organisation, document = READS[kind]
    return gateway.url(sharing, organisation, stage.documents[document].path)


def bearer(stage: Stage, gateway: Prepared, kind: str) -> Load:
    """With a token that lives five minutes from now."""
    return Load(url(stage, gateway, kind), {"Authorization": f"Bearer {gateway.bearer(READS[kind][0])}"})


def street(stage: Stage, gateway: Prepared, name: str) -> Load:
    """Calls that go round the neighbours, each for her own data with her own token, which lives as long."""
    _, organisation, document = READS["bank"]
    calls = gateway.of_neighbours(organisation, stage.documents[document].path)
    return Load(gateway.settings.public_url, calls=written(stage.group.folder / f"calls-{name}", calls))


def written(path: Path, calls: Iterable[tuple[str, str]]) -> Path:
    """Addresses and tokens as wrk reads them."""
    path.write_text("".join(f"{urlsplit(address).path} {token}\n" for address, token in calls))
    return path


class Proven:
    """The load of a client that holds a key: one token, and a file of new proofs for each slice."""

    def __init__(self, stage: Stage, gateway: Prepared) -> None:
        self._gateway = gateway
        self._url = url(stage, gateway, "bank")
        self._token = gateway.bound("budget")
        self._file = stage.group.folder / "proofs"
        self._most = PROOFS_AT_FIRST

    def load(self, last: Sent | None = None) -> Load:
        """Twice as many proofs as any slice has used: one that has none left is refused."""
        self._most = max(self._most, last.requests if last else 0)
        proofs = self._gateway.proofs(self._token, self._url, 2 * self._most)
        self._file.write_text("\n".join(proofs) + "\n")
        return Load(self._url, {"Authorization": f"DPoP {self._token}"}, self._file)


def fetched(load: Load) -> bytes:
    """One answer to the load's request. Raises NotRight when it is not 200."""
    headers, url = dict(load.headers), load.url
    if load.proofs:
        headers["DPoP"] = load.proofs.read_text().splitlines()[-1]
    if load.calls:
        path, token = load.calls.read_text().splitlines()[-1].split()
        headers, url = {"Authorization": f"Bearer {token}"}, url + path
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise NotRight(f"{load.url}: {error.code} {error.read()[:500]!r}") from None


def check_cut(stage: Stage, gateway: Prepared) -> None:
    """That what is measured is the cut: what was not agreed to is gone, what was is there. Raises NotRight."""
    rows = json.loads(fetched(bearer(stage, gateway, "bank")))["Data"]["Transaction"]
    if len(rows) != 2 or "Amount" not in rows[0] or "TransactionInformation" in rows[0]:
        raise NotRight("Aval, 2 kB: not the two transactions without their narrative")
    sizes = {kind: len(fetched(bearer(stage, gateway, kind))) for kind in ("claims", "everything", "usage")}
    whole = {kind: len(stage.documents[READS[kind][2]].body) for kind in sizes}
    if not sizes["claims"] < 0.7 * sizes["everything"] < whole["everything"]:
        raise NotRight(f"Aval, 100 kB: {sizes} of {whole}")
    if not 0.2 * whole["usage"] < sizes["usage"] < whole["usage"]:
        raise NotRight(f"Aval, 1 MB: {sizes} of {whole}")
