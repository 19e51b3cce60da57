"""One person, one bank, one app: what most tests of the data plane begin with."""

import http.client
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation


def _noon() -> str:
    hour = datetime.now(UTC).hour
    return f"Etc/GMT{hour - 12:+d}"  # the sign of these zones is the other way round


NOON = _noon()  # a zone in which it is about noon: what counts by the day there meets no midnight

BASE = "/open-banking/v4.0/aisp"
PATHS = {
    "bank.accounts": [f"{BASE}/accounts", f"{BASE}/accounts/{{account}}"],
    "bank.transactions": [f"{BASE}/transactions", f"{BASE}/accounts/{{account}}/transactions"],
}
FIELDS = ["transaction.date", "transaction.amount"]
NATIVE = "00012345"

_numbers = itertools.count(1)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))


class Bank:
    def __init__(self, world: World, organisation: RawOrganisation, **connection: Any) -> None:
        number = next(_numbers)
        self.world, self.organisation = world, organisation
        self.id, self.person, self.app = f"bank-{number}", f"alice-{number}", f"app-{number}"
        world.organisation(self.id, "bank", organisation.url, PATHS, **connection)
        world.app(self.app)
        world.person(self.person)
        world.link(self.person, self.id, [NATIVE, "00099999"])
        self.ref = world.ref(self.app, self.person, self.id, NATIVE)
        self.consent = self.agree()
        self.token = world.token(self.consent, [self.id], self.app)

    def agree(self, *, once: bool = False, days: float = 90, **item: Any) -> str:
        fields = item.pop("fields", FIELDS)
        return self.world.consent(
            self.person,
            self.app,
            [self.world.item(self.id, "bank.transactions", fields, [self.ref], **item)],
            once=once,
            days=days,
        )

    def agrees(self, **terms: Any) -> "Bank":
        """The same with these terms from now on."""
        self.consent = self.agree(**terms)
        self.token = self.world.token(self.consent, [self.id], self.app)
        return self

    @property
    def path(self) -> str:
        return f"/data/{self.id}{BASE}/accounts/{self.ref}/transactions"

    def reads(self, path: str | None = None, token: str | None = None, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("localhost", self.world.port, timeout=20)
        sent = {"Authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path or self.path, headers={k: v for k, v in sent.items() if v})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def log(self) -> list[dict[str, Any]]:
        return self.world.entries(self.person)
