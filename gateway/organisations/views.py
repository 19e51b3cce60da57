"""An organisation as other rooms see it: frozen values read from its declaration, not rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlmodel import Session, select

from gateway.catalogue import Catalogue, Dataset, Format, Scope
from gateway.consent.facts import OrganisationFacts
from gateway.consent.itself import itself
from gateway.formats import registry
from gateway.formats.drift import Listening, Seen
from gateway.formats.model import Source
from gateway.ground.http.connector import Target
from gateway.ground.store import Connection, raw
from gateway.house import House
from gateway.organisations import file_rules, owned
from gateway.organisations.connections import DeclaredConnection, address, parsed
from gateway.organisations.file_rules import FilesView
from gateway.organisations.tables import LEAVING, Organisation

Words = Mapping[str, str]
_NOBODY = Seen(lambda *_: None)
KEPT = 512  # parsed declarations cached; with more organisations than that some are parsed again


@dataclass(frozen=True, slots=True)
class OAuthEnds:
    authorize: str  # these three are addresses
    token: str
    revoke: str  # "": the organisation is not told of the end of a link
    client_id: str
    scope: str
    subscription: str = "lasting"  # lasting: the same each time a customer links, so it identifies the customer | new


@dataclass(frozen=True, slots=True)
class LinkEnds:
    start: str
    confirm: str
    unlink: str
    number_label: Words


@dataclass(frozen=True, slots=True)
class OrganisationView:
    id: str
    name: Words
    legal_entity: str
    sector: str
    zone: str
    website: str
    contact: Mapping[str, str]  # privacy, support
    datasets: Mapping[str, tuple[str, ...]]  # dataset → path patterns
    kind: str  # of `connections.KINDS`
    base_url: str  # "": it has no API
    networks: tuple[str, ...]
    timeout_seconds: float
    max_calls: int
    oauth: OAuthEnds | None
    link: LinkEnds | None
    declaration_sha256: str
    files: FilesView | None = None
    own: Mapping[str, Dataset] = field(default_factory=dict)  # types of data that its declaration defines
    scopes: Mapping[str, Scope] = field(default_factory=dict)  # by which apps may ask for its data
    form: Format | None = None  # its own format
    published: str = ""  # ESPI: what `published-min` is taken for
    strict: bool = False  # refuse an answer with a member that is not declared
    status: str = "active"  # active | suspended | leaving
    status_reason: str = ""
    connection: DeclaredConnection = DeclaredConnection()

    @property
    def match(self) -> str:
        return self.connection.match

    @property
    def knows_links(self) -> bool:
        """Whether the organisation is told of the end of a link, because it knows that there is one."""
        if self.kind == "oauth":
            return self.oauth is not None and bool(self.oauth.revoke)
        return self.match == "number" and self.kind != file_rules.KIND

    @property
    def places(self) -> tuple[str, ...]:
        """Where credentials of people go: to nobody else, if one of these is declared anew."""
        return self.base_url, *((self.oauth.token, self.oauth.revoke) if self.oauth is not None else ())

    @property
    def active(self) -> bool:
        return self.status == "active"

    @property
    def leaving(self) -> bool:
        """Whether another organisation is taking its place (`moving`)."""
        return self.status == LEAVING


_ROWS = "SELECT id, declaration_sha256, status, status_reason FROM organisation"
_parsed: dict[str, OrganisationView] = {}  # by hash of the declaration; values are immutable, so threads may share it


def view_of(row: Organisation) -> OrganisationView:
    return _view(row.declaration_sha256, row.status, row.status_reason, lambda: row.declaration)


def _view(sha256: str, status: str, reason: str, declaration: Callable[[], Mapping[str, Any]]) -> OrganisationView:
    """`declaration`: read only where it is not known by its hash."""
    found = _parsed.get(sha256)
    if found is None:
        if len(_parsed) >= KEPT:
            _parsed.clear()
        found = _parsed.setdefault(sha256, _parse(declaration(), sha256))
    if (status, reason) == (found.status, found.status_reason):
        return found
    return replace(found, status=status, status_reason=reason)


def _oauth_ends(table: Mapping[str, Any], base: str) -> OAuthEnds:
    kept = {key: value for key, value in table.items() if key != "client_secret"}
    ends = {key: address(table[key], base) if key in table else "" for key in ("authorize", "token", "revoke")}
    return OAuthEnds(**{**kept, **ends})


def _parse(document: Mapping[str, Any], sha256: str) -> OrganisationView:
    connection = document["connection"]
    oauth, link = connection.get("oauth"), connection.get("link")
    form, own = owned.read(document)
    return OrganisationView(
        id=document["id"],
        name=document["name"],
        legal_entity=document["legal_entity"],
        sector=document["sector"],
        zone=document["zone"],
        website=document["website"],
        contact=document["contact"],
        datasets={row["id"]: tuple(row.get("paths", ())) for row in document["datasets"]},
        own=own,
        scopes=owned.scopes(document),
        form=form,
        published=str(document.get("espi", {}).get("published", "")),
        strict=bool(document.get("strict", False)),
        kind=connection["kind"],
        base_url=connection.get("base_url", "").rstrip("/"),
        networks=tuple(connection.get("networks", ())),
        timeout_seconds=float(connection.get("timeout_seconds", 10)),
        max_calls=int(connection.get("max_calls", 32)),
        oauth=_oauth_ends(oauth, connection["base_url"].rstrip("/")) if oauth else None,
        link=LinkEnds(**link) if link else None,
        files=file_rules.view(connection["files"]) if "files" in connection else None,
        declaration_sha256=sha256,
        connection=parsed(connection),
    )


def directory(session: Session) -> dict[str, OrganisationView]:
    """Every organisation by id, suspended ones too, in the order in which they joined."""
    return {name: _seen(session, name, *row) for name, *row in _rows(session, "ORDER BY added_at, id")}


def _rows(session: Session, which: str, values: Sequence[str] = ()) -> list[Any]:
    """Without the declarations, which seldom have to be read."""
    if session.autoflush:
        session.flush()
    return list(raw(session).execute(f"{_ROWS} {which}", values).fetchall())


def _seen(session: Session, name: str, sha256: str, status: str, reason: str) -> OrganisationView:
    return _view(sha256, status, reason, lambda: session.get_one(Organisation, name).declaration)


def everyone(session: Session, house: House) -> dict[str, OrganisationFacts]:
    """The same with the gateway itself, for whoever looks at what is asked for or agreed to."""
    settings = house.settings
    own = itself(settings.operator_name, settings.zone, house.latest.catalogue.datasets)
    return {**directory(session), own.id: own}


def ids(session: Session) -> list[str]:
    return list(session.exec(select(Organisation.id).order_by(Organisation.id)))


def name(session: Session, organisation: str) -> Words | None:
    """The organisation's present name, by language; None: there is no such organisation any more."""
    row = session.get(Organisation, organisation)
    return row.declaration.get("name") if row else None


