"""That the fortress stands: a whole agreement and a read, before anybody attacks it."""

from bank import BASE, INSIDE, transactions, with_alice
from fortress import Fort, detail

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def test_an_app_reads_what_was_agreed_and_nothing_else(fort: Fort) -> None:
    bank, alice = with_alice(fort, "canary")
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL)])
    refs = body["authorization_details"][0]["accounts"]
    answer = fort.read(body["access_token"], transactions(refs[0]))
    assert answer.status_code == 200
    found = answer.json()["Data"]["Transaction"]
    assert len(found) == INSIDE
    assert "canary" not in answer.text and "native-" not in answer.text
    assert fort.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts").status_code == 200
