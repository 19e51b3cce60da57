"""Aval under test: a data folder prepared by the rooms' own verbs, `aval serve` on it, and tokens as it makes them.

Two people. Alice gave Clear Budget her bank transactions and some of her claims, and Watt Coach her electricity; Bob
is linked to the same membership and gave Clear Budget all there is in it. What was agreed is what people agree to,
except that it may be read a thousand million times a day.

And where they are asked for, neighbours: people who each gave Clear Budget the transactions of the same account.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlmodel import Session

from gateway.app import build_house
from gateway.apps import declare as app_declarations
from gateway.apps import verbs as apps
from gateway.apps import views as app_views
from gateway.apps.registration import Registration, registration
from gateway.apps.tables import App
from gateway.authorization import tokens
from gateway.authorization.binding import UNBOUND
from gateway.authorization.families import GrantedFamily
from gateway.authorization.tables import TokenFamily
from gateway.catalogue import Catalogue
from gateway.consent import asking, deciding
from gateway.consent.actors import herself
from gateway.consent.agreement import Agreement, Choices, Decider, Notice
from gateway.consent.request import Ask, AskItem, Period
from gateway.consent.tables import Consent, Terms
from gateway.consent.terms import canonical, sha256
from gateway.formats.model import FoundAccount
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.store.migrate import upgrade
from gateway.house import House
from gateway.organisations import declare as organisation_declarations
from gateway.organisations import links, views
from gateway.organisations.links import Credentials
from gateway.people import seeding
from gateway.settings import Settings
from tests.bench import documents
from tests.bench.processes import Group, python

ROOT = Path(__file__).parents[2]
SECRET = "BENCH_CLIENT_SECRET"
OFTEN = 10**9  # uses of a window, so that none binds
NEIGHBOURS_AT_ONCE = 100  # made in one transaction

_CONNECTION = """[connection]
kind = "oauth"
base_url = "{base_url}"
networks = ["127.0.0.0/8", "::1/128"]
timeout_seconds = 10
max_calls = 64

[connection.oauth]
authorize = "/oauth/authorize"
token = "/oauth/token"
revoke = "/oauth/revoke"
client_id = "aval"
client_secret = {{ env = "BENCH_CLIENT_SECRET" }}
scope = "all"