def addresses(connection: Connection) -> list[tuple[str, str, str]]:
    """(id, status, base URL or "") of each. Uses a bare connection, for commands that look at a database as it is."""
    rows = connection.execute("SELECT id, status, declaration FROM organisation ORDER BY id")
    return [
        (name, status, json.loads(declaration)["connection"].get("base_url", "")) for name, status, declaration in rows
    ]


def are_there(connection: Connection) -> bool:
    return bool(connection.execute("SELECT EXISTS(SELECT 1 FROM organisation)").fetchone()[0])


def view(session: Session, organisation: str) -> OrganisationView | None:
    rows = _rows(session, "WHERE id = ?", (organisation,))
    return _seen(session, *rows[0]) if rows else None


def target(organisation: OrganisationView) -> Target:
    return Target(
        organisation=organisation.id,
        base_url=organisation.base_url,
        networks=organisation.networks,
        timeout_seconds=organisation.timeout_seconds,
        max_calls=organisation.max_calls,
        tls=organisation.connection.tls,
        headers=organisation.connection.headers,
    )


def source(organisation: OrganisationView, house: House) -> Source:
    """What the sector needs to know of the organisation. Paths are relative to `base_url`, so there is no prefix."""
    return Source(
        organisation=organisation.id,
        sector=organisation.sector,
        base_path=_base(organisation, house.latest.catalogue),
        zone=organisation.zone,
        gateway_url=f"{house.settings.public_url}/data/{organisation.id}",
        upstream_url=organisation.base_url,
        paths=organisation.datasets,
        forms=forms(organisation, house.latest.catalogue),
        known=known(organisation, house.latest.catalogue),
        published=organisation.published,
        sealer=house.keys.sealer("pages"),
        clock=house.clock,
        seen=partial(_told, organisation, house.undeclared),
        filed=organisation.kind == file_rules.KIND,
    )


def _base(organisation: OrganisationView, catalogue: Catalogue) -> str:
    """What stands before every path of the one shared format that an organisation has all its data in; else ""."""
    all_, here = forms(organisation, catalogue), known(organisation, catalogue)
    names = {here[name].format for name in organisation.datasets if name in here}
    form = all_.get(next(iter(names))) if len(names) == 1 else None
    if form is None or not form.id:
        return ""
    bases = (registry.base_of(form, paths, name) for name, paths in organisation.datasets.items())
    return next(filter(None, bases), "")


def _told(organisation: OrganisationView, told: Listening | None, dataset: str) -> Seen | None:
    """Who is told of members that are not declared; None: an answer with one is refused."""
    if is_strict(organisation, dataset):
        return None
    return told.of(organisation.id, dataset) if told is not None else _NOBODY


def is_strict(organisation: OrganisationView, dataset: str) -> bool:
    """Whether an answer with a member that is not declared is refused."""
    own = organisation.own.get(dataset)
    return organisation.strict or (own is not None and own.strict)


def known(organisation: OrganisationView, catalogue: Catalogue) -> Mapping[str, Dataset]:
    """The types of data at an organisation, by id: those of the policies, and its own, which stand before them."""
    return {**catalogue.datasets, **organisation.own} if organisation.own else catalogue.datasets


def forms(organisation: OrganisationView, catalogue: Catalogue) -> Mapping[str, Format]:
    return {**catalogue.formats, "": organisation.form} if organisation.form is not None else catalogue.formats
