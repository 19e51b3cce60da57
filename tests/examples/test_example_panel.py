"""The eighteen organisations of the panel: each is one file, and every field of it can be withheld without a trace."""

import csv
import gzip
import http.client
import io
import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from examples.data import panel
from examples.data.panel import ACCOUNTS, AROUND, EMPTY, HERS, SECOND, STRANGER, Leaf, Sample
from gateway.catalogue import Dataset, Format, shapes
from gateway.catalogue.formats import FormatCall, along
from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.everything import ALONE
from gateway.formats.model import Account, Asked, Cut, FoundAccount, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import fresh
from gateway.organisations import declare, files, given_files, links, owned, views
from gateway.organisations.tables import Organisation
from gateway.settings import LANGUAGES, shipped_policies
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation
from tests.proxy.raw import answer as said
from tests.worlds.policies import read

FOLDER = Path(__file__).parents[2] / "examples/organisations/panel"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
CATALOGUE, _ = read(shipped_policies())
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WINDOW = Window(TODAY - timedelta(days=300), TODAY)
REFS = {native: f"ref-{number}-of-this-app-alone" for number, native in enumerate(ACCOUNTS, 1)}
SHARED_TYPES = {  # given as policies/ has them, and tested there
    "banque-des-facteurs": {"bank.accounts", "bank.transactions"},
    "assurance-maladie": {"health.claims"},
}


@cache
def document(organisation: str) -> dict[str, Any]:
    return tomllib.loads(FILES[organisation].read_text(encoding="utf-8"))


@cache
def form_of(organisation: str) -> tuple[Format, dict[str, Dataset]]:
    form, own = owned.read(document(organisation))
    assert form is not None
    return form, own


def public(host: str) -> list[str]:
    return ["203.0.113.7"]


OWN = [(name, dataset) for name in FILES for dataset in form_of(name)[1]]
CALLS = [(name, call) for name in FILES for call in form_of(name)[0].calls]


# ---- the files


def secrets_of(organisation: str) -> dict[str, str]:
    oauth = document(organisation)["connection"].get("oauth")
    return {oauth["client_secret"]["env"]: "a secret"} if oauth else {}


@pytest.mark.parametrize("organisation", FILES)
def test_the_file_is_right(organisation: str) -> None:
    found = declare.read(FILES[organisation], CATALOGUE, environ=secrets_of(organisation), look_up=public)
    assert found.id == organisation
    assert "TO FILL" not in FILES[organisation].read_text(encoding="utf-8")


def texts(value: Any) -> Iterator[Mapping[str, str]]:
    """Every text in several languages."""
    if isinstance(value, dict):
        if set(LANGUAGES) <= value.keys():
            yield value
        else:
            for each in value.values():
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@pytest.mark.parametrize("organisation", FILES)
def test_every_text_is_short_and_in_both_languages(organisation: str) -> None:
    for words in texts(document(organisation)):
        assert words["fr"] != words["en"] or words["fr"].istitle(), words
        for text in (words["fr"], words["en"]):
            assert "'" not in text.replace("supplier's", ""), text
            for sentence in re.split(r"[.!?]+(?:\s|$)", text):
                assert sum(any(map(str.isalnum, word)) for word in sentence.split()) <= 20, text


@pytest.mark.parametrize(("organisation", "dataset"), OWN)
def test_free_text_is_a_choice_of_its_own(organisation: str, dataset: str) -> None:
    form, own = form_of(organisation)
    for field in own[dataset].fields.values():
        words = {shapes.inner(shapes.members(form.shapes, kind)[name]) for kind, name in field.find}
        assert not (field.structural and "x" in words), field.id
        assert field.structural or not field.find & set(form.needed(dataset)), f"{field.id} is always needed"


# ---- as the panel has it


@pytest.fixture(scope="session")
def described(shared: Path) -> dict[str, Any]:
    path = shared / "reference/panel.json"
    if not path.is_file():
        pytest.skip("the description of the panel is not beside this checkout")
    return {each["id"]: each for each in json.loads(path.read_text(encoding="utf-8"))["organisations"]}


