"""A receipt is checked with what this service publishes, and is good for nothing else."""

import json

import jwt
from security_world import BASE, World, detail, moves_in, settle

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def test_a_receipt_verifies_with_the_published_keys_and_opens_no_door(world: World) -> None:
    bank = settle(world)
    alice, mallory = world.person("Alice"), world.person("Mallory")
    moves_in(world, bank, alice)
    browser = world.browser(alice)
    grant = world.agreed(browser, "budget", [detail("harbour-bank", ALL)])["grant_id"]
    browser.post(f"/sharings/{grant}/stop", {"erase": "yes"})
    published = jwt.PyJWKSet.from_dict(world.http.get("/jwks.json").json())
    for name, status in (("1", "dpv:ConsentGiven"), ("end", "dpv:ConsentWithdrawn")):
        address = f"/sharings/{grant}/receipt/{name}.json"
        assert world.browser(mallory).get(address).status_code == 404
        assert world.http.get(address).status_code in (303, 401)
        answer = browser.get(address)
        assert answer.headers["cache-control"] == "no-store"
        word = json.loads(answer.text)["jws"]
        receipt = jwt.decode(word, published[jwt.get_unverified_header(word)["kid"]], algorithms=["ES256"])
        assert receipt["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"] == status
        assert receipt["aval:terms"]["consent"] == grant
        assert alice not in answer.text and "Label of" not in answer.text
        assert world.read(word, f"/data/harbour-bank{BASE}/accounts").status_code == 401
