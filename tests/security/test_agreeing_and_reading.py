"""A whole agreement and a read, before anybody attacks."""

from security_world import BASE, INSIDE, World, detail, transactions, with_alice

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def test_an_app_reads_what_was_agreed_and_nothing_else(world: World) -> None:
    bank, alice = with_alice(world, "canary")
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    refs = body["authorization_details"][0]["accounts"]
    answer = world.read(body["access_token"], transactions(refs[0]))
    assert answer.status_code == 200
    found = answer.json()["Data"]["Transaction"]
    assert len(found) == INSIDE
    assert "canary" not in answer.text and "native-" not in answer.text
    assert world.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts").status_code == 200
