"""A declaration: one TOML file with all that the gateway needs to know of an app.

`read` checks the file by itself, `against` checks it against this gateway's purposes,
organisations and data. Both report all faults together: file, key, what is wrong, what would
be right. Nothing an app writes is used as markup, as an address to fetch, or as a policy.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.apps import addresses, agreed, certificates, logos, profiles
from gateway.apps.agreed import CALLED
from gateway.apps.profiles import AUTH_METHODS, PROFILES
from gateway.apps.registration import ID_LENGTH, scopes_of
from gateway.catalogue import Catalogue
from gateway.consent.facts import OrganisationFacts
from gateway.errors import DeclarationError, Fault
from gateway.ground.declarations import REQUIRED, Form, checks, load, unknown
from gateway.ground.declarations.form import Keys
from gateway.ground.declarations.texts import look_alike
from gateway.ground.http import fetching
from gateway.ground.keys import keysets
from gateway.settings import Settings

BACKCHANNEL = "urn:openid:params:grant-type:ciba"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = ("authorization_code", "refresh_token", "client_credentials", DEVICE, BACKCHANNEL, profiles.EXCHANGE)
NECESSITIES = ("required", "optional")
REASON_LENGTH = 140  # characters; short enough to be read on the consent screen
NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class AppDeclaration:
    """A checked declaration. `document` has every key; `warnings` are for the operator's eyes before she goes on."""

    file: str
    document: Mapping[str, Any]
    sha256: str  # of the part that people agree to
    verified: bool
    warnings: tuple[str, ...] = ()
    came_by: str = "file"  # as in `App`

    @property
    def client_id(self) -> str:
        return str(self.document["client_id"])

    @property
    def auth_method(self) -> str:
        return str(self.document["token_endpoint_auth_method"])


# ---- what may be said

# Keys that came later, by the names of RFC 7591. One that has its default is left out of the document that is kept:
# what an app declared before there was the key has the hash that it had, and who agreed to it is not asked again. What
# of a declaration is in the hash at all: agreed.py.
LATER: Keys = {
    "profile": ("profile", profiles.DEFAULT),
    "grant_types": ("grants", []),  # []: codes and refreshing
    "token_endpoint_auth_signing_alg": ("algorithm", ""),
    "dpop_bound_access_tokens": ("flag", False),
    "tls_client_certificate_bound_access_tokens": ("flag", False),
    "tls_client_auth_subject_dn": ("text", ""),
    "tls_client_auth_san_dns": ("text", ""),
    "tls_client_auth_san_uri": ("text", ""),
    "tls_client_auth_san_ip": ("text", ""),
    "tls_client_auth_san_email": ("text", ""),
    "require_signed_request_object": ("flag", False),
    "request_object_signing_alg": ("algorithm", ""),
    "authorization_signed_response_alg": ("ours", ""),
    "introspection_signed_response_alg": ("ours", ""),
    "id_token_signed_response_alg": ("ours", ""),
    "userinfo_signed_response_alg": ("ours", ""),
    "scope": ("scopes", ""),
    "jwks_uri": ("website", ""),  # in place of `jwks`: where its keys stand (elsewhere.py)
    "sector_identifier_uri": ("website", ""),
    "software_id": ("text", ""),
    "software_version": ("text", ""),
    "post_logout_redirect_uris": ("addresses", []),
    "backchannel_logout_uri": ("called", ""),
    "backchannel_logout_session_required": ("flag", False),  # sid is in every logout token
    "initiate_login_uri": ("website", ""),  # OpenID Connect Core §4
    "backchannel_token_delivery_mode": ("delivery", ""),  # CIBA Core §4
    "backchannel_client_notification_endpoint": ("called", ""),
    "backchannel_authentication_request_signing_alg": ("algorithm", ""),
    "backchannel_user_code_parameter": ("flag", False),
    "asks_anybody": ("flag", False),  # also people who have agreed to nothing of it yet (authorization/backchannel.py)
    "deferred_client_notification_endpoint": ("called", ""),  # OAuth Deferred Token Response (draft)
}


def _none_or_texts(value: object) -> str | None:
    return None if value == [] else checks.texts(value)