MORE = {  # what the description leaves out, and a file needs all the same
    "energy.point": {"usage_point_id"},  # names the account
    "energy.contract": {"statement.prochaineReleve"},  # both spellings occur
    "energy.client": {"address.postCode"},  # both spellings occur
    "energy.gas.right": {"date_debut_droit_acces", "date_fin_droit_acces"},  # its time axis
    "retail.client": {"timestamp"},  # its time axis
    "insurance.savings": {"axaDATMCET"},  # its time axis
    "bank.balances": {"resourceId"},  # names the account
    "insurance.contract": {f"axaLIGAR{number:03}" for number in range(2, 16)},  # fifteen columns, one named
    "retail.arts": {"LineItem.SequenceNumber", "TrailerText.Text"},  # the schema requires it; what the text is in
    "education.credential": {  # whole: every member that the standard has
        "id", "type", "issuer", "validFrom", "validUntil", "awardedDate", "name", "description", "image",
        "credentialSchema", "credentialStatus", "refreshService", "termsOfUse", "evidence", "endorsement",
        "endorsementJwt", "proof",
    },
}  # fmt: skip
UNNAMED = {  # panel → what it stands for
    ("education.credential", "whole"): "credentialSubject"
}


def paths(form: Format, kind: str, chain: tuple[Any, ...], prefix: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """(dotted path, members on the way) of every member below a type."""
    for name, word in shapes.members(form.shapes, kind).items():
        step = (*chain, (kind, name))
        path = prefix + name.rpartition(":")[2]
        if word not in shapes.NEVER:
            yield path, step
        if shapes.inner(word) in form.shapes:
            yield from paths(form, shapes.inner(word), step, f"{path}.")


def given_paths(organisation: str, dataset: str) -> dict[str, tuple[Any, ...]]:
    form, _ = form_of(organisation)
    found: dict[str, tuple[Any, ...]] = {}
    for call in form.calls.values():
        if call.dataset == dataset:
            place = form.place(call)
            found |= paths(form, call.records, (), "".join(f"{name}." for name in place))
            for kind, _ in along(form.shapes, call.envelope, place) or ():
                for each in form.around:
                    if each[0] == kind:
                        word = shapes.inner(shapes.members(form.shapes, kind)[each[1]])
                        found[each[1]] = (each,)
                        if word in form.shapes:
                            found |= paths(form, word, (each,), f"{each[1]}.")
    return found


def test_the_organisations_and_types_of_data_are_those_of_the_panel(described: dict[str, Any]) -> None:
    assert FILES.keys() == described.keys()
    for name, each in described.items():
        assert document(name)["sector"] == each["sector"].split()[0]
        assert {row["id"] for row in document(name)["datasets"]} == {row["id"] for row in each["datasets"]}


LEAST = {"n": 0, "p": 1, "s": 1, "k": 1, "o": 1, "v": 1, "h": 2}
RANK = {"none": 0, "sensitive": 1, "special": 2}


@pytest.mark.parametrize(("organisation", "dataset"), OWN)
def test_every_member_of_the_panel_is_in_a_field_of_its_kind(
    organisation: str, dataset: str, described: dict[str, Any]
) -> None:
    form, own = form_of(organisation)
    [row] = [row for row in described[organisation]["datasets"] if row["id"] == dataset]
    found = given_paths(organisation, dataset)
    assert row["format"].split()[0] == form.driver
    accounts = {member for member, rule in form.around.items() if rule == "account"}
    accounts |= {(kind, records.account[-1]) for kind, records in form.records.items() if records.account}
    letters: dict[str, set[str]] = {}
    named: set[str] = set()
    for member in row["fields"]:
        name = UNNAMED.get((dataset, member["name"]), member["name"])
        ends = {name} & found.keys() or {path for path in found if is_path(path, [name])}
        if not ends:
            known = {each for line in form.shapes.values() for each in shapes.members({"": line}, "")}
            assert (dataset, name) == ("energy.payment", "encryptedBankDetails") and name in known
            continue
        named |= ends
        for path in ends:
            for field in own[dataset].fields.values():
                if found[path][-1] in field.find - accounts:
                    letters.setdefault(field.id, set()).add(member["sens"])
    for field, kinds in letters.items():
        apart = kinds & set("hokv")
        assert not apart or len(kinds) == 1, f"{field} mixes {kinds}"
        sensitivity = own[dataset].fields[field].sensitivity
        assert RANK[sensitivity] >= max(LEAST[each] for each in kinds), f"{field} is {sensitivity} with {kinds}"
    more = MORE.get(dataset, set())
    unknown = {path for path in chosen(organisation, found) if not is_path(path, named)}
    assert not {path for path in unknown if not is_path(path, more)}


def is_path(path: str, known: Iterable[str]) -> bool:
    """Whether it is one of those, or the end of it is."""
    return any(path == each or path.endswith(f".{each}") for each in known)


def chosen(organisation: str, found: Mapping[str, tuple[Any, ...]]) -> Iterator[str]:
    """The paths that end at a member about which fields decide. What a type holds that no field names goes whole."""
    form, own = form_of(organisation)
    for path, chain in found.items():
        kind, name = chain[-1]
        holds = shapes.inner(shapes.members(form.shapes, kind)[name]) in form.shapes
        if kind in governed_types(form, own) and not holds and name[0] not in "@.":
            yield path


def governed_types(form: Format, own: Mapping[str, Dataset]) -> set[str]:
    fields = [field for dataset in own.values() for field in dataset.fields.values()]
    return {kind for field in fields for kind, _ in field.find | field.shared} | set(form.records)


# ---- what leaves


def view(organisation: str) -> views.OrganisationView:
    now = TODAY
    return views.view_of(
        Organisation(id=organisation, declaration=document(organisation), declaration_sha256=f"panel {organisation}",
                     added_at=now, changed_at=now, status="active", status_reason="")
    )  # fmt: skip


def source(organisation: str) -> Source:
    seen = view(organisation)
    return Source(
        organisation=organisation,
        sector=seen.sector,
        base_path="",
        zone=seen.zone,
        gateway_url=f"https://aval.example/data/{organisation}",
        upstream_url=seen.base_url,
        paths=seen.datasets,
        forms=views.forms(seen, CATALOGUE),
        known=views.known(seen, CATALOGUE),
    )


@cache
def sample(organisation: str, call: str) -> Sample:
    form, _ = form_of(organisation)
    return panel.answer(organisation, form, form.calls[call], TODAY.date())


def drives(organisation: str) -> Format:
    """Its format. Skips where the engine does not read such answers yet."""
    form, _ = form_of(organisation)
    if form.driver not in registry.BY_TABLES:
        pytest.skip(f"there is no driver {form.driver} yet")
    return form


def natives(form: Format) -> tuple[str, ...]:
    return ACCOUNTS if any(call.names_account for call in form.calls.values()) else (ALONE,)


def ref(native: str) -> str:
    return REFS.get(native, "ref-of-all-her-data-here")


def planned(organisation: str, call: FormatCall, fields: frozenset[str]) -> Plan:
    form, _ = form_of(organisation)
    accounts = tuple(Account(native, ref(native)) for native in natives(form))
    return registry.plan(source(organisation), "", [Granted(call.dataset, fields, accounts, pair="an app")])


def asked(organisation: str, call: FormatCall, fields: frozenset[str], window: Window = WINDOW) -> Upstream:
    form, _ = form_of(organisation)
    path = form.base + call.path.replace("{account}", ref(natives(form)[0]))
    sent = planned(organisation, call, fields).request(Asked("GET", path), window)
    assert isinstance(sent, Upstream), sent
    return sent


def read_with(organisation: str, call: FormatCall, fields: frozenset[str], body: bytes, window: Window = WINDOW) -> Cut:
    sent = asked(organisation, call, fields, window)
    kind = form_of(organisation)[0].media_types[0]
    return planned(organisation, call, fields).cut(sent, kind, body, window)


def visible(form: Format, own: Mapping[str, Dataset], call: FormatCall, fields: frozenset[str], leaf: Leaf) -> bool:
    """Whether a value leaves, by what the file says: every governed member on the way to it is in a granted field."""
    dataset = own[call.dataset]
    if any(field.drops_record for name, field in dataset.fields.items() if name not in fields):
        return False
    if leaf.record == AROUND:
        if not any(form.around.get(member) == "same" for member in leaf.chain):
            return False
    elif leaf.record not in (HERS, SECOND, EMPTY):
        return False
    governed = governed_types(form, own)
    given = {member for name in fields for member in dataset.fields[name].find | dataset.fields[name].shared}
    given -= {member for name in dataset.fields.keys() - fields for member in dataset.fields[name].shared}
    words = [shapes.members(form.shapes, kind)[name] for kind, name in leaf.chain]
    if any(word in shapes.NEVER for word in words) or leaf.word == "p":
        return False
    way = [each for each in leaf.chain if leaf.record != AROUND or each not in _to_records(form, call)]
    return all(member in given for member in way if member[0] in governed)


def _to_records(form: Format, call: FormatCall) -> list[Any]:
    return along(form.shapes, call.envelope, form.place(call)) or []


def written(form: Format, leaf: Leaf) -> str:
    if form.driver == "json":
        return leaf.text
    text = leaf.text.strip('"')
    return text.replace(".", form.decimal) if leaf.word in ("n", "v") else text


def check(organisation: str, call: FormatCall, fields: frozenset[str], cut: Cut) -> None:
    form, own = form_of(organisation)
    body = cut.body.decode()
    for leaf in sample(organisation, call.name).leaves:
        if leaf.text and visible(form, own, call, fields, leaf):
            assert written(form, leaf) in body, f"{leaf} was granted"
        elif leaf.text:
            secret = leaf.secret if form.driver == "json" else leaf.secret.split(".")[0]
            assert secret not in body, f"{leaf} leaves without {sorted(own[call.dataset].fields.keys() - fields)}"
    assert STRANGER not in body and not any(native in body for native in ACCOUNTS)


def combinations(dataset: Dataset) -> Iterator[frozenset[str]]:
    """All fields; without each; without each pair; only what is always given."""
    optional = [name for name, field in dataset.fields.items() if not field.structural]
    every = frozenset(dataset.fields)
    found = {every, every - set(optional)}
    for count in (1, 2):
        found |= {every - set(gone) for gone in itertools.combinations(optional, count)}
    yield from sorted(filter(None, found), key=sorted)


@pytest.mark.parametrize(("organisation", "name"), CALLS)
def test_every_field_removed_alone_and_in_pairs_leaves_no_trace(organisation: str, name: str) -> None:
    form = drives(organisation)
    call, made = form.calls[name], sample(organisation, name)
    for fields in combinations(form_of(organisation)[1][call.dataset]):
        cut = read_with(organisation, call, fields, made.body)
        check(organisation, call, fields, cut)


@pytest.mark.parametrize(("organisation", "name"), CALLS)
def test_records_outside_the_period_and_of_others_are_withheld_and_counted(organisation: str, name: str) -> None:
    form = drives(organisation)
    call, made = form.calls[name], sample(organisation, name)
    dataset = form_of(organisation)[1][call.dataset]
    counts = read_with(organisation, call, frozenset(dataset.fields), made.body).counts
    kept = [record for record in made.records if record in (HERS, SECOND, EMPTY)]
    rest = len(made.records) - len(kept) + (call.records in panel.FOOT)
    assert (counts.records, counts.records_withheld) == (len(kept), rest)


@pytest.mark.parametrize(("organisation", "name"), CALLS)
def test_what_the_file_does_not_know_is_withheld(organisation: str, name: str) -> None:
    form = drives(organisation)
    if form.driver != "json":
        pytest.skip("told of JSON here, and of each other driver in its own tests")
    call, made = form.calls[name], sample(organisation, name)
    fields = frozenset(form_of(organisation)[1][call.dataset].fields)
    body = re.sub(rb'\{"(?!texte"|cle")', b'{"nouveau":{"nom":"canari"},"', made.body)  # not in what goes whole
    assert body.count(b"canari") >= len(made.records)
    assert b"canari" not in read_with(organisation, call, fields, body).body


@pytest.mark.parametrize(("organisation", "name"), CALLS)
def test_identifiers_are_another_for_each_app(organisation: str, name: str) -> None:
    form = drives(organisation)
    call, made = form.calls[name], sample(organisation, name)
    fields = frozenset(form_of(organisation)[1][call.dataset].fields)
    body = read_with(organisation, call, fields, made.body).body.decode()
    for leaf in made.leaves:
        if leaf.word == "p" and leaf.record == HERS:
            assert leaf.chain[-1][1].removesuffix(".") in body and leaf.secret not in body


# ---- through the door


@pytest.fixture(scope="module")
def organisation_of_bytes() -> Iterator[RawOrganisation]:
    with RawOrganisation.running() as running:
        yield running


@pytest.fixture(scope="module")
def panel_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("panel")).serving() as world:
        yield world


