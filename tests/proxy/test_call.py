"""One data call through the real door: what is given, what is refused, what the person can read of it afterwards."""

import json

import pytest

from gateway.consent.rules import Act
from tests.proxy.bank import BASE, FIELDS, NATIVE, Bank
from tests.proxy.raw import answer, transactions


def test_an_app_reads_exactly_what_alice_agreed_to(bank: Bank) -> None:
    found = bank.reads()
    assert found.status == 200
    record = found.json["Data"]["Transaction"][0]
    assert record["AccountId"] == bank.ref and record["Amount"]["Amount"] == "10.50"
    assert b"canary" not in found.body and NATIVE.encode() not in found.body


def test_the_entry_says_what_was_given_and_no_value_of_it(bank: Bank) -> None:
    bank.reads()
    entry = bank.log()[-1]
    assert (entry["event"], entry["outcome"], entry["records"]) == ("access", "delivered", 1)
    assert entry["datasets"] == ["bank.transactions"] and entry["consent"] == bank.consent
    assert "canary" not in str(entry) and NATIVE not in str(entry) and "10.50" not in str(entry)


def test_answers_are_private_and_carry_only_listed_fields(bank: Bank) -> None:
    bank.organisation.says(
        answer(transactions(NATIVE), Set_Cookie="a=b", Strict_Transport_Security="max-age=1", Via="x", ETag='"w"',
               Access_Control_Allow_Origin="*", Alt_Svc="h3", Date="yesterday", Server="secret-server")
    )  # fmt: skip
    headers = bank.reads().headers
    assert headers.keys() == {
        "date", "content-type", "content-length", "cache-control", "x-content-type-options", "x-request-id"
    }  # fmt: skip
    assert headers["cache-control"] == "private, no-store" and headers["date"] != "yesterday"


def test_nothing_of_the_apps_request_reaches_the_organisation(bank: Bank) -> None:
    bank.reads(Cookie="session=1", Proxy_Authorization="Basic x", X_Forwarded_For="1.2.3.4", X_User_Id="bob",
               Connection="close, X-Internal-User, Authorization", X_HTTP_Method_Override="DELETE",
               Range="bytes=0-1", If_None_Match="*", User_Agent="mallory")  # fmt: skip
    sent = bank.organisation.seen[-1]
    assert {name.lower() for name in sent.headers} == {
        "host", "authorization", "accept", "accept-encoding", "user-agent", "x-request-id"
    }  # fmt: skip
    assert (sent.headers["authorization"], sent.headers["user-agent"]) == ("Bearer organisation-token", "Aval")
    assert sent.target.startswith(f"{BASE}/accounts/{NATIVE}/transactions")


def test_the_organisation_can_find_the_entry_by_the_request_id(bank: Bank) -> None:
    found = bank.reads()
    assert bank.organisation.seen[-1].headers["x-request-id"] == found.headers["x-request-id"]
    assert bank.log()[-1]["request_id"] == found.headers["x-request-id"]


# ---- audience


def test_a_token_for_one_organisation_opens_no_other(bank: Bank, world, organisation) -> None:  # type: ignore[no-untyped-def]
    other = Bank(world, organisation)
    refused = bank.reads(other.path)
    assert refused.status == 403 and refused.json["term"] == "organisation"
    assert bank.log()[-1]["event"] == "denied"
    assert not bank.organisation.seen


# ---- ids in path, query, pages


def test_mallorys_account_is_refused_and_alice_can_read_that_it_was_asked_for(bank: Bank) -> None:
    other = bank.world.ref(bank.app, bank.person, bank.id, "00099999")
    refused = bank.reads(bank.path.replace(bank.ref, other))
    assert refused.status == 403
    assert (refused.reason, refused.json["term"]) == ("account", "accounts")
    assert refused.json["allowed"] == bank.ref
    entry = bank.log()[-1]
    assert (entry["event"], entry["reason"], entry["term"]) == ("denied", "account", "accounts")
    assert not bank.organisation.seen


def test_native_account_numbers_open_nothing(bank: Bank) -> None:
    assert bank.reads(bank.path.replace(bank.ref, NATIVE)).status == 403


