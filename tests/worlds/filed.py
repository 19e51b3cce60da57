"""Axiome, a telephone company without an API: the files it gives, of two customers and a stranger."""

import copy
import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.house import House
from gateway.organisations import declare, files, given_files

FILE = Path(__file__).parents[1] / "proxy" / "filed.toml"
ID = "axiome"
ALICE, BOB = "C-1001", "C-1002"
LINES = {ALICE: "+33600000001", BOB: "+33600000002"}


def document(**files_keys: Any) -> dict[str, Any]:
    """The declaration, with these keys of [connection.files]; None takes one out."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8"))
    table = {**found["connection"]["files"], **files_keys}
    found["connection"]["files"] = {key: value for key, value in table.items() if value is not None}
    return found


def written(driver: str, **format_keys: Any) -> dict[str, Any]:
    """The declaration for files of another driver; CSV and lines of JSON have nothing around their records."""
    found = document()
    found["format"] |= {"driver": driver, **format_keys}
    if driver in ("csv", "ndjson"):
        found["format"]["records"]["PhoneCall"].pop("at")
        for kind in ("Answer", "Result"):
            found["format"]["shapes"].pop(kind)
    return found


def declared(house: House, changed: dict[str, Any] | None = None) -> None:
    found = changed or document()
    faults = declare.check(found, house.catalogue)
    assert not faults, faults
    made = declare.OrganisationDeclaration("f", copy.deepcopy(found), declare.digest(found))
    with house.store.write() as session:
        declare.add(session, house, made, house.clock())


def record(customer: str, number: int = 1, **more: Any) -> dict[str, Any]:
    days = more.pop("days", 3)
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "contractId": customer,
        "timestamp": at,
        "msisdn": LINES.get(customer, "+33699999999"),
        "partner": f"canary-of-{customer[2:]}-{number}",
        "length": 60 + number,
        **more,
    }


def text(*records: dict[str, Any]) -> bytes:
    return json.dumps({"result": {"items": list(records)}}).encode()


def given(house: House, folder: Path, body: bytes, call: str = "calls", sum: str = "") -> files.Imported:
    """The file taken in, as the command does it."""
    from gateway.organisations import views

    path = folder / "calls-given.json"
    path.write_bytes(body)
    with house.store.read() as session:
        view = views.view(session, ID)
    assert view is not None and view.files is not None
    with given_files.opened(path) as file:
        return files.bring(house, view, call, given_files.GivenFile(file, sum, view.files.most_bytes), house.clock())
