"""Grants that an app manages itself, as the data plane sees them: what was widened, changed or ended counts at once."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import _detail
from tests.worlds.demo import Resident, newcomer

CALLBACK = "http://localhost:8499/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ACCOUNTS, BALANCES = "/open-banking/v4.0/aisp/accounts", "/open-banking/v4.0/aisp/balances"
DECLARATION = f"""
client_id = "grant-keeper"
name = {{ fr = "Grant Keeper", en = "Grant Keeper" }}
legal_entity = "Grant Keeper SAS"
website = "https://keeper.example"
privacy_policy = "https://keeper.example/privacy"
terms = "https://keeper.example/terms"
deletion_contact = "delete@keeper.example"
redirect_uris = ["{CALLBACK}"]
token_endpoint_auth_method = "client_secret_basic"
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
purposes = ["household-budget"]
recipients = []
"""
DATA = """
[[data]]
organisation = "harbour-bank"
dataset = "{dataset}"
fields = ["{field}"]
necessity = "optional"
reason = {{ fr = "Pour vous.", en = "For you." }}
"""


@dataclass
class Keeper:
    """The app, and one person whose account at the bank is linked."""

    alice: Resident
    secret: str

    def __post_init__(self) -> None:
        self.http, self.at = self.alice.story.http, self.alice.gateway

    def posts(self, path: str, **form: str) -> httpx2.Response:
        return self.http.post(f"{self.at}{path}", data=form, auth=httpx2.BasicAuth("grant-keeper", self.secret))

    def granted(self, *datasets: str, **parameters: str) -> dict[str, Any]:
        """The token response to a request for these types of data, all of which she ticks."""
        details = [_detail(self.at, "harbour-bank", [one], "household-budget", "P12M", 12) for one in datasets]
        form = {"response_type": "code", "redirect_uri": CALLBACK, "code_challenge": CHALLENGE,
                "code_challenge_method": "S256", "authorization_details": json.dumps(details)}  # fmt: skip
        pushed = self.posts("/par", **form, **parameters)
        assert pushed.status_code == 201, pushed.text
        query = urlencode({"client_id": "grant-keeper", "request_uri": pushed.json()["request_uri"]})
        page = self.alice.visitor.get(f"{self.at}/authorize?{query}")
        asked = page.form("/consent/")
        values = {name: found[:1] for name, found in asked.offered.items() if name != "duration"}
        back = self.alice.visitor.submit(page, asked, press="allow", **values)
        code = parse_qs(urlsplit(back.url).query)["code"][0]
        answer = self.posts("/token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK,
                            code_verifier=VERIFIER)  # fmt: skip
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def reads(self, body: dict[str, Any], path: str) -> tuple[int, str]:
        headers = {"authorization": f"Bearer {body['access_token']}"}
        answer = self.http.get(f"{self.at}/data/harbour-bank{path}", headers=headers)
        return answer.status_code, answer.json().get("reason", "") if answer.status_code != 200 else ""

    def own(self) -> dict[str, str]:
        scope = "grant_management_query grant_management_revoke"
        token = self.posts("/token", grant_type="client_credentials", scope=scope).json()["access_token"]
        return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def secret(world: Demo, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("apps") / "grant-keeper.toml"
    data = [("bank.accounts", "account.kind"), ("bank.balances", "balance.amount")]
    text = DECLARATION + "".join(DATA.format(dataset=name, field=field) for name, field in data)
    file.write_text(text, encoding="utf-8")
    found = re.search(r"client_secret: (\S+)", demo_setup.aval(world, "apps", "add", str(file)))
    assert found
    return found[1]


@pytest.fixture
def keeper(world: Demo, secret: str) -> Keeper:
    alice = newcomer(world)
    alice.links("harbour-bank")
    return Keeper(alice, secret)


def test_G3_T1_merged_the_new_token_reads_both_and_the_old_one_nothing(keeper: Keeper) -> None:
    old = keeper.granted("bank.accounts")
    assert keeper.reads(old, ACCOUNTS) == (200, "") and keeper.reads(old, BALANCES) == (403, "dataset")
    new = keeper.granted("bank.balances", grant_management_action="merge", grant_id=old["grant_id"])
    assert keeper.reads(old, ACCOUNTS)[0] == 401
    assert [keeper.reads(new, path)[0] for path in (ACCOUNTS, BALANCES)] == [200, 200]


def test_G5_replaced_the_old_token_is_refused_at_once_and_only_the_new_data_remains(keeper: Keeper) -> None:
    old = keeper.granted("bank.accounts")
    assert keeper.reads(old, ACCOUNTS)[0] == 200
    new = keeper.granted("bank.balances", grant_management_action="replace", grant_id=old["grant_id"])
    assert new["grant_id"] == old["grant_id"]
    assert keeper.reads(old, ACCOUNTS)[0] == 401 and keeper.reads(old, BALANCES)[0] == 401
    assert keeper.reads(new, BALANCES)[0] == 200 and keeper.reads(new, ACCOUNTS) == (403, "dataset")


def test_G2_two_created_grants_are_read_and_ended_apart(keeper: Keeper) -> None:
    first, second = (keeper.granted("bank.accounts", grant_management_action="create") for _ in range(2))
    assert first["grant_id"] != second["grant_id"]
    assert [keeper.reads(one, ACCOUNTS)[0] for one in (first, second)] == [200, 200]
    ended = keeper.http.delete(f"{keeper.at}/grants/{first['grant_id']}", headers=keeper.own())
    assert ended.status_code == 204
    assert keeper.reads(first, ACCOUNTS) == (403, "ended") and keeper.reads(second, ACCOUNTS)[0] == 200


def test_G16_ended_by_the_app_the_next_call_is_refused_and_she_reads_who_ended_it(keeper: Keeper) -> None:
    body = keeper.granted("bank.accounts")
    own = keeper.own()
    said = keeper.http.get(f"{keeper.at}/grants/{body['grant_id']}", headers=own).json()
    assert said["authorization_details"] == body["authorization_details"]
    assert keeper.reads({"access_token": own["authorization"].partition(" ")[2]}, ACCOUNTS)[0] == 401
    assert keeper.http.delete(f"{keeper.at}/grants/{body['grant_id']}", headers=own).status_code == 204
    assert keeper.reads(body, ACCOUNTS) == (403, "ended")
    assert "ended by the app" in keeper.alice.visitor.get(f"{keeper.at}/sharings/{body['grant_id']}").text
    assert "Grant Keeper ended the sharing." in keeper.alice.visitor.get(f"{keeper.at}/log").text


def test_she_sees_the_versions_of_what_was_merged(keeper: Keeper) -> None:
    grant = keeper.granted("bank.accounts")["grant_id"]
    keeper.granted("bank.balances", grant_management_action="merge", grant_id=grant)
    page = keeper.alice.visitor.get(f"{keeper.at}/sharings/{grant}").text
    assert "You agreed to share more." in page and "Balances" in page
    assert "You agreed that Grant Keeper reads more" in keeper.alice.visitor.get(f"{keeper.at}/log").text
    for number in (1, 2):
        receipt = json.loads(keeper.alice.visitor.get(f"{keeper.at}/sharings/{grant}/receipt/{number}.json").body)
        assert receipt["receipt"]["aval:terms"]["version"] == number
    listed = keeper.alice.visitor.get(f"{keeper.at}/sharings").body
    assert listed.count(f"/sharings/{grant}/stop") == 1 == listed.count("<article")