@pytest.mark.parametrize("query", ["accountId=00099999", "AccountId=1", "customer=bob", "select=*"])
def test_parameters_that_could_widen_the_answer_are_refused(bank: Bank, query: str) -> None:
    refused = bank.reads(f"{bank.path}?{query}")
    assert refused.status == 403 and refused.reason == "field"
    assert "parameter" in refused.json["title"] and refused.json["asked"] == query.partition("=")[0]
    assert not bank.organisation.seen


def test_a_time_outside_the_agreed_period_is_refused_by_name(bank: Bank) -> None:
    query = "fromBookingDateTime=2015-01-01T00:00:00&toBookingDateTime=2016-01-01T00:00:00"
    refused = bank.reads(f"{bank.path}?{query}")
    assert (refused.status, refused.reason, refused.json["term"]) == (403, "period", "period")
    assert refused.json["asked"].startswith("2014-12-31T23:00:00Z") and refused.json["allowed"]


def test_other_peoples_records_in_an_answer_are_withheld(bank: Bank) -> None:
    bank.organisation.says(answer(transactions(NATIVE, "00099999", "55555", count=2)))
    found = bank.reads()
    assert len(found.json["Data"]["Transaction"]) == 2
    entry = bank.log()[-1]
    assert (entry["records"], entry["records_withheld"], entry["outcome"]) == (2, 4, "partly")


@pytest.mark.parametrize("spelt", ["{}", "{} ", "n° {}-1", "{0[0]}{0[1]} {0[2]}{0[3]} {0[4]}{0[5]} {0[6]}{0[7]}"])
def test_the_banks_own_number_of_no_account_of_alice_leaves_in_words_she_shares(bank: Bank, spelt: str) -> None:
    bank.agrees(fields=[*FIELDS, "transaction.narrative", "transaction.merchant", "transaction.counterparty"])
    for native, shown in ((NATIVE, bank.ref), ("00099999", "withheld")):
        answered = json.loads(transactions(NATIVE))
        text = spelt.format(native)
        words = {
            "TransactionInformation": text,
            "AddressLine": text,
            "MerchantDetails": {"MerchantName": text},
            "CreditorAccount": {"SchemeName": "UK.OBIE.IBAN", "Identification": text},
        }
        answered["Data"]["Transaction"][0] |= words
        bank.organisation.says(answer(json.dumps(answered).encode()))
        body = bank.reads().body.decode()
        assert body.count(shown) >= 4 and native not in body.replace(" ", "")


def test_records_before_the_agreed_period_are_withheld_even_if_the_organisation_sends_them(bank: Bank) -> None:
    bank.organisation.says(answer(transactions(NATIVE, day="2015-01-01")))
    assert bank.reads().json["Data"]["Transaction"] == []


def test_links_of_pages_come_back_through_the_gateway_and_are_checked_again(bank: Bank) -> None:
    upstream = f"{bank.organisation.url}{BASE}/accounts/{NATIVE}/transactions?page=2"
    bank.organisation.says(answer(transactions(NATIVE, Next=upstream)))
    following = bank.reads().json["Links"]["Next"]
    assert following.startswith(f"{bank.world.settings.public_url}{bank.path}?") and NATIVE not in following
    assert bank.reads(following.removeprefix(bank.world.settings.public_url)).status == 200
    assert "page=2" in bank.organisation.seen[-1].target
    bank.world.change(bank.consent, Act.PAUSED)
    assert bank.reads(following.removeprefix(bank.world.settings.public_url)).status == 403


def test_a_dataset_that_was_not_agreed_to_is_refused(bank: Bank) -> None:
    refused = bank.reads(f"/data/{bank.id}{BASE}/accounts")
    assert (refused.status, refused.reason) == (403, "dataset")


# ---- the consent as it is now


def test_T27_a_call_reads_its_own_agreement_alone(bank: Bank) -> None:
    """However many others she has: whatever would read them would fail, since they cannot be read."""
    assert bank.reads().status == 200
    mine, others = bank.consent, [bank.agree() for _ in range(30)]
    hers = "SELECT id FROM consent WHERE person_id = :person AND id <> :mine"
    bank.world.run(f"UPDATE terms SET json = 'unreadable' WHERE consent_id IN ({hers})", person=bank.person, mine=mine)
    bank.world.change(mine, Act.PAUSED)
    bank.world.change(mine, Act.RESUMED)  # what was read before is forgotten
    assert bank.reads().status == 200
    assert bank.reads(token=bank.world.token(others[0], [bank.id], bank.app)).status >= 500


