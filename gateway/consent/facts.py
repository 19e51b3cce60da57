"""What a consent needs to know of people, apps and organisations: values, and the protocol `Facts` that provides them.

The rooms that own these facts lie above this one and cannot be imported here, so the composition root implements
`Facts` with them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from gateway.catalogue import Dataset, Scope, Words
from gateway.log.sentences import Names


@dataclass(frozen=True, slots=True)
class DeclaredData:
    """One row of an app's registration: what it may ask for at one organisation, and why."""

    organisation: str
    dataset: str
    fields: tuple[str, ...]
    necessity: str  # required | optional
    reason: Words  # the app's own words, ≤ 140 characters


@dataclass(frozen=True, slots=True)
class AppView:
    """What other rooms know of an app."""

    client_id: str
    name: Words
    legal_entity: str
    on_behalf_of: str
    website: str
    privacy_policy: str
    terms_url: str
    deletion_contact: str
    redirect_uris: tuple[str, ...]
    auth_method: str
    purposes: tuple[str, ...]
    data: tuple[DeclaredData, ...]
    recipients: tuple[Mapping[str, str], ...]  # {name, role, country}, perhaps client_id; empty: will not be passed on
    verified: bool
    active: bool
    status_reason: str
    registered_at: datetime
    metadata_sha256: str
    has_logo: bool
    scopes: tuple[str, ...] = ()  # that it registered (`authorization` knows what they mean)
    came_by: str = "file"  # file: the operator registered it | dynamic | document: it registered itself
    reader: str = ""  # under which it knows people, where that is not its own id


class OrganisationFacts(Protocol):
    """What a consent needs to know of an organisation. `OrganisationView` of the organisations room satisfies it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> Words: ...
    @property
    def legal_entity(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def datasets(self) -> Collection[str]: ...
    @property
    def own(self) -> Mapping[str, Dataset]:
        """The types of data that it defines itself."""

    @property
    def scopes(self) -> Mapping[str, Scope]:
        """The scopes that it defines itself, by name."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An account the person may pick at one organisation, with the reference the app would see."""

    ref: str
    label: str
    kind: str
    available: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class PersonFacts:
    id: str
    name: str
    minor: bool  # under the age at which a person consents alone
    guardian_id: str | None
    of_age_at: datetime | None = None  # from when on this person consents alone; None: birth date not known
    # what the account here says of the person, by the names of OpenID Connect Core §5.1; no member: not known
    claims: Mapping[str, object] = field(default_factory=dict)

    def decided_by(self, reader: str) -> bool:
        """Whether `reader` may see and decide about this person's data: the person herself, and her guardian while she
        is under age."""
        return self.id == reader or (self.minor and self.guardian_id == reader)


class Facts(Protocol):
    """What other rooms know. Implemented by the composition root."""

    def app(self, session: Session, client_id: str) -> AppView: ...
    def directory(self, session: Session) -> Mapping[str, OrganisationFacts]: ...
    def accounts(self, session: Session, client_id: str, person_id: str, organisation_id: str) -> Sequence[Offered]:
        """The person's accounts at this organisation, with the references this app would see."""

    def linked(self, session: Session, person_id: str) -> Collection[str]:
        """The organisations at which we know which account is hers."""

    def person(self, session: Session, person_id: str) -> PersonFacts: ...
    def by_email(self, session: Session, address: str) -> str | None:
        """Id of the person who signs in with this mail address."""


class SharingFacts(Facts, Protocol):
    """What the "Data sharing" pages need in addition, where a person sees her own sharings and her children's."""

    def wards(self, session: Session, guardian: str) -> Sequence[str]:
        """Ids of the people who have this guardian, of age or not."""

    def names(self, session: Session) -> Names:
        """Names for the identifiers in log entries."""