@pytest.mark.parametrize("organisation", FILES)
def test_an_app_gets_through_the_door_what_was_agreed_and_nothing_else(
    organisation: str, panel_world: World, organisation_of_bytes: RawOrganisation, tmp_path: Path
) -> None:
    form, world = drives(organisation), panel_world
    own, person, app = form_of(organisation)[1], f"alice-{organisation}", f"app-{organisation}"
    text = FILES[organisation].read_text(encoding="utf-8")
    here = f'base_url = "{organisation_of_bytes.url}"\nnetworks = ["127.0.0.0/8", "::1/128"]'
    (tmp_path / "here.toml").write_text(re.sub('base_url = ".*"', here, text), encoding="utf-8")
    with world.house.store.write() as session:
        declared = declare.read(tmp_path / "here.toml", CATALOGUE, environ=secrets_of(organisation))
        declare.add(session, world.house, declared, world.clock())
    world.app(app)
    world.person(person)
    in_files = document(organisation)["connection"]["kind"] == "files"
    if in_files:
        refs = linked_as_customer(world, app, person, organisation, natives(form))
    else:
        world.link(person, organisation, natives(form))
        refs = [world.ref(app, person, organisation, native) for native in natives(form)]
    for call in form.calls.values():
        every = frozenset(own[call.dataset].fields)
        least = frozenset(own[call.dataset].structural()) or frozenset(sorted(every)[:1])
        for fields in (every, least):
            organisation_of_bytes.reset()
            made = sample(organisation, call.name)
            if in_files:
                bring(world, organisation, call, made.body, tmp_path)
            organisation_of_bytes.says(said(made.body, kind=made.media_type))
            period = {"history": "P10M", "from": None, "to": None, "future": False}
            item = world.item(organisation, call.dataset, sorted(fields), refs, period=period)
            token = world.token(world.consent(person, app, [item]), [organisation], app)
            status, body = get(
                world, token, f"/data/{organisation}{form.base}{call.path}".replace("{account}", refs[0])
            )
            assert status == 200, body
            cut = Cut(body, made.media_type, counts=None)  # type: ignore[arg-type]  # only its bytes are looked at
            check(organisation, call, fields, cut)
            if in_files:
                assert not organisation_of_bytes.seen and CUSTOMER not in body.decode()
                continue
            [seen] = organisation_of_bytes.seen
            assert "{" not in seen.target and refs[0] not in seen.target
            if "{account}" in (call.asks or call.path):
                assert ACCOUNTS[0] in seen.target