FORM = Form(
    tables={
        "": {
            "client_id": ("id", REQUIRED),
            "name": ("names", REQUIRED),
            "legal_entity": ("text", REQUIRED),
            "on_behalf_of": ("text", ""),
            "website": ("website", REQUIRED),
            "privacy_policy": ("website", REQUIRED),
            "terms": ("website", REQUIRED),
            "deletion_contact": ("contact", REQUIRED),
            "logo": ("text", None),
            "application_type": ("application", "web"),
            "redirect_uris": ("list", REQUIRED),
            "token_endpoint_auth_method": ("method", REQUIRED),
            "jwks": ("table", None),
            "require_pushed_authorization_requests": ("flag", None),
            "verified": ("flag", False),
            "purposes": ("list", REQUIRED),
            "recipients": ("recipients", []),
            "data": ("data", []),
            **LATER,
        },
        "data[]": {
            "organisation": ("text", REQUIRED),
            "dataset": ("text", REQUIRED),
            "fields": ("list", REQUIRED),
            "necessity": ("necessity", REQUIRED),
            "reason": ("reasons", REQUIRED),
        },
        "recipients[]": {
            "name": ("text", REQUIRED),
            "role": ("text", REQUIRED),
            "country": ("country", REQUIRED),
            "client_id": ("client", ""),  # of a recipient that may read for the app: consent/terms.py, `processors`
        },
    },
    kinds={
        "id": checks.matches(
            r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", "write 1 to 64 of a-z, 0-9 and -, as in watt-coach"
        ),
        "client": checks.matches(rf"[!-~]{{1,{ID_LENGTH}}}", "write the client_id of an app of this gateway"),
        "text": checks.text,
        "names": checks.words(NAME_LENGTH),
        "reasons": checks.words(REASON_LENGTH),
        "website": checks.website,
        "contact": checks.contact,
        "application": ("web", "native"),
        "method": AUTH_METHODS,
        "profile": tuple(PROFILES),
        "delivery": ("", "poll", "ping"),
        "grants": checks.some_of(GRANTS),
        "algorithm": (*keysets.STRONG, "RS256"),
        "ours": ("ES256", "PS256", "RS256", "EdDSA"),
        "scopes": checks.matches(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", "write scopes, as in openid email"),
        "necessity": NECESSITIES,
        "country": checks.matches(r"[A-Z]{2}", "write two capitals, as in FR"),
        "list": checks.texts,
        "addresses": _none_or_texts,
        "called": checks.matches(r"https?://[!-~]{1,490}", "write an https address"),
        "flag": checks.flag,
        "table": checks.table,
        "recipients": checks.tables("recipients"),
        "data": checks.tables("data"),
    },
)


# ---- reading


def read(path: Path, *, redirect_uris: Sequence[str] | None = None) -> AppDeclaration:
    """The checked declaration of one file; `redirect_uris` overrides those in it. Raises DeclarationError."""
    document = load(path)
    if redirect_uris is not None:
        document["redirect_uris"] = list(redirect_uris)
    return parse(document, path)


def parse(document: Mapping[str, Any], path: Path) -> AppDeclaration:
    """The same from a parsed document; a logo is looked for next to `path`."""
    faults = check(document)
    logo, logo_fault = _logo(document.get("logo"), path.parent)
    if logo_fault:
        faults.append(Fault("logo", logo_fault))
    if faults:
        raise DeclarationError(str(path), faults)
    return finished(document, logo, str(path))


def finished(
    document: Mapping[str, Any], logo: Mapping[str, str] | None, file: str, form: Form = FORM, came_by: str = "file"
) -> AppDeclaration:
    """What is kept of a document without faults. `logo`: {media_type, base64}."""
    whole = {key: value for key, value in form.filled(document).items() if key not in LATER or value != LATER[key][1]}
    whole["logo"] = logo
    if whole["require_pushed_authorization_requests"] is None:
        whole["require_pushed_authorization_requests"] = PROFILES[whole.get("profile", profiles.DEFAULT)].pushes
    whole.pop("verified", None)  # the operator's word, not a part of what the app says
    return AppDeclaration(
        file=file,
        document=whole,
        sha256=agreed.sha256(whole),
        verified=document.get("verified", False),
        warnings=tuple(warnings(whole)),
        came_by=came_by,
    )


def check(document: Mapping[str, Any], form: Form = FORM) -> list[Fault]:
    """Every fault of a parsed declaration, in the order of the form. Does not compare with this gateway's data."""
    faults = form.faults(document)
    return faults or [
        *_redirects(document),
        *_keys(document),
        *_asks(document),
        *_recipients(document),
        *profiles.faults(document),
        *_backchannel(document),
        *certificates.faults(document),
    ]


def _asks(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Who registers nothing to ask for has nothing to do here."""
    if not document.get("data") and not scopes_of(document):
        yield Fault("data", "is missing", 'list [[data]], or purposes = ["sign-in"], or scope = "openid"')


def _recipients(document: Mapping[str, Any]) -> Iterator[Fault]:
    for position, row in enumerate(document.get("recipients", ())):
        if row.get("client_id") == document.get("client_id"):
            yield Fault(f"recipients[{position}].client_id", "is the app itself", "leave it out, or name another app")


def _redirects(document: Mapping[str, Any]) -> Iterator[Fault]:
    native = document.get("application_type") == "native"
    for key in ("redirect_uris", "post_logout_redirect_uris"):
        for position, uri in enumerate(document.get(key, ())):
            if wrong := addresses.fault(uri, native=native):
                yield Fault(f"{key}[{position}]", "is not an address we would send people to", wrong)


def _keys(document: Mapping[str, Any]) -> Iterator[Fault]:
    method, jwks = document["token_endpoint_auth_method"], document.get("jwks")
    signs = PROFILES[document.get("profile", profiles.DEFAULT)].signs
    elsewhere = document.get("jwks_uri")
    if jwks is not None and elsewhere:
        yield Fault("jwks_uri", "stands beside jwks", "write the keys, or the address where they are")
    if jwks is None and not elsewhere and _signs(document, method):
        yield Fault("jwks", "is missing", "what the app signs needs its public keys: jwks = { keys = [ … ] }")
    if jwks is not None:
        yield from (Fault("jwks", "is not right", wrong) for wrong in keysets.faults(jwks, signs))


def _backchannel(document: Mapping[str, Any]) -> Iterator[Fault]:
    """What CIBA asks of a registration (CIBA Core §4); push is not offered (FAPI-CIBA §5.2.2)."""
    asks, mode = BACKCHANNEL in document.get("grant_types", ()), document.get("backchannel_token_delivery_mode")
    if asks and document["token_endpoint_auth_method"] == "none":
        yield Fault("grant_types", "CIBA needs an app that can prove who it is", f"leave out {BACKCHANNEL}")
    if asks and not mode:
        yield Fault("backchannel_token_delivery_mode", "is missing", "write poll or ping")
    if mode == "ping" and not document.get("backchannel_client_notification_endpoint"):
        yield Fault("backchannel_client_notification_endpoint", "is missing", "ping needs an https address")
    if document.get("backchannel_user_code_parameter"):
        yield Fault("backchannel_user_code_parameter", "is not offered", "leave it out")


def _signs(document: Mapping[str, Any], method: str) -> bool:
    signed = ("require_signed_request_object", "backchannel_authentication_request_signing_alg")
    return method == "private_key_jwt" or any(document.get(key) for key in signed)


def _logo(name: object, folder: Path) -> tuple[dict[str, str] | None, str | None]:
    if not isinstance(name, str):
        return None, None
    if Path(name).name != name or name.startswith("."):
        return None, "write the name of a file next to the declaration"
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        why = error.strerror or "unreadable"
        return None, f"the file {name} cannot be read ({why}); put it beside the declaration, or leave the key out"
    suffix = Path(name).suffix.lower()
    if wrong := logos.fault(suffix, content):
        return None, f"the file {name} {wrong}"
    return {"media_type": logos.MEDIA_TYPES[suffix], "base64": base64.b64encode(content).decode()}, None


def warnings(document: Mapping[str, Any]) -> Iterator[str]:
    shown = [("name", text) for text in document["name"].values()] + [("legal_entity", document["legal_entity"])]
    for key, text in shown:
        if look_alike(text):
            yield f"{key}: has letters that look like others (mixed or foreign scripts); make sure it is no imitation"


# ---- against this gateway

Directory = Mapping[str, OrganisationFacts]


def against(
    document: Mapping[str, Any],
    catalogue: Catalogue,
    organisations: Mapping[str, OrganisationFacts],
    settings: Settings,
) -> list[Fault]:
    """Faults for purposes, organisations and data that this gateway does not have, and addresses that it would not
    call. `organisations`: id → its view."""
    faults = [
        Fault(key, "is not an address we would call", wrong)
        for key in CALLED
        if document.get(key) and (wrong := fetching.fault(document[key], settings))
    ]
    faults += [
        unknown(f"purposes[{position}]", code, catalogue.purposes)
        for position, code in enumerate(document["purposes"])
        if code not in catalogue.purposes
    ]
    purposes = [catalogue.purposes[code] for code in document["purposes"] if code in catalogue.purposes]
    covered = {dataset for purpose in purposes for dataset in purpose.datasets}
    seen: set[tuple[str, str]] = set()
    for position, row in enumerate(document["data"]):
        where, pair = f"data[{position}]", (row["organisation"], row["dataset"])
        faults += _row_against(where, row, catalogue, organisations, covered)
        if pair in seen:
            faults.append(Fault(f"{where}.dataset", f"{pair[1]!r} stands twice", "put its fields into one [[data]]"))
        seen.add(pair)
    return faults


def _row_against(
    where: str,
    row: Mapping[str, Any],
    catalogue: Catalogue,
    organisations: Mapping[str, OrganisationFacts],
    covered: set[str],
) -> Iterator[Fault]:
    organisation, dataset = row["organisation"], row["dataset"]
    if organisation not in organisations:
        yield unknown(f"{where}.organisation", organisation, organisations)
    elif dataset not in organisations[organisation].datasets:
        yield unknown(f"{where}.dataset", dataset, organisations[organisation].datasets)
    known = catalogue.of(organisations.get(organisation), dataset)
    if known is None:
        return
    if dataset not in covered:
        yield Fault(f"{where}.dataset", f"none of the purposes covers {dataset!r}", "add the purpose it is for")
    for name in row["fields"]:
        if name not in known.fields:
            yield unknown(f"{where}.fields", name, known.fields)