"""

# organisation → the accounts people have there
ACCOUNTS = {
    "city-energy": (documents.POINT.id, "usage_point"),
    "harbour-bank": (documents.ACCOUNT.id, "current"),
    "meadow-health": (documents.PATIENT, "patient"),
}


@dataclass(frozen=True, slots=True)
class Sharing:
    """One consent: who gave which app what."""

    person: str
    app: str
    purpose: str
    data: Mapping[str, Mapping[str, tuple[str, ...]]]  # organisation → dataset → fields; none named: all


CHOSEN = ("transaction.date", "transaction.amount", "transaction.type", "transaction.merchant")
SHARINGS = {
    "budget": Sharing(
        "alice",
        "clear-budget",
        "household-budget",
        {
            "harbour-bank": {"bank.transactions": CHOSEN},
            "meadow-health": {"health.claims": ("claims.dates", "claims.amounts")},
        },
    ),
    "everything": Sharing("bob", "clear-budget", "household-budget", {"meadow-health": {"health.claims": ()}}),
    "advice": Sharing(
        "alice",
        "watt-coach",
        "energy-advice",
        {"city-energy": {"energy.electricity.usage": ("interval.start", "interval.value")}},
    ),
}

NEIGHBOURS = ("clear-budget", "household-budget", {"harbour-bank": {"bank.transactions": CHOSEN}})


@dataclass
class Prepared:
    """A gateway that may be started. `granted`: by the name of its sharing."""

    house: House
    granted: dict[str, GrantedFamily]
    clients: Mapping[str, Registration]
    neighbours: Sequence[GrantedFamily] = ()
    holder: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def settings(self) -> Settings:
        return self.house.settings

    @property
    def folder(self) -> Path:
        return self.settings.data_dir

    def url(self, sharing: str, organisation: str, path: str) -> str:
        """The address at which the sharing's app reads `path` of the organisation: its own names, not theirs."""
        return self._url(self.granted[sharing], organisation, path)

    def _url(self, granted: GrantedFamily, organisation: str, path: str) -> str:
        native, _ = ACCOUNTS[organisation]
        consent = granted.consent
        ref = _ref(self.house.keys, consent.app_id, consent.person_id, organisation, native)
        path = path.replace(native, ref).replace(documents.SUBSCRIPTION, "mine")
        return f"{self.settings.public_url}/data/{organisation}{path}"

    # ---- tokens

    def bearer(self, sharing: str) -> str:
        """A fresh access token, by the verb that makes them all."""
        return self._bearer(self.granted[sharing])

    def _bearer(self, granted: GrantedFamily) -> str:
        house = self.house
        client, audience = (
            self.clients[granted.family.client_id],
            tokens.audience(granted, "", house.settings.public_url),
        )
        made = house.keys, house.settings, granted, client, audience, UNBOUND, fresh(), house.clock()
        return str(tokens.response(*made)["access_token"])

    def of_neighbours(self, organisation: str, path: str) -> Iterator[tuple[str, str]]:
        """Address and fresh token of each."""
        for granted in self.neighbours:
            yield self._url(granted, organisation, path), self._bearer(granted)

    def bound(self, sharing: str) -> str:
        """The same, bound to the holder's key (RFC 9449 §6.1)."""
        claims = json.loads(_unb64(self.bearer(sharing).split(".")[1]))
        jkt = _b64(hashlib.sha256(_json(self._jwk())).digest())
        return self.house.keys.sign({**claims, "cnf": {"jkt": jkt}}, typ="at+jwt")

    def proofs(self, token: str, url: str, count: int) -> list[str]:
        """DPoP proofs for reading `url`, each good for one call (RFC 9449 §4.2)."""
        head = _b64(_json({"typ": "dpop+jwt", "alg": "ES256", "jwk": self._jwk()}))
        ath = _b64(hashlib.sha256(token.encode()).digest())
        now = int(datetime.now(UTC).timestamp())
        made = []
        for _ in range(count):
            claims = {"jti": fresh(16), "htm": "GET", "htu": url, "iat": now, "ath": ath}
            message = f"{head}.{_b64(_json(claims))}"
            made.append(f"{message}.{_b64(_signature(self.holder, message.encode()))}")
        return made

    def _jwk(self) -> dict[str, str]:
        numbers = self.holder.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return {"crv": "P-256", "kty": "EC", "x": _b64(x), "y": _b64(y)}

    # ---- running

    def serve(self, group: Group, name: str, on: int, *, profile: Path | None = None, port: int | None = None) -> int:
        """`aval serve`; its process id. `profile`: a folder for the profiles of its threads. `port`: of one process
        more for the same address."""
        command = python("tests.bench.profiled" if profile else "gateway", "serve")
        port = port or self.settings.port
        environment = self.environment() | {"AVAL_PORT": str(port)}
        environment |= {"BENCH_PROFILE": str(profile)} if profile else {}
        return group.start(name, command, on=on, port=port, environment=environment).pid

    def launch(self, group: Group, name: str, on: int) -> subprocess.Popen[bytes]:
        """The same without waiting for it."""
        return group.launch(name, python("gateway", "serve"), on=on, environment=self.environment())

    def environment(self) -> dict[str, str]:
        settings = self.settings
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AVAL_")},
            "AVAL_PUBLIC_URL": settings.public_url,
            "AVAL_PORT": str(settings.port),
            **{f"AVAL_{who}_CALLS_PER_MINUTE": str(OFTEN) for who in ("APP", "PERSON", "ORGANISATION")},
            "AVAL_DATA_DIR": str(settings.data_dir),
            "AVAL_DATABASE_URL": settings.database_url,
            "AVAL_MARK_FILE": str(settings.mark),
            "AVAL_LOG_FSYNC": str(settings.log_fsync).lower(),
        }


