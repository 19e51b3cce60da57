"""An insurer that is not strict, and what it tells of members that nobody has declared."""

import json
from dataclasses import replace
from typing import Any

from format_documents import ALWAYS, HEALTH, TYPES, granted, sent, source

from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.model import Cut


class Insurer:
    """`told`: the places of what nobody has declared."""

    def __init__(self, dataset: str = "health.claims", without=(), window=ALWAYS) -> None:
        self.told: list[str] = []
        self.path = HEALTH[dataset][0]
        self.window = window
        seen = Seen(lambda places, answers, now: self.told.extend(places))
        item = granted(dataset, without)
        self.plan = registry.plan(replace(source("health"), seen=lambda name: seen), "fhir-r4", [item])

    def cut(self, body: bytes, path: str = "") -> Cut:
        call = sent(self.plan, "health", path or self.path, window=self.window)
        return self.plan.cut(call, TYPES["health"], body, self.window)

    def gives(self, *records: dict, **parts: Any) -> Cut:
        """`parts`: of the bundle."""
        entries = [{"resource": record} for record in records]
        document = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
        return self.cut(json.dumps(document | parts).encode())


def resources(found: Cut) -> list[dict]:
    return [entry["resource"] for entry in json.loads(found.body).get("entry", [])]
