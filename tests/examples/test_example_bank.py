"""Harbour Bank, as the gateway meets it: assertions, linking, paging, periods."""

import time

import pytest

AISP = "/open-banking/v4.0/aisp"
ALICE, MALLORY = "a" * 43, "m" * 43


@pytest.fixture(scope="module")
def bank(start):
    running = start("harbour_bank", "--faults")
    running.link(ALICE, "HB-2001")
    return running


def test_a_linked_person_reads_her_accounts_and_nobody_else_does(bank):
    found = bank.get(f"{AISP}/accounts", ALICE)
    assert found.status_code == 200
    assert [a["Account"][0]["Name"] for a in found.json()["Data"]["Account"]] == ["Alice Martin"] * 2
    assert bank.get(f"{AISP}/accounts", MALLORY).status_code == 403
    assert bank.http.get(f"{AISP}/accounts").status_code == 401


def test_an_account_of_another_customer_is_unknown(bank):
    from examples.data.bank import ACCOUNTS

    own, foreign = ACCOUNTS["HB-2001"][0].id, ACCOUNTS["HB-2002"][0].id
    assert bank.get(f"{AISP}/accounts/{own}/balances", ALICE).status_code == 200
    assert bank.get(f"{AISP}/accounts/{foreign}/balances", ALICE).status_code == 404


def test_next_links_lead_through_every_transaction_once(bank):
    seen, path, query = [], f"{AISP}/transactions", {}
    while path:
        page = bank.http.get(path, params=query or None, headers=bank.signed(ALICE)).json()
        seen += [t["TransactionId"] for t in page["Data"]["Transaction"]]
        assert len(page["Data"]["Transaction"]) <= 100
        path = page["Links"].get("Next", "").removeprefix(bank.url)
    assert len(seen) == len(set(seen)) > 2000
    assert page["Links"]["Self"] == page["Links"]["Last"]


def test_the_period_is_kept_in_the_bank_s_own_local_time(bank):
    query = {"fromBookingDateTime": "2026-03-28T00:00:00", "toBookingDateTime": "2026-03-30T23:59:59"}
    rows = bank.get(f"{AISP}/transactions", ALICE, **query).json()["Data"]["Transaction"]
    days = {row["BookingDateTime"][:10] for row in rows}
    assert days == {"2026-03-28", "2026-03-29", "2026-03-30"}
    zoned = {"fromBookingDateTime": "2026-03-28T00:00:00+09:00", "toBookingDateTime": "2026-03-30T23:59:59.000Z"}
    assert bank.get(f"{AISP}/transactions", ALICE, **zoned).json()["Data"]["Transaction"] == rows


@pytest.mark.parametrize(
    "query", [{"fromBookingDateTime": "yesterday"}, {"page": "0"}, {"page": "x"}, {"from": "2026"}]
)
def test_a_bad_or_unknown_parameter_is_an_error_and_not_everything(bank, query):
    answer = bank.get(f"{AISP}/transactions", ALICE, **query)
    assert answer.status_code == 400 and answer.json()["Errors"]


def _wrong(bank):
    now = int(time.time())
    return {
        "expired": {"iat": now - 200, "exp": now - 140},
        "too long": {"exp": now + 3600},
        "from the future": {"iat": now + 600, "exp": now + 650},
        "for another": {"aud": "http://localhost:1"},
        "for several": {"aud": [bank.url, "http://localhost:1"]},
        "by another": {"iss": "http://localhost:1"},
        "of another type": {"typ": "JWT"},
    }


@pytest.mark.parametrize("kind", sorted(_wrong(type("B", (), {"url": ""}))))
def test_an_assertion_that_is_not_right_is_refused(bank, kind):
    changed = _wrong(bank)[kind]
    assert bank.http.get(f"{AISP}/accounts", headers=bank.signed(ALICE, **changed)).status_code == 401


def test_an_assertion_signed_by_another_key_is_refused(bank):
    token = bank.gateway.assertion(bank.url, ALICE)
    head, body, signature = token.split(".")
    forged = ".".join([head, body, ("A" if signature[0] != "A" else "B") + signature[1:]])
    answer = bank.http.get(f"{AISP}/accounts", headers={"Authorization": f"Bearer {forged}"})
    assert answer.status_code == 401