def prepare(
    folder: Path, port: int, data_url: str, *, fsync: bool = True, database_url: str = "", neighbours: int = 0
) -> Prepared:
    """A data folder, made or taken up again. `data_url`: where all three organisations are. `database_url`: of an
    empty database of PostgreSQL, or of the one that belongs to the folder."""
    settings = Settings(
        public_url=f"http://localhost:{port}",
        port=port,
        data_dir=folder,
        database_url=database_url,
        mark_file=folder / "mark",  # goes when the folder goes
        log_fsync=fsync,
    )
    kept = folder / "people.json"
    if folder.exists() and not kept.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    house = build_house(settings, create_keys=True)
    upgrade(settings)
    now = datetime.now(UTC)
    with house.store.write() as session:
        _add_organisations(session, house, data_url, now)
    if not kept.exists():
        kept.write_text(json.dumps({"granted": _seed(house, now), "neighbours": _neighbours(house, neighbours, now)}))
    found = json.loads(kept.read_text())
    with house.store.read() as session:
        granted = {name: _granted(session, *ids) for name, ids in found["granted"].items()}
        others = [_granted(session, *ids) for ids in found["neighbours"]]
        clients = {app: registration(session.get_one(App, app)) for app in {each.app for each in SHARINGS.values()}}
    house.store.close()
    return Prepared(house, granted, clients, others)


def copied(prepared: Prepared, folder: Path, port: int, database_url: str) -> Prepared:
    """The same gateway on a copy of its database of PostgreSQL."""
    shutil.copytree(prepared.folder, folder)
    return taken_up(prepared, folder, port, database_url)


def taken_up(prepared: Prepared, folder: Path, port: int, database_url: str) -> Prepared:
    """The same on a copy made before."""
    changed = {"public_url": f"http://localhost:{port}", "port": port, "data_dir": folder}
    changed |= {"database_url": database_url, "mark_file": folder / "mark"}
    house = build_house(prepared.settings.model_copy(update=changed))
    house.store.close()
    return Prepared(house, prepared.granted, prepared.clients, prepared.neighbours)


def _add_organisations(session: Session, house: House, data_url: str, now: datetime) -> None:
    """The example organisations, all of them reached by a token that lasts."""
    for name in ACCOUNTS:
        text = (ROOT / "examples" / "organisations" / f"{name}.toml").read_text()
        head, _, rest = text.partition("[connection]")
        draft = house.settings.data_dir / f"{name}.toml"
        draft.write_text(head + _CONNECTION.format(base_url=data_url) + rest[rest.index("[[datasets]]") :])
        declaration = organisation_declarations.read(draft, house.catalogue, environ={SECRET: "of the bench"})
        organisation_declarations.add(session, house, declaration, now)


def _seed(house: House, now: datetime) -> dict[str, tuple[str, str]]:
    """Apps, people, links and sharings; (consent, family) by the sharing's name."""
    people: dict[str, str] = {}
    with house.store.write() as session:
        for app in {sharing.app for sharing in SHARINGS.values()}:
            declaration = app_declarations.read(ROOT / "examples" / "apps" / f"{app}.toml")
            apps.register(session, house.catalogue, house.settings, declaration, now)
        for name in ("alice", "bob"):
            new = seeding.prepare(name=name.title(), email=f"{name}@example.org", password=None, today=now.date())
            people[name] = seeding.add_person(session, house.log, house.settings, new, now).id
    with house.store.write() as session:
        for person in people.values():
            for organisation, account in ACCOUNTS.items():
                _link(session, house.keys, person, organisation, account, now)
    with house.store.write() as session:
        return {name: _agree(session, house, people[each.person], each, now) for name, each in SHARINGS.items()}


