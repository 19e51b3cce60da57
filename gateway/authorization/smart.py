"""SMART App Launch 2.x, standalone launch, at organisations whose data are FHIR: where an app that knows a FHIR base
finds this server, its `aud`, and the patient that a token is for.

Scopes of health data are plain scopes (policies/scopes/health.toml). `launch/patient`, `fhirUser` and others that mean
nothing here are left out of a request, as any unknown name is.
"""

from collections.abc import Collection, Mapping
from typing import Any

from gateway.authorization import openid
from gateway.authorization import scopes as scoped
from gateway.catalogue import Catalogue
from gateway.consent.facts import OrganisationFacts
from gateway.consent.itself import ITSELF, location
from gateway.consent.terms import granted_items
from gateway.formats.fhir import calls
from gateway.house import House
from gateway.organisations import views
from gateway.organisations.views import OrganisationView

CONFIGURATION = "/.well-known/smart-configuration"
DRIVER = "fhir"  # of formats whose engine answers as a FHIR server
PATIENT = "patient/"  # how the names of scopes begin that mean one patient's data (App Launch §5.1.2)
_OF_SERVER = (
    "issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint",
    "introspection_endpoint", "grant_types_supported", "response_types_supported", "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
)  # fmt: skip
# Only what works: no fhirUser in ID tokens (sso-openid-connect), no ES384 or RS384 (client-confidential-asymmetric).
CAPABILITIES = (
    "launch-standalone", "client-public", "client-confidential-symmetric", "context-standalone-patient",
    "permission-patient", "permission-offline", "permission-v1", "permission-v2",
)  # fmt: skip


def base(organisation: OrganisationView, house: House) -> str:
    """The path of its FHIR base below /data/{organisation}; "": its data are not FHIR."""
    catalogue = house.catalogue
    if not any(_is_fhir(catalogue, organisation, dataset) for dataset in organisation.datasets):
        return ""
    return calls.base(views.source(organisation, house))


def configuration(catalogue: Catalogue, server: Mapping[str, Any], organisation: OrganisationView) -> dict[str, Any]:
    """What a SMART client is told (App Launch §7.1). `server`: the metadata of RFC 8414."""
    signs_in = [scope for scope, dataset in openid.SCOPES.items() if dataset in catalogue.datasets]
    return {
        **{name: server[name] for name in _OF_SERVER if name in server},
        "scopes_supported": [*signs_in, "offline_access", *scoped.names_at(catalogue, organisation)],
        "capabilities": list(CAPABILITIES),
    }


def audience(aud: str, public_url: str) -> str:
    """The `resource` that an `aud` means: a FHIR base is an address of its organisation."""
    organisation, below, _ = aud.removeprefix(f"{public_url}/data/").partition("/")
    return location(public_url, organisation) if aud.startswith(f"{public_url}/data/") and below else aud


def userinfo(scope: str, public_url: str) -> list[str]:
    """The `resource` beside an `aud`, of an app that signs her in: `aud` is of data alone, and does not mean that the
    token is not for /userinfo."""
    return [location(public_url, ITSELF)] if openid.OPENID in scope.split() else []


def is_asked(scope: str) -> bool:
    """Whether a scope is of one patient's data."""
    return any(name.startswith(PATIENT) for name in scope.split())


def context(
    catalogue: Catalogue,
    directory: Mapping[str, OrganisationFacts],
    terms: Mapping[str, Any],
    audience: Collection[str],
) -> dict[str, str]:
    """`patient` of a token response (App Launch §5.1.5): the id by which the app reads her at the data addresses, where
    the token is for data of one alone."""
    found = {
        account
        for item in granted_items(terms)
        if any(at.endswith(f"/data/{item['organisation']}") for at in audience)
        and _is_fhir(catalogue, directory.get(item["organisation"]), item["dataset"])
        for account in item["accounts"]
    }
    return {"patient": found.pop().translate(calls.FHIR_ID)} if len(found) == 1 else {}


def _is_fhir(catalogue: Catalogue, organisation: OrganisationFacts | None, dataset: str) -> bool:
    known = catalogue.of(organisation, dataset)
    form = catalogue.formats.get(known.format) if known is not None else None
    return form is not None and form.driver == DRIVER