@pytest.mark.parametrize(("act", "reason", "told"), [(Act.ENDED, "withdrawn", "ended"), (Act.PAUSED, "", "paused")])
def test_the_first_call_after_alice_stops_is_refused(bank: Bank, act: Act, reason: str, told: str) -> None:
    assert bank.reads().status == 200
    bank.world.change(bank.consent, act, reason)
    before = len(bank.organisation.seen)
    refused = bank.reads()
    assert (refused.status, refused.reason) == (403, told)
    assert len(bank.organisation.seen) == before
    assert bank.log()[-1]["reason"] == told


def test_a_paused_sharing_works_again_when_resumed(bank: Bank) -> None:
    bank.world.change(bank.consent, Act.PAUSED)
    assert bank.reads().status == 403
    bank.world.change(bank.consent, Act.RESUMED)
    assert bank.reads().status == 200


def test_an_expired_sharing_is_refused(bank: Bank) -> None:
    refused = bank.agrees(days=-0.01).reads()
    assert (refused.status, refused.reason) == (403, "ended")


def test_an_app_that_gave_its_tokens_back_is_challenged(bank: Bank) -> None:
    assert bank.reads().status == 200
    bank.world.run("UPDATE tokenfamily SET ended_at = '2026-01-01 00:00:00' WHERE consent_id = :c", c=bank.consent)
    assert bank.reads().status == 401


def test_unlinking_ends_the_flow_at_once(bank: Bank) -> None:
    assert bank.reads().status == 200
    bank.world.run("UPDATE link SET ended_at = '2026-01-01 00:00:00' WHERE person_id = :p", p=bank.person)
    refused = bank.reads()
    assert (refused.status, refused.reason) == (403, "not_linked")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE app SET status = 'suspended' WHERE client_id = :app", "suspended"),
        ("UPDATE organisation SET status = 'suspended' WHERE id = :organisation", "suspended"),
    ],
)
def test_a_suspended_app_or_organisation_gets_and_gives_nothing(bank: Bank, statement: str, reason: str) -> None:
    assert bank.reads().status == 200
    values = {"app": bank.app} if ":app" in statement else {"organisation": bank.id}
    bank.world.run(statement, **values)
    refused = bank.reads()
    assert (refused.status, refused.reason) == (403, reason)


def test_a_consent_changed_while_the_organisation_answers_gives_nothing(bank: Bank) -> None:
    async def behave(exchange) -> None:  # type: ignore[no-untyped-def]
        bank.world.change(bank.consent, Act.ENDED, "withdrawn")
        await exchange.say(answer(transactions(NATIVE)))

    bank.organisation.behaviour = behave
    refused = bank.reads()
    assert (refused.status, refused.reason) == (403, "ended")
    assert bank.world.kinds(bank.person) == ["denied"]


# ---- other methods, caches, conditions


def test_head_is_a_read_and_an_entry(bank: Bank) -> None:
    full, head = bank.reads(), bank.reads(method="HEAD")
    assert head.status == 200 and head.body == b""
    assert head.headers["content-length"] == full.headers["content-length"]
    assert bank.world.kinds(bank.person) == ["access", "access"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_reading_is_possible(bank: Bank, method: str) -> None:
    assert bank.reads(method=method, X_HTTP_Method_Override="GET").status == 405
    assert not bank.organisation.seen


def test_a_conditional_call_is_answered_whole_and_logged(bank: Bank) -> None:
    assert bank.reads(If_None_Match="*", If_Modified_Since="Mon, 23 Nov 2037 10:00:00 GMT").status == 200
    assert bank.world.kinds(bank.person) == ["access"]


def test_a_looping_app_cannot_fill_the_log(bank: Bank) -> None:
    bank.world.change(bank.consent, Act.PAUSED)
    for _ in range(60):
        assert bank.reads().status == 403
    assert 10 <= len(bank.log()) <= 25