CUSTOMER = "HER-NUMBER-1001"


def linked_as_customer(world: World, app: str, person: str, organisation: str, natives: Iterable[str]) -> list[str]:
    """A link as this customer. Returns the accounts' references."""
    keys = world.house.keys
    whose = links.whose(keys, organisation, CUSTOMER)
    with world.house.store.write() as session:
        link, _ = links.make(session, keys, person, organisation, world.clock(), new_id=fresh(), whose=whose)
        found = [FoundAccount(native, "account", "account") for native in natives]
        link.accounts_sealed = links.seal_accounts(keys, link.id, found, whose)
        session.add(link)
    return [links.reference(keys, app, person, organisation, native, whose) for native in natives]


def bring(world: World, organisation: str, call: FormatCall, body: bytes, folder: Path) -> None:
    """The sample as a file of several customers: its records are hers, and each stands there as another's, too."""
    form, seen = form_of(organisation)[0], view(organisation)
    assert seen.files is not None
    head, *rows = csv.reader(io.StringIO(body.decode(form.encoding), newline=""), delimiter=form.separator)
    column = head.index(seen.files.customer)
    out = io.StringIO(newline="")
    table = csv.writer(out, delimiter=form.separator)
    table.writerow(head)
    for row in rows:
        for customer in (CUSTOMER, "ANOTHER-1002"):
            table.writerow([*row[:column], customer, *row[column + 1 :]])
    path = folder / f"{call.name}.csv"
    path.write_bytes(out.getvalue().encode(form.encoding))
    with world.house.store.read() as session:
        declared = views.view(session, organisation)
    assert declared is not None
    with given_files.opened(path) as file:
        done = files.bring(world.house, declared, call.name, given_files.GivenFile(file, "", 10**7), world.clock())
    assert (done.records, done.customers) == (2 * len(rows), 2)