def _neighbours(house: House, count: int, now: datetime) -> list[tuple[str, str]]:
    """Their (consent, family)."""
    made = []
    for first in range(0, count, NEIGHBOURS_AT_ONCE):
        with house.store.write() as session:
            for number in range(first, min(first + NEIGHBOURS_AT_ONCE, count)):
                email = f"neighbour{number}@example.org"
                new = seeding.prepare(name=f"Neighbour {number}", email=email, password=None, today=now.date())
                person = seeding.add_person(session, house.log, house.settings, new, now).id
                session.flush()
                _link(session, house.keys, person, "harbour-bank", ACCOUNTS["harbour-bank"], now)
                made.append(_agree(session, house, person, Sharing(person, *NEIGHBOURS), now))
    return made


def _link(
    session: Session, keys: KeyRing, person: str, organisation: str, account: tuple[str, str], now: datetime
) -> None:
    ends = int((now + timedelta(days=3650)).timestamp())
    held = Credentials("organisation-token", None, ends, resource=documents.SUBSCRIPTION)
    link, _ = links.make(session, keys, person, organisation, now, new_id=fresh(), held=held)
    native, kind = account
    session.flush()
    links.store_accounts(session, keys, link.id, [FoundAccount(native, "Account", kind)])


def _agree(session: Session, house: House, person: str, sharing: Sharing, now: datetime) -> tuple[str, str]:
    """Asked, agreed, and a token family begun."""
    app = app_views.find(session, sharing.app)
    assert app is not None
    directory = views.directory(session)
    items = [
        _item(house.catalogue, organisation, dataset, fields)
        for organisation, data in sharing.data.items()
        for dataset, fields in data.items()
    ]
    purpose = house.catalogue.purposes[sharing.purpose]
    ask = Ask(app.client_id, app.metadata_sha256, purpose.code, purpose.version, tuple(items), "P12M", False, "P1M")
    consent = asking.open_ask(session, house, person, app, ask, now, fresh())
    accounts = {name: (_ref(house.keys, sharing.app, person, name, ACCOUNTS[name][0]),) for name in sharing.data}
    choices = Choices(frozenset((item.organisation, item.dataset) for item in items), accounts, "d365")
    decider = Decider(herself(person), False, now, ("pwd", "otp"), True)
    notice = Notice("en", "bench", "0" * 64, {}, "0" * 64, now)
    refusal = deciding.agree(session, house, Agreement(consent, app, directory, choices, decider, notice), now)
    if refusal is not None:
        raise RuntimeError(f"the bench's consent is refused: {refusal}")
    session.flush()
    _often(session, consent)
    family = TokenFamily(
        id=fresh(), consent_id=consent.id, client_id=app.client_id, person_id=person, auth_time=0, started_at=now
    )
    session.add(family)
    return consent.id, family.id


def _item(catalogue: Catalogue, organisation: str, dataset: str, fields: tuple[str, ...]) -> AskItem:
    known = catalogue.datasets[dataset].fields
    named = tuple(name for name in known if not fields or name in fields or known[name].structural)
    return AskItem(
        organisation=organisation,
        dataset=dataset,
        fields=named,
        period=Period(history="P13M", future=True),
        frequency=None,
        records_max=None,
        necessity="required",
        reason={"fr": "Pour mesurer.", "en": "To measure."},
        sensitivity=catalogue.sensitivity(catalogue.datasets[dataset], named),
    )


def _often(session: Session, consent: Consent) -> None:
    """The same limits, counted in the same windows, only higher."""
    row = session.get_one(Terms, (consent.id, consent.version))
    agreed = json.loads(row.json_)
    for item in agreed["items"]:
        item["frequency"] = [{**limit, "times": OFTEN} for limit in item["frequency"]]
    row.json_ = canonical(agreed)
    row.sha256 = sha256(row.json_)
    session.add(row)


def _granted(session: Session, consent_id: str, family_id: str) -> GrantedFamily:
    consent, family = session.get_one(Consent, consent_id), session.get_one(TokenFamily, family_id)
    agreed = deciding.current(session, consent)
    assert agreed is not None
    session.expunge_all()
    return GrantedFamily(family, consent, agreed)


def _ref(keys: KeyRing, app: str, person: str, organisation: str, native: str) -> str:
    return keys.mac("account", app, person, organisation, native)[:22]


# ---- compact JWS


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
