"""How an API is called, as an OpenAPI description says: `securitySchemes` become a kind of [connection].

    apiKey in a header → api_key      basic → basic      oauth2: clientCredentials → client_credentials,
    authorizationCode → oauth         openIdConnect → oauth, its endpoints to be filled

What is none of these is told, and leaves the guess as it is without a description.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.formats.drafting.nodes import Remark, Say
from gateway.formats.drafting.references import References

TO_FILL = "TO FILL"
_SECRET = {"env": TO_FILL}
_METHODS = ("get",)  # calls that only read


@dataclass(slots=True)
class ProofDraft:
    """`keys`: of the table under [connection] that bears the name of the kind."""

    kind: str
    why: str
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def knows_customer(self) -> bool:
        """Whether links of this kind keep the customer, so that an address may hold it."""
        return self.kind in ("api_key", "basic", "client_credentials")


def proof(references: References, document: Mapping[str, Any], server: str, say: Say) -> ProofDraft | None:
    """The first scheme that calls need and that a declaration has words for; None: there is none."""
    schemes = _schemes(references, document)
    found: dict[str, ProofDraft] = {}
    for name in _needed(document, list(schemes)):
        place, scheme = schemes[name]
        drafted = _drafted(name, scheme, server)
        if isinstance(drafted, ProofDraft):
            found[name] = drafted
        else:
            say(Remark(place, drafted, "a declaration has no words for it; see the document on connections"))
    first = next(iter(found), None)
    for name in list(found)[1:]:
        what = f"another way to be called, {found[name].kind}"
        say(Remark(schemes[name][0], what, f"kind = {found[first or name].kind!r} is written, of {first}"))
    return None if first is None else found[first]


def _schemes(references: References, document: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Name → (place, scheme), of OpenAPI 3 and of Swagger 2."""
    components = document.get("components")
    held = components.get("securitySchemes") if isinstance(components, Mapping) else None
    pointer = references.root / "components" / "securitySchemes"
    if held is None:
        held, pointer = document.get("securityDefinitions"), references.root / "securityDefinitions"
    found = {}
    for name, scheme in held.items() if isinstance(held, Mapping) else ():
        try:
            scheme, place = references.resolved(scheme, pointer / name)
        except LookupError:
            continue
        if isinstance(scheme, Mapping):
            found[str(name)] = str(place), scheme
    return found


def _needed(document: Mapping[str, Any], known: list[str]) -> list[str]:
    """The schemes that requirements name, in their order; all, where nothing is required."""
    named = [name for each in _requirements(document) for name in each if name in known]
    return list(dict.fromkeys(named)) or known


def _requirements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    paths = document.get("paths")
    items = paths.values() if isinstance(paths, Mapping) else ()
    operations = (item.get(method) for item in items if isinstance(item, Mapping) for method in _METHODS)
    for holder in (document, *operations):
        listed = holder.get("security") if isinstance(holder, Mapping) else None
        yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, Mapping))


def _drafted(name: str, scheme: Mapping[str, Any], server: str) -> ProofDraft | str:
    """Or what it is, in words."""
    kind, why = str(scheme.get("type", "")).lower(), f"the security scheme {name}"
    if kind == "apikey":
        stands = str(scheme.get("in"))
        if stands != "header":
            return f"the gateway proves itself by a key in the {stands}"
        return ProofDraft("api_key", why, {"header": str(scheme.get("name") or TO_FILL), "secret": _SECRET})
    if kind == "basic" or (kind == "http" and str(scheme.get("scheme", "")).lower() == "basic"):
        return ProofDraft("basic", why, {"user": TO_FILL, "secret": _SECRET})
    if kind == "oauth2":
        return _oauth2(why, scheme, server)
    if kind == "openidconnect":
        return ProofDraft("oauth", f"{why}; its endpoints stand at openIdConnectUrl", _oauth(TO_FILL, TO_FILL, ""))
    told = {
        "http": f"HTTP authentication {scheme.get('scheme')}",
        "mutualtls": "a client certificate ([connection.tls])",
    }
    return f"the gateway proves itself by {told.get(kind, kind or 'what has no type')}"


def _oauth2(why: str, scheme: Mapping[str, Any], server: str) -> ProofDraft | str:
    listed = scheme.get("flows")
    flows = listed if isinstance(listed, Mapping) else {str(scheme.get("flow")): scheme}  # Swagger 2
    for names, kind in ((("clientCredentials", "application"), "client_credentials"),
                        (("authorizationCode", "accessCode"), "oauth")):  # fmt: skip
        flow = next((flows[each] for each in names if isinstance(flows.get(each), Mapping)), None)
        if flow is None:
            continue
        held = flow.get("scopes")
        scope = " ".join(map(str, held)) if isinstance(held, Mapping) else ""
        token = str(flow.get("tokenUrl") or "")
        if kind == "oauth":
            authorize = str(flow.get("authorizationUrl") or "")
            return ProofDraft(kind, why, _oauth(_endpoint(authorize, server), _endpoint(token, server), scope))
        keys = {"token": _endpoint(token, server), "client_id": TO_FILL, "client_secret": _SECRET}
        return ProofDraft(kind, why, {**keys, **({"scope": scope} if scope else {})})
    return f"the gateway proves itself by the OAuth flow {' or '.join(map(str, flows)) or 'that is not said'}"


def _oauth(authorize: str, token: str, scope: str) -> dict[str, Any]:
    found: dict[str, Any] = {"authorize": authorize, "token": token, "revoke": TO_FILL, "client_id": TO_FILL}
    return {**found, "client_secret": _SECRET, "scope": scope or TO_FILL}


def _endpoint(address: str, server: str) -> str:
    """A path at the organisation, or a whole address elsewhere."""
    try:
        parts = urlsplit(address)
        own = urlsplit(server)
    except ValueError:
        return TO_FILL
    if not parts.netloc or parts.netloc == own.netloc:
        return parts.path if parts.path.startswith("/") else TO_FILL
    return address
