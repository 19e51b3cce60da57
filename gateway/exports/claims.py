"""A person's download of all the insurer has: one FHIR collection Bundle, and the classic Blue Button text."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Raw

from gateway.exports.bluebutton import written
from gateway.formats import json_values
from gateway.formats.fhir.accounts import call, resources
from gateway.formats.fhir.calls import MEDIA_TYPE, base
from gateway.formats.fhir.reading import OUTCOME
from gateway.formats.model import Account, Download, Fetch, Source, UnknownShape
from gateway.formats.shapes import encode
from gateway.ground.calendar.instants import span


def download(source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> list[Download]:
    """`fhir-bundle.json` with the resources of all pages, and `bluebutton.txt`. Only for the persons in `accounts`."""
    held: list[tuple[dict[str, Any], Raw]] = []
    wanted = sorted({account.native for account in accounts})
    for operation in ("patients", "coverages", "claims"):
        for native in ("",) if operation == "patients" else wanted:
            for text in resources(source, fetch, call(source, operation, native), ("outcome",)):
                resource = _plain(text)
                kind = resource["resourceType"]
                if kind != OUTCOME and (kind != "Patient" or resource.get("id") in wanted):
                    held.append((resource, text))
    first, last = _period([resource for resource, _ in held], source.zone)
    plain = [resource for resource, _ in held]
    return [
        Download("fhir-bundle.json", MEDIA_TYPE, _bundle(source, held), "health", len(held), first, last),
        Download("bluebutton.txt", "text/plain", written(plain), "health", len(held), first, last),
    ]


def _plain(text: Raw) -> dict[str, Any]:
    try:
        bytes(text).decode()
        found = json_values.value(text)
    except ValueError:
        raise UnknownShape("entry.resource") from None
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise UnknownShape("entry.resource.resourceType")
    return found


def _bundle(source: Source, held: Iterable[tuple[dict[str, Any], Raw]]) -> bytes:
    """A collection. Each entry has a `fullUrl`, because relative references are resolved against it."""
    root = f"{source.upstream_url}{base(source)}"
    entries = [
        ({"fullUrl": f"{root}/{resource['resourceType']}/{resource['id']}"} if "id" in resource else {})
        | {"resource": text}
        for resource, text in held
    ]
    return encode({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _period(held: Iterable[dict[str, Any]], zone: str) -> tuple[datetime | None, datetime | None]:
    """From the first to the last day of care."""
    edges = []
    for resource in held:
        period = resource.get("billablePeriod", {})
        for name in ("start", "end"):
            try:
                edges.append(span(period[name], zone))
            except (LookupError, OverflowError, TypeError, ValueError):  # left out: the period is only for information
                continue
    if not edges:
        return None, None
    return min(start for start, _ in edges), max(end for _, end in edges)
