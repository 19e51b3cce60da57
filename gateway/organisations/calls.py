"""Calls to an organisation about one linked person: adds the credential and gives a reason when the call fails.

For linking and downloads, in a worker thread and outside any transaction. The data plane
has its own streaming code; both use the same connector and the same credentials.

A reading takes many calls and up to two minutes, in which she may unlink, here or through another process: before
each call the link is read again, and once it has ended nothing more is asked.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from gateway.errors import Unavailable, where
from gateway.formats import registry
from gateway.formats.everything import ALONE
from gateway.formats.media import CHARSETS, UTF_8, expect
from gateway.formats.model import FoundAccount, Source, TooLarge, UnknownShape, Upstream
from gateway.ground.http.connector import Connector, ConnectorError, Headers, OutboundRequest
from gateway.ground.keys import KeyRing, fresh, strict
from gateway.house import House
from gateway.organisations import assertion, file_rules, files, links, placing, proofs, tokens, views
from gateway.organisations.connections import NAME_THE_SUBJECT
from gateway.organisations.links import DECLARED, LinkView
from gateway.organisations.proofs import Outgoing, Proof
from gateway.organisations.tables import Link
from gateway.organisations.token_endpoint import reason_of
from gateway.organisations.views import OrganisationView
from gateway.settings import Settings

_log = logging.getLogger("gateway.organisations")
Found = TypeVar("Found")
SMALL = 64 * 1024
_DEPTH = 20  # of an answer's JSON
# last word of the media type asked for → the types that the answer may have
KINDRED = {
    "json": ("application/json", "application/fhir+json", "application/x-ndjson", "application/jsonl"),
    "csv": ("text/csv",),
    "xml": ("application/atom+xml", "application/xml", "text/xml"),
}
_TABLES = [name for names in CHARSETS.values() for name in names]  # a table is read in the encoding that is declared
CALLS_MAX = 5000  # calls of one reading, in case the pages of a source go round in a circle


@dataclass
class Line:
    """The calls of one reading: one person's data at one organisation. For one thread only."""

    house: House
    organisation: OrganisationView
    link: LinkView
    request_id: str
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._whose = self.link.whose
        self._used: tuple[Proof, str] | None = None  # of the last call, with its token

    def fetch(self, upstream: Upstream) -> tuple[str, bytes]:
        """Fetch one page; this is a `formats.model.Fetch`. Raises ConnectorError, UnknownShape."""
        self.calls += 1
        if self.calls > CALLS_MAX:
            raise ConnectorError("too_large", "too many pages")
        if self.organisation.kind == file_rules.KIND:
            self._require_linked()
            return files.asked(self.house, self.organisation, self._whose, upstream, self.house.clock())
        placed = placing.placed(upstream, self.link, self.organisation.connection)
        if not placed.named:
            raise ConnectorError("organisation_refused", "the call names nobody")
        request = Outgoing(upstream.method, placed.path, placed.body, upstream.content_type, placed.fields)
        status, headers, body = self._ask(request, upstream.accept)
        if status == 401 and self._renewed():
            status, headers, body = self._ask(request, upstream.accept)
        if status != 200:
            self._require_linked()  # she may have unlinked while it answered: that is why it refused
            raise ConnectorError(reason_of(status), f"data: {status}")
        media_type = dict(headers).get(b"content-type", b"").decode("latin-1")
        kind = upstream.accept.rpartition("/")[2].rpartition("+")[2]
        expect(media_type, KINDRED.get(kind, (upstream.accept,)), _TABLES if kind == "csv" else UTF_8)
        return media_type, body

    def _ask(self, request: Outgoing, accept: str) -> tuple[int, Headers, bytes]:
        headers: Headers = [
            *self._proof(request),
            *request.described,
            (b"accept", accept.encode()),
            (b"x-request-id", self.request_id.encode()),
        ]
        limit = self.house.settings.answer_limit_bytes
        self._require_linked()  # last: renewing a credential may have taken long
        where = views.target(self.organisation)
        out = OutboundRequest(where, request.method, request.path, headers, request.body, self.link.id)
        return self.house.connector.ask(out, limit)

    def _require_linked(self) -> None:
        """Raises ConnectorError if what was linked at the start is not any more, as it is committed now."""
        with self.house.store.read() as session:
            link = session.get(Link, self.link.id)
            view = views.view(session, self.organisation.id)
            if link is None or link.ended_at is not None or view is None:
                raise ConnectorError("not_linked", "unlinked meanwhile")
            if links.view_of(self.house.keys, link).whose != self._whose:  # linked again, as another customer
                raise ConnectorError("not_linked", "linked with another customer meanwhile")
        if not view.active:
            raise ConnectorError("suspended", f"{view.status} meanwhile")
        if view.base_url != self.organisation.base_url:
            raise ConnectorError("organisation_unavailable", "moved meanwhile")

    def _proof(self, request: Outgoing) -> Headers:
        now = self.house.clock()  # now and not once at the start: a reading can take longer than a credential is valid
        if self.link.kind == DECLARED:
            return self._declared(request, now)
        if self.link.kind == "assertion":
            return [asserted(self.house.keys, self.house.settings, self.organisation, self.link.subject, now)]
        if links.runs_out(self.link, now):
            self._renew(refused=None)
        return [(b"authorization", f"Bearer {self.link.access_token}".encode())]

    def _declared(self, request: Outgoing, now: datetime) -> Headers:
        proof = proof_of(self.house, self.organisation)
        if proof is None:
            raise ConnectorError("not_linked", "linked by another kind of connection")
        self._used = proof, proofs.token(self.house, proof, self.link, now)
        return proofs.fields(self.house, proof, self.link, request, self._used[1], now)

    def _renewed(self) -> bool:
        """Whether the call, which was answered 401, may be made once more, because it will have another token."""
        if self.link.kind == "oauth":
            if self.link.expires_at is not None:
                self._renew(refused=self.link.access_token)
            return self.link.expires_at is not None
        return self._used is not None and proofs.forgotten(self.house.lasting, *self._used, self.link)

    def _renew(self, refused: str | None) -> None:
        renewed = tokens.refreshed(self.house, self.link.id, self.house.clock(), refused=refused)
        if renewed is None:
            raise ConnectorError("not_linked", "the organisation ended the link")
        self.link = renewed