def get(world: World, token: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Host": f"localhost:{world.port}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# ---- accounts, and the edges of times


@pytest.mark.parametrize("organisation", [name for name in FILES if form_of(name)[0].accounts is not None])
def test_her_accounts_are_listed(organisation: str) -> None:
    form = drives(organisation)
    assert form.accounts is not None
    body = sample(organisation, form.accounts.call).body
    found = registry.accounts(source(organisation), lambda sent: (form.media_types[0], body))
    assert {each.native for each in found} == {*ACCOUNTS, STRANGER}
    assert not any(native in each.label for each in found for native in ACCOUNTS)


def test_an_account_that_is_closed_cannot_be_chosen() -> None:
    line = {"msisdn": ACCOUNTS[0], "alias": "Ancienne", "status": "ended"}
    body = json.dumps([line, {**line, "msisdn": ACCOUNTS[1], "status": "active"}]).encode()
    found = registry.accounts(source("cap-mobile"), lambda sent: ("application/json", body))
    assert [(each.native, each.available) for each in found] == [(ACCOUNTS[0], False), (ACCOUNTS[1], True)]


def changed(organisation: str, name: str, values: Mapping[str, Any]) -> bytes:
    """An answer of one record, with other values at some paths."""
    form, _ = form_of(organisation)
    answer = json.loads(sample(organisation, name).body)
    place: Any = answer
    for step in form.place(form.calls[name]):
        place = place[step]
    del place[1:]
    for path, value in values.items():
        *way, last = path.split(".")
        record = place[0]
        for step in way:
            record = record[step]
        record[last] = value
    return json.dumps(answer).encode()


NOVEMBER = Window(datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))  # in Paris


