"""A declaration: one TOML file with all that the gateway needs to know of an organisation.

`read` checks everything and reports all faults together: file, key, what is wrong, what
would be right. `add` puts a checked declaration into force. A changed declaration applies
to calls from then on; the terms that people agreed to do not change.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session

from gateway.catalogue import Catalogue
from gateway.errors import DeclarationError, Fault, NotFound
from gateway.ground.declarations import digest, load, unknown
from gateway.ground.keys import KeyRing
from gateway.ground.store.tables import directory_changed, directory_turn
from gateway.house import House
from gateway.organisations import connections, file_rules, gaps, moving, owned, widening
from gateway.organisations.addresses import Resolve, base_url_faults, resolve
from gateway.organisations.rules import FORM
from gateway.organisations.tables import LEAVING, Organisation


class IsLeaving(Exception):
    """Another organisation is taking its place, which must come to its end first. Says how."""


@dataclass(frozen=True, slots=True)
class OrganisationDeclaration:
    """A checked declaration. Its secrets are kept separately and are not part of the stored document."""

    file: str
    document: Mapping[str, Any]
    sha256: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the table that names them

    @property
    def id(self) -> str:
        return str(self.document["id"])


def read(
    path: Path,
    catalogue: Catalogue,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str] = os.environ,
    look_up: Resolve = resolve,
) -> OrganisationDeclaration:
    """Read and check a file. `base_url` overrides the one in the file. Raises DeclarationError."""
    document = load(path)
    if base_url is not None and isinstance(document.get("connection"), dict):
        document["connection"]["base_url"] = base_url
    secrets, secret_faults = _read_secrets(document, path.parent, environ)
    faults = [*gaps.told(check(document, catalogue, look_up), document), *secret_faults]
    if faults:
        raise DeclarationError(str(path), faults)
    return OrganisationDeclaration(str(path), document, digest(document), secrets)


def check(document: Mapping[str, Any], catalogue: Catalogue, look_up: Resolve = resolve) -> list[Fault]:
    """Every fault of a parsed declaration, in the order of the file's keys."""
    faults = FORM.faults(document)
    if isinstance(document.get("connection"), dict):
        faults += _connection(document["connection"], look_up)
        faults += connections.faults(document, look_up)
    if FORM.fits("datasets", document.get("datasets")):
        faults += _datasets(document, catalogue)
        faults += owned.faults(document, catalogue)
        faults += owned.scope_faults(document, catalogue)
        faults += file_rules.faults(document)
    return faults


def _connection(connection: Mapping[str, Any], look_up: Resolve) -> Iterator[Fault]:
    networks = connection.get("networks", [])
    if FORM.fits("text", connection.get("base_url")):
        listed = networks if isinstance(networks, list) else []
        for wrong in base_url_faults(connection["base_url"], map(str, listed), look_up):
            yield Fault("connection.base_url", wrong)


