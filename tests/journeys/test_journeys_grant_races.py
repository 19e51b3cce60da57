"""Many answers to one request about a grant, at two gateways on one database: it changes once, and ends once."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from journeys_world import CALLBACK, FIELDS, USAGE, VERIFIER, WORDS, World, at_once, b64, statuses

from gateway.apps import declare, verbs
from gateway.consent.tables import Consent, Terms
from gateway.ground.keys import fresh
from tests.worlds import apps

pytestmark = pytest.mark.postgres
COST = "interval.cost"


class Keeper:
    """An app that proves who it is by a secret, at either gateway."""

    def __init__(self, world: World) -> None:
        self.world = world
        data = [{"organisation": "city-energy", "dataset": "energy.electricity.usage", "fields": [*FIELDS, COST],
                 "necessity": "optional", "reason": WORDS}]  # fmt: skip
        document = apps.declaration(
            "keeper",
            redirect_uris=[CALLBACK],
            purposes=["energy-advice"],
            data=data,
            token_endpoint_auth_method="client_secret_basic",
            grant_types=["authorization_code", "refresh_token", "client_credentials"],
        )
        with world.house.store.write() as session:
            parsed = declare.parse(document, Path("app.toml"))
            _, self.secret = verbs.register(
                session, world.house.catalogue, world.house.settings, parsed, world.house.clock()
            )

    def post(self, at: int, path: str, **form: str) -> Any:
        shown = base64.b64encode(f"keeper:{self.secret}".encode()).decode()
        return self.world.browser(at).post(path, data=form, headers={"authorization": f"Basic {shown}"})

    def pushed(self, fields: list[str], **parameters: str) -> str:
        details = json.dumps([{**USAGE, "fields": fields}])
        challenge = b64(hashlib.sha256(VERIFIER.encode()).digest())
        form = {"response_type": "code", "redirect_uri": CALLBACK, "code_challenge": challenge,
                "code_challenge_method": "S256", "authorization_details": details, **parameters}  # fmt: skip
        answer = self.post(0, "/par", **form)
        assert answer.status_code == 201, answer.text
        return "/authorize?" + urlencode({"client_id": "keeper", "request_uri": answer.json()["request_uri"]})

    def form(self, cookie: str, address: str) -> tuple[str, dict[str, str]]:
        action, fields = self.world.screen(cookie, address)
        reference = fields["accounts:city-energy"]
        return action, {**fields, "accounts:city-energy": reference, "item:city-energy:energy.electricity.usage": "yes"}

    def granted(self) -> dict[str, Any]:
        cookie, address = self.world.signed_in("alice"), self.pushed(FIELDS)
        action, fields = self.form(cookie, address)
        assert self.world.browser(0, cookie).post(action, data=fields).status_code == 303
        return self.redeemed(cookie, address)

    def redeemed(self, cookie: str, address: str) -> dict[str, Any]:
        code = self.world.answered(cookie, address)["code"]
        answer = self.post(1, "/token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK,
                           code_verifier=VERIFIER)  # fmt: skip
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture(scope="module")
def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"grants_{fresh()[:8].lower().replace('-', '_')}"
    postgres.create(name)
    made = World(tmp_path_factory.mktemp("grants"), postgres.url(name))
    yield made
    made.close()
    postgres.drop(name)


@pytest.fixture(scope="module")
def keeper(world: World) -> Keeper:
    return Keeper(world)


@pytest.mark.parametrize("action, kind", [("merge", "consent_extended"), ("replace", "consent_changed")])
def test_T31_of_many_a_yes_counts_once(world: World, keeper: Keeper, action: str, kind: str) -> None:
    world.forget_tries()
    old, before = keeper.granted(), world.kinds("alice").count(kind)
    cookie = world.signed_in("alice")
    address = keeper.pushed([*FIELDS, COST], grant_management_action=action, grant_id=old["grant_id"])
    sent, fields = keeper.form(cookie, address)
    answers = at_once(8, lambda number: world.browser(number, cookie).post(sent, data=fields))
    assert statuses(answers) == [303] * 8
    assert [row.version for row in world.rows(Terms, Terms.consent_id == old["grant_id"])] == [1, 2]
    assert world.kinds("alice").count(kind) == before + 1
    new = keeper.redeemed(cookie, address)
    assert new["grant_id"] == old["grant_id"] and COST in new["authorization_details"][0]["fields"]
    refused = [keeper.post(at, "/token", grant_type="refresh_token", refresh_token=old["refresh_token"])
               for at in (0, 1)]  # fmt: skip
    assert statuses(refused) == [400, 400]


def test_G17_of_many_calls_to_end_a_grant_one_ends_it(world: World, keeper: Keeper) -> None:
    world.forget_tries()
    grant = keeper.granted()["grant_id"]
    token = keeper.post(0, "/token", grant_type="client_credentials", scope="grant_management_revoke").json()
    headers = {"authorization": f"Bearer {token['access_token']}"}
    answers = at_once(8, lambda number: world.browser(number).delete(f"/grants/{grant}", headers=headers))
    assert statuses(answers) == [204] + [404] * 7
    [row] = world.rows(Consent, Consent.id == grant)
    assert (row.state, row.reason) == ("ended", "by_app")
    assert world.kinds("alice").count("consent_ended") >= 1


@pytest.mark.parametrize("_round", range(4))
def test_a_yes_and_an_end_at_once_leave_it_ended(world: World, keeper: Keeper, _round: int) -> None:
    """Whichever comes first: nothing that has ended runs again."""
    world.forget_tries()
    grant = keeper.granted()["grant_id"]
    cookie = world.signed_in("alice")
    address = keeper.pushed([*FIELDS, COST], grant_management_action="merge", grant_id=grant)
    sent, fields = keeper.form(cookie, address)
    token = keeper.post(0, "/token", grant_type="client_credentials", scope="grant_management_revoke").json()
    headers = {"authorization": f"Bearer {token['access_token']}"}

    def act(number: int) -> Any:
        if number:
            return world.browser(number, cookie).post(sent, data=fields)
        return world.browser(number).delete(f"/grants/{grant}", headers=headers)

    ended, answered = at_once(2, act)
    assert ended.status_code == 204 and answered.status_code in (303, 410), answered.text[:300]
    [row] = world.rows(Consent, Consent.id == grant)
    assert row.state == "ended" and row.version == (2 if answered.status_code == 303 else 1)
