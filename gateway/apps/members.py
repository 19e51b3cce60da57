"""Client metadata, as apps send it (RFC 7591 §2, OpenID Connect Registration §2): one table says which key of a
declaration each member is, and what an app registers is checked like a declaration.

What RFC 7591 has no member for, and the law or a person wants to know, may be sent under the declaration's own names.
What is not told is kept as not told: no page makes something up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gateway.apps import addresses, declare
from gateway.apps.declare import FORM, LATER, AppDeclaration
from gateway.apps.profiles import BY_SECRET, DEFAULT, PROFILES
from gateway.apps.registration import GRANTS, registration, scopes_of
from gateway.apps.tables import App
from gateway.errors import DeclarationError, Fault
from gateway.ground.declarations.form import Form
from gateway.ground.declarations.texts import look_alike
from gateway.settings import LANGUAGES

DEFAULT_METHOD = "client_secret_basic"  # RFC 7591 §2
RESPONSE_TYPES = ("code",)
SUBJECT_TYPES = ("pairwise",)
SIGNING_IN = ("sign-in",)  # the purpose of an app that tells none
NAME_LENGTH = declare.NAME_LENGTH

# key of the declaration → member, where the names differ
NAMED = {"website": "client_uri", "privacy_policy": "policy_uri", "terms": "tos_uri"}
# … where they are the same: of the standards, and our own
SAME = (
    "redirect_uris", "application_type", "token_endpoint_auth_method", "jwks", "sector_identifier_uri", "logo_uri",
    "require_pushed_authorization_requests", *(key for key in LATER if key != "asks_anybody"),
    "legal_entity", "on_behalf_of", "purposes", "recipients", "data",
)  # fmt: skip
NOT_TOLD = {
    "legal_entity": ("text", ""),
    "website": ("website", ""),
    "privacy_policy": ("website", ""),
    "terms": ("website", ""),
    "deletion_contact": ("contact", ""),
    "logo_uri": ("website", ""),
}
_OPERATORS = ("verified", "asks_anybody")  # words of the operator, that no app says of itself
_TOP = {key: kind for key, kind in FORM.tables[""].items() if key not in _OPERATORS}
# Of what an app registers by itself: less is needed, and nothing may be said in the operator's name.
SELF_FORM = Form(
    tables={**FORM.tables, "": {**_TOP, **NOT_TOLD}},
    kinds={**FORM.kinds, "id": lambda value: None},  # chosen here, or checked as an address
)
_MEMBER = {**NAMED, "name": "client_name", "deletion_contact": "contacts"}


@dataclass(frozen=True, slots=True)
class Registrable:
    """What an app may register for here."""

    profiles: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: Mapping[str, tuple[str, ...]]  # each with the purposes for which it stands
    secrets: bool = True  # whether it can be given one


def document(members: Mapping[str, Any], client_id: str, offered: Registrable) -> dict[str, Any]:
    """The members as a declaration. Those that are not known are passed over (RFC 7591 §2); of grants and scopes what
    is not offered is left out, and the answer tells what was accepted (§3.2.1). Raises DeclarationError."""
    sent = {name: value for name, value in members.items() if value is not None}
    said: dict[str, Any] = {"client_id": client_id, **{name: sent[name] for name in SAME if name in sent}}
    said |= {key: sent[member] for key, member in NAMED.items() if member in sent}
    said["name"] = _names(sent)
    if isinstance(sent.get("contacts"), list) and sent["contacts"]:
        said["deletion_contact"] = sent["contacts"][0]
    elif "contacts" in sent and sent["contacts"] != []:
        said["deletion_contact"] = None  # no list: a fault
    method = said.setdefault("token_endpoint_auth_method", DEFAULT_METHOD if offered.secrets else "none")
    said.setdefault("profile", _profile(method, offered))
    if said["profile"] != "fapi2":  # which insists by itself; else nobody pushes who does not say so (RFC 9126 §6)
        said.setdefault("require_pushed_authorization_requests", False)
    if "application_type" not in sent:
        said["application_type"] = "native" if method == "none" and only_loopback(sent.get("redirect_uris")) else "web"
    if isinstance(sent.get("grant_types"), list):
        said["grant_types"] = [one for one in sent["grant_types"] if one in offered.grants]
    if isinstance(sent.get("scope"), str):
        said["scope"] = " ".join(one for one in dict.fromkeys(sent["scope"].split()) if one in offered.scopes)
        if not said["scope"]:
            del said["scope"]
    if not sent.get("scope"):
        said |= _default_scope(sent, offered)
    said.setdefault("purposes", _purposes(said.get("scope"), offered))
    faults = [*_wrong_members(sent, said, offered), *declare.check(said, SELF_FORM)]
    if faults:
        raise DeclarationError(client_id, [replace(one, key=_named(one.key)) for one in faults])
    return {key: value for key, value in said.items() if value != _implied(key, said)}


def _implied(key: str, said: Mapping[str, Any]) -> Any:
    """What is the same as saying nothing. Who sends back what we answered (RFC 7592 §2.2) has changed nothing, and
    nobody is asked again."""
    if key == "scope":
        return " ".join(scopes_of({**said, "scope": ""}))
    if key == "id_token_signed_response_alg":
        return PROFILES[said["profile"]].signed
    return list(GRANTS) if key == "grant_types" else None


def declaration(said: Mapping[str, Any], logo: Mapping[str, str] | None, came_by: str) -> AppDeclaration:
    """What is kept of a `document`."""
    return declare.finished(said, logo, said["client_id"], SELF_FORM, came_by)


def only_loopback(uris: object) -> bool:
    """Whether an app can only be reached on the person's own device: a program there (RFC 8252 §7.3)."""
    hosts = (*addresses.LOOPBACK, "localhost")
    return isinstance(uris, list | tuple) and bool(uris) and all(_host(one) in hosts for one in uris)


