"""Two calls whose answers have a member of one name, and other records in it: each call says what its answer is."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.catalogue import Catalogue
from gateway.formats import registry
from gateway.formats.model import Account, Asked, Granted, Source, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window
from gateway.organisations import owned
from gateway.settings import shipped_policies

ME = Account("native-4711", "pairwise-reference-of-a")
YEAR = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def dataset(name: str, kind: str) -> dict[str, Any]:
    words = {"fr": "Données", "en": "Data"}
    time = {**words, "find": f"{kind}/at"}
    field = {"id": f"{name}.all", "label": words, "short": words, "structural": True,
             "find": [f"{kind}/at", f"{kind}/value"]}  # fmt: skip
    return {"id": f"test.{name}", "category": "energy", "sensitivity": "none", "label": words, "short": words,
            "long": words, "account": words, "time": time, "field": [field]}  # fmt: skip


def document() -> dict[str, Any]:
    return {
        "sector": "energy",
        "datasets": [dataset("hours", "Hour"), dataset("days", "Day")],
        "format": {
            "driver": "json",
            "calls": [
                {"name": "hours", "dataset": "test.hours", "records": "Hour", "path": "/hours", "envelope": "Hours"},
                {"name": "days", "dataset": "test.days", "records": "Day", "path": "/days"},
            ],
            "pages": {"by": "link", "at": "next"},
            "records": {
                "Hour": {"at": "data.items", "instant": "at", "ends": True, "length": 3600},
                "Day": {"at": "data.items", "instant": "at"},
            },
            "around": {"HourData/unit": "same"},
            "shapes": {
                "Hours": "data:HourData next:s",
                "HourData": "unit:s items:Hour*",
                "Hour": "at:s value:i",
                "Answer": "data:DayData",
                "DayData": "unit:s items:Day*",
                "Day": "at:s value:n",
            },
        },
    }


def faults(changed: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in owned.faults(changed, Catalogue(shipped_policies()))]


def cut(name: str, answer: Any) -> Any:
    form, own = owned.read(document())
    assert form is not None
    source = Source("org", "energy", "", "Europe/Paris", "https://gw.example/data/org", "https://org.example",
                    forms={"": form}, known=own)  # fmt: skip
    plan = registry.plan(source, "", [Granted(f"test.{name}", frozenset([f"{name}.all"]), (ME,))])
    sent = plan.request(Asked("GET", f"/{name}"), YEAR)
    assert isinstance(sent, Upstream)
    return json.loads(plan.cut(sent, "application/json", json.dumps(answer).encode(), YEAR).body)


def test_each_call_has_the_answer_that_it_names() -> None:
    assert not faults(document())
    hour = {"at": "2026-05-01T10:00:00Z", "value": 7}
    hours = {"data": {"unit": "W", "items": [hour]}, "next": "https://org.example/hours?page=2"}
    given = cut("hours", hours)
    assert given["data"] == {"unit": "W", "items": [hour]}
    assert given["next"].startswith("https://gw.example/data/org/hours?page_token=")
    day = {"at": "2026-05-01", "value": 7.25}
    assert cut("days", {"data": {"unit": "W", "items": [day]}, "next": "/days?page=2"}) == {"data": {"items": [day]}}


def test_the_records_of_one_are_not_those_of_the_other() -> None:
    with pytest.raises(UnknownShape):
        cut("hours", {"data": {"items": [{"at": "2026-05-01T10:00:00Z", "value": 7.25}]}})


def test_the_end_of_an_interval_is_no_start() -> None:
    assert cut("hours", {"data": {"items": [{"at": "2026-01-01T00:30:00", "value": 7}]}})["data"]["items"] == []


def test_an_answer_that_is_not_there_is_told() -> None:
    changed = document()
    changed["format"]["calls"][0]["envelope"] = "Hourly"
    [told] = [fault for fault in faults(changed) if "calls.hours" in fault]
    assert "there is no line Hourly in shapes" in told
    changed["format"]["calls"][0]["envelope"] = "Answer"
    assert any("data.items of Answer in shapes must be Hour*, and is Day*" in fault for fault in faults(changed))


def test_a_page_that_no_answer_leads_to_is_told() -> None:
    changed = document()
    changed["format"]["pages"]["at"] = "paging.next"
    assert any("format.pages.at" in fault for fault in faults(changed))
