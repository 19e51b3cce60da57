"""Meadow Health: FHIR R4 by the paths of CMS Blue Button 2.0, for callers with the gateway's assertion.

GET /v2/fhir/{Patient, Coverage, ExplanationOfBenefit}[/{id}]
patient, beneficiary, type, service-date, _lastUpdated, _count (10, at most 50), startIndex
"""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.data import health
from examples.data.people import BY_HEALTH, Person
from examples.organisations import linking
from examples.organisations.common import Assertions, Links, Refused, Setup, serve
from examples.organisations.front import Front

NAME = {"fr": "Santé des Prés", "en": "Meadow Health"}
FHIR = "/v2/fhir"
COUNT, MOST = 10, 50
# code of FHIR's issue-type list for each HTTP status
_ISSUES = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 503: "transient"}
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "ge": lambda value, limit: value >= limit,
    "gt": lambda value, limit: value > limit,
    "le": lambda value, limit: value <= limit,
    "lt": lambda value, limit: value < limit,
    "eq": lambda value, limit: value == limit,
}
_SEARCH = {
    "Patient": {"_id", "identifier"},
    "Coverage": {"beneficiary"},
    "ExplanationOfBenefit": {"patient", "type", "service-date"},
}
_PAGING = {"_count", "startIndex", "_format", "_lastUpdated"}

Json = dict[str, Any]


def build(setup: Setup) -> Starlette:
    assertions, links = Assertions(setup), Links(setup.folder)

    def held(kind: str, person: Person) -> list[Json]:
        if kind == "Patient":
            return [health.patient(person)]
        return health.coverages(person) if kind == "Coverage" else list(health.claims(person, setup.today()))

    def mine(request: Request, kind: str) -> tuple[Person, list[Json]]:
        customer = links.customer(assertions.subject(request, setup.now()))
        person = BY_HEALTH[customer]
        return person, held(kind, person)

    def read(request: Request) -> Response:
        kind = _kind(request)
        for resource in mine(request, kind)[1]:
            if resource["id"] == request.path_params["id"]:
                return _fhir(resource)
        raise Refused(404, f"{kind} unknown")  # also for a stranger's

    def search(request: Request) -> Response:
        kind = _kind(request)
        person, resources = mine(request, kind)
        asked = request.query_params.multi_items()
        for name, value in asked:
            resources = _narrow(kind, resources, name, value, health.patient_id(person))
        return _bundle(setup, kind, resources, asked)

    def metadata(request: Request) -> Response:
        return _fhir(_capabilities(setup))

    routes = [
        Route(f"{FHIR}/metadata", metadata),
        Route(f"{FHIR}/{{kind}}", search),
        Route(f"{FHIR}/{{kind}}/", search),
        Route(f"{FHIR}/{{kind}}/{{id}}", read),
        *linking.routes(setup, assertions, links, BY_HEALTH, NAME),
    ]
    front = Front("meadow-health", NAME, setup.gateway, FHIR, BY_HEALTH, inbox=True)
    return Starlette(routes=[*front.routes(), *routes], exception_handlers={**front.handlers(), Refused: _refused})


def _kind(request: Request) -> str:
    kind = str(request.path_params["kind"])
    if kind not in _SEARCH:
        raise Refused(404, "Unknown resource type")
    return kind


def _narrow(kind: str, resources: list[Json], name: str, value: str, patient: str) -> list[Json]:
    """What one search parameter leaves. An unknown one is refused, never ignored."""
    if name == "_lastUpdated":
        return [r for r in resources if _within(r["meta"]["lastUpdated"][:10], value)]
    if name in _PAGING:
        return resources
    if name not in _SEARCH[kind]:
        raise Refused(400, f"Unknown search parameter {name[:40]}")
    if name == "service-date":
        return [r for r in resources if _within(r["billablePeriod"]["end"], value)]
    if name == "type":
        wanted = {token.split("|")[-1].lower() for token in value.split(",")}
        return [r for r in resources if wanted & {c["code"].lower() for c in r["type"]["coding"]}]
    if value.removeprefix("Patient/").split("|")[-1] != patient:
        raise Refused(404, "Unknown patient")
    return resources


def _within(day: str, limit: str) -> bool:
    prefix, rest = (limit[:2], limit[2:]) if limit[:2] in _COMPARE else ("eq", limit)
    if len(rest) < 4 or not rest[:4].isdigit():
        raise Refused(400, "Invalid date")
    rest = rest[:10]
    return _COMPARE[prefix](day[: len(rest)], rest)


def _whole_number(asked: list[tuple[str, str]], name: str, default: int) -> int:
    value = dict(asked).get(name, str(default))
    if not value.isascii() or not value.isdigit() or len(value) > 6:
        raise Refused(400, f"Invalid {name}")
    return int(value)


def _bundle(setup: Setup, kind: str, resources: list[Json], asked: list[tuple[str, str]]) -> Response:
    count = min(MOST, max(1, _whole_number(asked, "_count", COUNT)))
    start = _whole_number(asked, "startIndex", 0)
    kept = [(k, v) for k, v in asked if k not in ("_count", "startIndex")]

    def link(relation: str, index: int) -> Json:
        query = urlencode([*kept, ("startIndex", str(index)), ("_count", str(count))])
        return {"relation": relation, "url": f"{setup.base_url}{FHIR}/{kind}?{query}"}

    last = max(0, (len(resources) - 1) // count * count)
    found = [link("first", 0), link("self", start), link("last", last)]
    if start + count < len(resources):
        found.append(link("next", start + count))
    if start > 0:
        found.append(link("previous", max(0, start - count)))
    page = resources[start : start + count]
    name = hashlib.sha256("".join(r["id"] for r in page).encode()).hexdigest()
    bundle: Json = {
        "resourceType": "Bundle",
        "id": f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:32]}",
        "meta": {"lastUpdated": f"{setup.today().isoformat()}T04:00:00+00:00"},
        "type": "searchset",
        "total": len(resources),
        "link": found,
    }
    if page:  # FHIR allows no empty list
        bundle["entry"] = [{"resource": resource} for resource in page]
    return _fhir(bundle)


def _capabilities(setup: Setup) -> Json:
    resources = [
        {
            "type": kind,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": name, "type": "string"} for name in sorted(names)],
        }
        for kind, names in _SEARCH.items()
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": setup.today().isoformat(),
        "publisher": "Meadow Health",
        "kind": "instance",
        "implementation": {"description": "Claims of members", "url": setup.base_url + FHIR},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources}],
    }


def _fhir(body: Json, status: int = 200) -> Response:
    return JSONResponse(body, status, {"cache-control": "no-store"}, "application/fhir+json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    issue = {"severity": "error", "code": _ISSUES.get(error.status, "exception"), "diagnostics": error.code}
    return _fhir({"resourceType": "OperationOutcome", "issue": [issue]}, error.status)


if __name__ == "__main__":
    serve("meadow_health", 8403, build, FHIR)