def _host(uri: object) -> str:
    try:
        parts = urlsplit(uri) if isinstance(uri, str) else urlsplit("")
        return parts.hostname or "" if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _names(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The name in each language (RFC 7591 §2.2). Who tells none is called by where it sends people back to."""
    plain = sent.get("client_name")
    if plain is None:
        uris = sent.get("redirect_uris")
        host = _host(uris[0]) if isinstance(uris, list) and uris else ""
        plain = next((sent[one] for one in sent if one.startswith("client_name#")), host[:NAME_LENGTH] or "App")
    return {language: sent.get(f"client_name#{language}", plain) for language in LANGUAGES}


def _default_scope(sent: Mapping[str, Any], offered: Registrable) -> dict[str, str]:
    """All scopes that stand for data here, of an app that tells none (RFC 7591 §2): of the purposes that it tells, if
    any. An app that tells its data writes out what it asks for, and needs no scope."""
    told = sent.get("purposes")
    if "data" in sent:
        return {}
    fits = [
        name
        for name, purposes in offered.scopes.items()
        if any(not isinstance(told, list) or one in told for one in purposes)
    ]
    return {"scope": " ".join(fits)} if fits else {}


def _purposes(scope: object, offered: Registrable) -> list[str]:
    """Of an app that tells none: those of its scopes. Clients that know the standards alone have no member for them."""
    asked = scope.split() if isinstance(scope, str) else []
    named = (purpose for one in asked for purpose in offered.scopes[one])
    return list(dict.fromkeys(named)) or list(SIGNING_IN)


def _profile(method: object, offered: Registrable) -> str:
    wanted = "oauth21" if method == "none" else "oidc"
    return wanted if wanted in offered.profiles or len(offered.profiles) != 1 else offered.profiles[0]


def _wrong_members(sent: Mapping[str, Any], said: Mapping[str, Any], offered: Registrable) -> Iterator[Fault]:
    """What no key of a declaration says."""
    types = sent.get("response_types", list(RESPONSE_TYPES))
    if not isinstance(types, list) or not any(one in types for one in RESPONSE_TYPES):
        yield Fault("response_types", "has none that is offered", "write [code]")
    if "grant_types" in sent and not set(said.get("grant_types") or ()) - {"refresh_token"}:
        yield Fault("grant_types", "has none that begins anything", "add authorization_code")
    if sent.get("subject_type", "pairwise") not in SUBJECT_TYPES:
        yield Fault("subject_type", "is not offered", "write pairwise")
    if said["profile"] not in offered.profiles:
        yield Fault("profile", "may not be registered", f"use one of {', '.join(offered.profiles)}")
    if not offered.secrets and said["token_endpoint_auth_method"] in BY_SECRET:
        yield Fault("token_endpoint_auth_method", "needs a secret", "use none or private_key_jwt")
    if any(isinstance(text, str) and look_alike(text) for text in said["name"].values()):
        # No operator sees it before people do.
        yield Fault("client_name", "has letters that look like others", "use Latin letters")
    if sent.get("scope") and "scope" not in said:
        right = (
            "see scopes_supported; scopes of a client's own token (client_credentials) are not registered: leave it out"
        )
        yield Fault("scope", "has none that is offered", right)


def _named(key: str) -> str:
    top, rest = key[: len(key.split(".")[0].split("[")[0])], key[len(key.split(".")[0].split("[")[0]) :]
    return _MEMBER.get(top, top) + rest


def told(row: App) -> dict[str, Any]:
    """What is registered of an app, as metadata (RFC 7591 §3.2.1)."""
    said: Mapping[str, Any] = row.metadata_
    names = said["name"]
    plain = names[LANGUAGES[-1]]
    members: dict[str, Any] = {
        "client_name": plain,
        **{f"client_name#{language}": text for language, text in names.items() if text != plain},
        **{member: said[key] for key, member in NAMED.items() if said.get(key)},
        **({"contacts": [said["deletion_contact"]]} if said.get("deletion_contact") else {}),
        **{name: said[name] for name in SAME if said.get(name) not in (None, "", [])},
        "response_types": list(RESPONSE_TYPES),
        "subject_type": SUBJECT_TYPES[0],
    }
    registered = registration(row)
    members |= {
        "grant_types": list(registered.grant_types),
        "scope": " ".join(registered.scopes),
        "id_token_signed_response_alg": registered.id_token_alg,
        "profile": row.metadata_.get("profile", DEFAULT),
    }
    return members