@pytest.mark.parametrize(
    ("organisation", "name", "values", "given"),
    [
        ("reseau-clair", "load-curve", {"date": "2026-11-01 00:00:00"}, False),  # it began in October
        ("reseau-clair", "load-curve", {"date": "2026-11-01 00:30:00"}, True),
        ("reseau-clair", "load-curve", {"date": "2026-12-01 00:00:00"}, True),
        ("reseau-clair", "load-curve", {"date": "2026-11-01 00:30:00", "interval_length": "PT60M"}, False),
        ("reseau-clair", "daily", {"date": "2026-11-30"}, True),
        ("reseau-clair", "daily", {"date": "2026-12-01"}, False),
        ("reseau-clair", "max-power", {"date": "2026-10-31 23:59"}, False),
        ("lumen", "contracts", {"start": "2019-01-01", "end": None}, True),
        ("lumen", "contracts", {"start": "2019-01-01", "end": "2026-10-31"}, False),
        ("lumen", "contracts", {"start": "2019-01-01", "end": "2026-11-01"}, True),
        ("lumen", "statements", {"start": "2026-11-01", "end": "2026-11-30"}, True),  # the last day counts
        ("lumen", "statements", {"start": "2026-11-01", "end": "2026-12-01"}, False),
        ("gaz-du-fleuve", "daily", {"start": "2026-11-01T06:00:00", "end": "2026-11-02T06:00:00"}, True),
        ("gaz-du-fleuve", "daily", {"start": "2026-11-30T06:00:00", "end": "2026-12-01T06:00:00"}, False),
        ("gaz-du-fleuve", "monthly", {"start": "2026-11-01T06:00:00", "end": "2026-11-30T06:00"}, True),
        ("eau-metropole", "daily", {"annee": 2026, "mois": 10, "jour": 30}, True),  # November is 10
        ("eau-metropole", "daily", {"annee": 2026, "mois": 11, "jour": 1}, False),
        ("societe-centrale", "claims", {"closureDate": None}, False),
        ("societe-centrale", "products", {"openingDate": None, "closingDate": None}, True),
        ("credit-solidaire", "balances", {"referenceDate": None}, True),
        ("credit-solidaire", "balances", {"referenceDate": "2026-12-01"}, False),
        ("sante-solidaire", "refunds", {"originalDate": "2026-10-30T12:00:00Z", "date": "2026-11-03T12:00:00Z"}, False),
        ("assurance-maladie", "refunds", {"date": "01/11/2026"}, True),
        ("assurance-maladie", "refunds", {"date": "11/01/2026"}, False),
        ("cap-mobile", "calls", {"timestamp": "2026-11-01T00:10:00"}, True),  # local, beside others with Z
        ("cap-mobile", "calls", {"timestamp": "2026-11-30T23:10:00Z"}, False),
        ("cap-mobile", "places", {"latitude": None, "longitude": None}, True),
        ("moteur", "calendar", {"start": "1901-01-01", "end": "1901-01-01"}, False),
        ("moteur", "calendar", {"start": "2026-11-30T22:00:00Z", "end": "2026-12-01T00:00:00Z"}, False),
        ("caisse-famille", "quotients", {"annee": 2026, "mois": 11}, True),
        ("caisse-famille", "quotients", {"annee": 2026, "mois": 10}, False),
        ("agglo-ocean", "trips", {"properties.end_fmt_time": "2026-12-01T00:05:00"}, False),
    ],
)  # fmt: skip
def test_a_time_means_what_it_means_at_the_organisation(
    organisation: str, name: str, values: dict[str, Any], given: bool
) -> None:
    form, own = form_of(organisation)
    call = form.calls[name]
    inside = {"places": {"timestamp": "2026-11-15T12:00:00Z"}}.get(name, {})
    body = changed(organisation, name, inside | values)
    cut = read_with(organisation, call, frozenset(own[call.dataset].fields), body, NOVEMBER)
    assert cut.counts.records == given