def asserted(
    keys: KeyRing, settings: Settings, organisation: OrganisationView, subject: str, now: datetime
) -> tuple[bytes, bytes]:
    return assertion.header(keys, settings.public_url, organisation.base_url, subject, now, fresh(16))


def post(
    house: House, organisation: OrganisationView, path: str, subject: str, body: dict[str, str], now: datetime
) -> tuple[int, Any]:
    """Make one call of the linking protocol: (status, parsed answer or None). Raises ConnectorError."""
    declared = organisation.connection.declared and organisation.kind not in NAME_THE_SUBJECT
    proof = proof_of(house, organisation) if declared else None
    if proof is None:
        status, answer = _post(
            house.connector, organisation, path, body, subject, lambda _: [_about(house, organisation, subject, now)]
        )
    else:
        status, answer = _post_declared(house, proof, path, body, subject, now)
    try:
        return status, strict.loads(answer, depth=_DEPTH)
    except strict.Malformed:
        return status, None


def _post_declared(
    house: House, proof: Proof, path: str, body: dict[str, str], subject: str, now: datetime
) -> tuple[int, bytes]:
    def proven(token: str, outgoing: Outgoing) -> Headers:
        return proofs.fields(house, proof, None, outgoing, token, now)

    def once() -> tuple[str, int, bytes]:
        token = proofs.token(house, proof, None, now)
        status, answer = _post(house.connector, proof.organisation, path, body, subject, partial(proven, token))
        return token, status, answer

    token, status, answer = once()
    if status == 401 and proofs.forgotten(house.lasting, proof, token, None):
        _, status, answer = once()
    return status, answer


def _post(
    connector: Connector,
    organisation: OrganisationView,
    path: str,
    body: dict[str, str],
    subject: str,
    proven: Callable[[Outgoing], Headers],
) -> tuple[int, bytes]:
    sent = json.dumps(body).encode() if body else b""
    headers: Headers = [
        *proven(Outgoing("POST", path, sent, "application/json")),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"x-request-id", fresh(16).encode()),
    ]
    request = OutboundRequest(views.target(organisation), "POST", path, headers, sent, subject)
    status, _, answer = connector.ask(request, SMALL)
    return status, answer


def _about(house: House, organisation: OrganisationView, subject: str, now: datetime) -> tuple[bytes, bytes]:
    return asserted(house.keys, house.settings, organisation, subject, now)


def proof_of(house: House, organisation: OrganisationView) -> Proof | None:
    """As it is now: a secret that was changed is used from the next call on. Raises ConnectorError where the
    organisation is another by now, which must not be asked with what is meant for this one, nor this one with its."""
    with house.store.read() as session:
        now = views.view(session, organisation.id)
        if now is None or now.leaving or now.base_url != organisation.base_url:
            raise ConnectorError("organisation_unavailable", "moved meanwhile")
        return proofs.of(session, house.keys, now)


def read_accounts(line: Line) -> list[FoundAccount]:
    """The person's accounts, as the organisation lists them. Raises what `read` does, also if the answer has another
    shape."""

    def accounts(source: Source) -> list[FoundAccount]:
        filed = _filed(line)
        found = registry.accounts(source, line.fetch) if filed is None else filed
        if line.link.customer and [account.native for account in found] == [ALONE]:  # so an answer can say whose it is
            found = [replace(found[0], native=line.link.customer)]
        if len({account.native for account in found}) < len(found):
            raise ConnectorError("organisation_answer_invalid", "an account stands twice")
        return found

    return read(line, accounts)


def _filed(line: Line) -> list[FoundAccount] | None:
    """The accounts that the records of her files name, where nothing lists them. None: ask as everybody else."""
    if line.organisation.kind != file_rules.KIND:
        return None
    return files.accounts(line.house, line.organisation, line.link.whose, line.house.clock())


def read(line: Line, what: Callable[[Source], Found]) -> Found:
    """Read `what` from the organisation. Raises ConnectorError, with the reason in the operator's log, and
    Unavailable if it cannot be known whether the link still stands."""
    organisation = line.organisation
    try:
        return what(views.source(organisation, line.house))
    except ConnectorError as error:
        fault = error
    except UnknownShape as shape:  # `where` is a place in the format, never a value of the person's
        fault = ConnectorError("organisation_answer_invalid", f"unknown shape at {shape.where or 'the top'}")
    except TooLarge:
        fault = ConnectorError("too_large", "an answer above the limit")
    except Unavailable:
        raise
    except Exception as error:  # a fault in our code; its message is not logged, because it could quote the data
        _log.error("reading failed: %s", where(error))
        fault = ConnectorError("filter_failed", type(error).__name__)
    tell(organisation.id, fault, line.request_id)
    raise fault


def tell(organisation: str, fault: ConnectorError, request_id: str = "") -> None:
    """Write a line to the operator's log, as the data plane does, without any data of the person."""
    _log.info("organisation %s: %s, %s, call %s", organisation, fault.reason, fault.detail, request_id or "-")