def _datasets(document: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    sector = str(document.get("sector"))
    known = {name: data for name, data in catalogue.datasets.items() if data.sector == sector}
    if sector not in catalogue.sectors:
        yield unknown("sector", sector, sorted(catalogue.sectors))
    seen: set[str] = set()
    for position, row in enumerate(document["datasets"]):
        label = f"datasets[{position}]"
        name = row.get("id")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield Fault(f"{label}.id", f"{name!r} stands twice", "put its paths into one entry")
        seen.add(name)
        if sector in catalogue.sectors and name not in known and not owned.defines(row):
            yield unknown(f"{label}.id", name, known)


def _read_secrets(
    document: Mapping[str, Any], folder: Path, environ: Mapping[str, str]
) -> tuple[dict[str, str], list[Fault]]:
    """The gateway's secrets at this organisation, by the table that names each. No fault contains one."""
    connection = document.get("connection")
    secrets: dict[str, str] = {}
    faults: list[Fault] = []
    if not isinstance(connection, dict):
        return secrets, faults
    for place in connections.secret_places(connection):
        name = connections.SECRETS[place]
        secret, wrong = _read_secret(f"connection.{place}.{name}", connection[place][name], folder, environ)
        if secret and (unfit := connections.secret_fault(place, secret)):
            wrong = [Fault(f"connection.{place}.{name}", unfit)]
        faults += wrong
        if secret:
            secrets[place] = secret
    return secrets, faults


def _read_secret(key: str, where: object, folder: Path, environ: Mapping[str, str]) -> tuple[str | None, list[Fault]]:
    """One secret, read from the place the declaration names. No fault contains it."""
    if not isinstance(where, dict) or not FORM.fits("secret", where):
        return None, []
    if "env" in where:
        secret = environ.get(where["env"], "")
        return secret or None, [] if secret else [Fault(key, f"the variable {where['env']} is not set", "set it")]
    try:
        secret = (folder / where["file"]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None, [Fault(key, f"the file {where['file']} cannot be read")]
    return secret or None, [] if secret else [Fault(key, f"the file {where['file']} is empty")]


# ---- putting it into force


def add(
    session: Session,
    house: House,
    declaration: OrganisationDeclaration,
    now: datetime,
    *,
    moved: bool | None = True,
    wider: bool = True,
) -> str:
    """Insert or update; "added", "changed" or "unchanged". Raises DeclarationError for a change of what it is.

    `moved`: whether a changed address still belongs to the same organisation. True: links stay. False: they end.
    None: the operator has not said; refused while anybody is linked (see `moving`).
    `wider`: whether fields may give members that they did not; else refused while anybody is linked (`widening`).
    """
    directory_turn(session)
    document = dict(declaration.document)
    # locked: a link that is being made is committed first, or sees the new address (`linking.is_elsewhere`)
    row = session.get(Organisation, declaration.id, with_for_update=True, populate_existing=True)
    outcome = "changed"
    if row is None:
        outcome = "added"
        row = Organisation(id=declaration.id, declaration=document, declaration_sha256="", added_at=now, changed_at=now)
    else:
        _same_nature(row, declaration)
        if moved is None and (fault := moving.unsaid(session, row.id, row.declaration, document)):
            raise DeclarationError(declaration.file, [fault])
        if not wider and (faults := list(widening.widened(row.declaration, document))):
            if moving.linked(session, row.id):
                raise DeclarationError(declaration.file, faults)
        if not moved and moving.elsewhere(row.declaration, document):
            moving.replaced(session, house.log, row.id, row.declaration["name"][house.settings.default_language], now)
    same_secret = _secrets_of(row, house.keys) == declaration.secrets
    if row.status == LEAVING:
        row.status = "active"
    elif row.declaration_sha256 == declaration.sha256 and same_secret:
        return "unchanged"
    row.declaration, row.declaration_sha256, row.changed_at = document, declaration.sha256, now
    if not same_secret:
        row.client_secret_sealed = _sealed(declaration, house.keys)
    session.add(row)
    directory_changed(session)
    return outcome


def leave(house: House, declaration: OrganisationDeclaration, told: Callable[[int, int], None]) -> None:
    """Call it before `add` with `moved=False`: where the address changes, the links with the old one end here, a few
    people at a time (`moving.leave`). Raises DeclarationError for a change of what it is, before anything ends."""
    with house.store.read() as session:
        row = session.get(Organisation, declaration.id)
        if row is None or not moving.elsewhere(row.declaration, declaration.document):
            return
        _same_nature(row, declaration)
    moving.leave(house, declaration.id, told)


def _same_nature(row: Organisation, declaration: OrganisationDeclaration) -> None:
    """Refuse a change of sector, or of what links hold: links and agreements were made with what it was before."""
    pairs = zip(_nature(row.declaration), _nature(declaration.document), strict=True)
    faults = [Fault(key, f"was {was!r}", "give it another id") for (key, was), (_, now) in pairs if was != now]
    if faults:
        raise DeclarationError(declaration.file, faults)


def _nature(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [("sector", document["sector"]), *connections.nature(document["connection"])]


def _context(organisation: str) -> str:
    return f"organisation:{organisation}"


def _sealed(declaration: OrganisationDeclaration, keys: KeyRing) -> bytes | None:
    """The one secret of kind "oauth" stands for itself; those of others stand in an object, by their tables."""
    secrets = declaration.secrets
    if not secrets:
        return None
    alone = declaration.document["connection"]["kind"] == "oauth"
    plain = secrets["oauth"] if alone else json.dumps(dict(secrets))
    return keys.seal(plain.encode(), _context(declaration.id))


def _secrets_of(row: Organisation, keys: KeyRing) -> dict[str, str]:
    if not row.client_secret_sealed:
        return {}
    plain = keys.open(row.client_secret_sealed, _context(row.id)).decode()
    if row.declaration["connection"]["kind"] == "oauth":
        return {"oauth": plain}
    secrets: dict[str, str] = json.loads(plain)
    return secrets


def secrets(session: Session, keys: KeyRing, organisation: str) -> dict[str, str]:
    """The gateway's own secrets at an organisation, by the table of its declaration that names each."""
    row = session.get(Organisation, organisation)
    return _secrets_of(row, keys) if row else {}


def client_secret(session: Session, keys: KeyRing, organisation: str) -> str:
    """The gateway's own secret at an organisation's OAuth server."""
    secret = secrets(session, keys, organisation).get("oauth")
    if secret is None:
        raise NotFound(f"no client secret for {organisation}")
    return secret


def suspend(session: Session, organisation: str, reason: str, now: datetime) -> None:
    """Make no calls to the organisation until `resume`. People read `reason`. Links and agreements stay. Raises
    IsLeaving."""
    _set_status(session, organisation, "suspended", reason, now)


def resume(session: Session, organisation: str, now: datetime) -> None:
    """Raises IsLeaving: calls would go to one with which the links of some have ended and of others have not."""
    _set_status(session, organisation, "active", "", now)


def _set_status(session: Session, organisation: str, status: str, reason: str, now: datetime) -> None:
    directory_turn(session)
    row = session.get(Organisation, organisation)
    if row is None:
        raise NotFound(f"organisation {organisation}")
    if row.status == LEAVING:
        raise IsLeaving(moving.AGAIN)
    row.status, row.status_reason, row.changed_at = status, reason, now
    session.add(row)
    directory_changed(session)