def test_the_water_service_is_asked_by_a_body_that_the_gateway_makes() -> None:
    form, _ = form_of("eau-metropole")
    sent = asked("eau-metropole", form.calls["daily"], frozenset(["water.day"]), NOVEMBER)
    assert (sent.method, sent.query) == ("POST", ())
    assert json.loads(sent.body) == {"dateDebut": "2026-11-01", "dateFin": "2026-11-30"}


def test_one_call_at_the_insurer_answers_four_at_the_gateway() -> None:
    form, own = form_of("mutuelle-des-maitres")
    for call in form.calls.values():
        assert asked("mutuelle-des-maitres", call, frozenset(own[call.dataset].fields)).path == "/mes_infos"


def test_a_period_of_an_app_is_asked_for_as_the_organisation_writes_it() -> None:
    form, own = form_of("credit-solidaire")
    call = form.calls["transactions"]
    sent = asked("credit-solidaire", call, frozenset(own[call.dataset].fields), NOVEMBER)
    assert set(sent.query) == {("bookingStatus", "booked"), ("dateFrom", "2026-11-01"), ("dateTo", "2026-11-30")}


# ---- the public samples they are modelled on


PUBLIC = [  # organisation, call, sample, the account in it, records
    ("cap-mobile", "calls", "telecom/mesinfos/donnees_d_appel_telephonique.json", "33612345678", 8),
    ("cap-mobile", "viewing", "telecom/mesinfos/vod_iptv.json", "", 30),
    ("cap-mobile", "bills", "telecom/mesinfos/factures_telephone.json", "", 8),
    ("moteur", "activity", "web/google_takeout_myactivity.json", "", 1),
    ("moteur", "calendar", "web/mesinfos/mon_agenda.json", "", 16),
    ("gaz-du-fleuve", "daily", "energy/mesinfos/consommation_gazpar_journaliere.json", "", 10),
    ("lumen", "contracts", "energy/mesinfos/contrat_electricite.json", "6012345678", 1),
    ("societe-centrale", "operations", "bank/mesinfos/operations_bancaires.json", "2531", 10),
    ("banque-des-facteurs", "midata", "bank/midata_pca_spec_example.csv", "", 6),
    ("nord-mode", "receipts", "retail/arts_digital_receipt/swe-standard-dr-sale.xml", "", 1),
    ("nord-mode", "receipts", "retail/arts_digital_receipt/swe-standard-dr-return.xml", "", 1),
    ("nord-mode", "receipts", "retail/arts_digital_receipt/swe-standard-dr-sample-1.xml", "", 1),
]