def test_reads_may_share_an_assertion_while_it_lives_but_linking_takes_each_once(bank):
    headers = bank.signed(ALICE)
    assert [bank.http.get(f"{AISP}/accounts", headers=headers).status_code for _ in range(2)] == [200, 200]
    headers, asked = bank.signed("c" * 43), {"customer_number": "HB-2002"}
    assert bank.http.post("/aval/link/start", json=asked, headers=headers).status_code == 202
    assert bank.http.post("/aval/link/start", json=asked, headers=headers).status_code == 401


def test_a_new_key_of_the_gateway_is_found(bank):
    time.sleep(1.1)  # the bank fetches keys at most once a second
    bank.gateway.rotate()
    assert bank.get(f"{AISP}/accounts", ALICE).status_code == 200


def test_a_wrong_code_links_nobody_and_five_spoil_the_right_one(bank):
    bob = "b" * 43
    assert bank.post("/aval/link/start", bob, {"customer_number": "HB-2002"}).json() == {"sent_to": "***12"}
    right = bank.code("HB-2002")
    wrong = {"customer_number": "HB-2002", "code": f"{(int(right) + 1) % 10**6:06d}"}
    statuses = [bank.post("/aval/link/confirm", bob, wrong).status_code for _ in range(5)]
    assert statuses == [403] * 5
    assert bank.post("/aval/link/confirm", bob, wrong | {"code": right}).status_code == 410
    assert bank.get(f"{AISP}/accounts", bob).status_code == 403


def test_a_code_works_once_and_for_its_own_subject_and_customer(bank):
    assert bank.post("/aval/link/start", MALLORY, {"customer_number": "HB-2003"}).status_code == 202
    code = bank.code("HB-2003")
    stolen = {"customer_number": "HB-2001", "code": code}
    assert bank.post("/aval/link/confirm", MALLORY, stolen).status_code == 403
    assert bank.post("/aval/link/confirm", "x" * 43, stolen).status_code == 410
    right = {"customer_number": "HB-2003", "code": code}
    assert bank.post("/aval/link/confirm", MALLORY, right).status_code == 200
    assert bank.post("/aval/link/confirm", MALLORY, right).status_code == 410
    assert bank.post("/aval/link/end", MALLORY, {}).status_code == 204
    assert bank.get(f"{AISP}/accounts", MALLORY).status_code == 403


def test_an_unknown_customer_and_a_bad_body_are_refused(bank):
    assert bank.post("/aval/link/start", ALICE, {"customer_number": "HB-9999"}).status_code == 404
    assert bank.post("/aval/link/start", ALICE, {}).status_code == 400
    answer = bank.http.post("/aval/link/start", content=b"[1", headers=bank.signed(ALICE))
    assert answer.status_code == 400


def test_a_link_outlives_a_restart(start, tmp_path):
    first = start("harbour_bank", folder=tmp_path)
    first.link(ALICE, "HB-2001")
    first.stop()
    again = start("harbour_bank", folder=tmp_path)
    assert again.get(f"{AISP}/accounts", ALICE).status_code == 200


def test_faults_happen_on_demand_and_only_then(bank, start):
    def fault(mode, **more):
        assert bank.http.post("/_fault", json={"mode": mode, **more}).status_code == 204

    try:
        fault("down")
        assert bank.get(f"{AISP}/accounts", ALICE).status_code == 503
        fault("html")
        assert bank.get(f"{AISP}/accounts", ALICE).headers["content-type"].startswith("text/html")
        fault("redirect")
        assert bank.get(f"{AISP}/accounts", ALICE).status_code == 302
        fault("wrong_type")
        assert bank.get(f"{AISP}/accounts", ALICE).headers["content-type"] == "image/png"
        fault("truncated")
        with pytest.raises(Exception, match="closed|incomplete|peer|disconnected"):
            bank.get(f"{AISP}/accounts", ALICE)
        fault("oversized", megabytes=3)
        assert len(bank.get(f"{AISP}/accounts", ALICE).content) == 3 * 2**20
        fault("slow", seconds=0.3)
        begun = time.monotonic()
        assert bank.get(f"{AISP}/accounts", ALICE).status_code == 200
        assert time.monotonic() - begun >= 0.3
        assert bank.http.post("/_fault", json={"mode": "explode"}).status_code == 400
    finally:
        fault("none")
    assert start("harbour_bank").http.post("/_fault", json={"mode": "down"}).status_code == 404