def public_cut(organisation: str, name: str, body: bytes, native: str, fields: frozenset[str]) -> tuple[Cut, set[str]]:
    """What is left of it, and the places of members that the file does not know."""
    form, _ = form_of(organisation)
    call, mine, places = form.calls[name], Account(native or ALONE, "ref-of-the-public-sample"), set[str]()
    seen = Seen(lambda found, *_: places.update(found))
    of = replace(source(organisation), seen=lambda dataset: seen)
    plan = registry.plan(of, "", [Granted(call.dataset, fields, (mine,), pair="an app")])
    always = Window(None, None)
    sent = plan.request(Asked("GET", form.base + call.path.replace("{account}", mine.ref)), always)
    assert isinstance(sent, Upstream)
    return plan.cut(sent, form.media_types[0], body, always), places


@pytest.mark.parametrize(("organisation", "name", "path", "native", "records"), PUBLIC)
def test_public_samples_of_such_data_are_known_to_the_last_member(
    organisation: str, name: str, path: str, native: str, records: int, shared: Path
) -> None:
    form = drives(organisation)
    fields = frozenset(form_of(organisation)[1][form.calls[name].dataset].fields)
    cut, places = public_cut(organisation, name, (shared / "samples" / path).read_bytes(), native, fields)
    assert (cut.counts.records, places) == (records, set())


def test_a_receipt_is_valid_by_its_schema_whatever_is_withheld(shared: Path) -> None:
    drives("nord-mode")
    packed = (shared / "samples/schemas/arts/DigitalReceiptV2.0.0.xsd.gz").read_bytes()
    schema = etree.XMLSchema(etree.fromstring(gzip.decompress(packed)))
    for _, name, path, _, _ in PUBLIC[-3:]:
        body = (shared / "samples" / path).read_bytes()
        for fields in combinations(form_of("nord-mode")[1]["retail.arts"]):
            cut, _ = public_cut("nord-mode", name, body, "", fields)
            assert schema.validate(etree.fromstring(cut.body)), (sorted(fields), str(schema.error_log)[:300])
