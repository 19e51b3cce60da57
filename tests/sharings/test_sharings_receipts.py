"""Receipts as files: signed, complete, read from the one record, for nobody else's eyes."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
import rfc8785

from gateway.sharings.receipts import TYP
from tests.worlds.consent import BANK, CLEAR_BUDGET, SUMMARY_BOX, Visitor, World


def receipt_of(world: World, person: Visitor, consent: str, number: object = 1) -> dict[str, Any]:
    """The receipt as its signature vouches for it, checked with the published keys alone."""
    page = person.gets(f"/sharings/{consent}/receipt/{number}.json")
    assert page.status == 200, page.text
    file = json.loads(page.body)
    header = jwt.get_unverified_header(file["jws"])
    (published,) = [key for key in world.house.keys.jwks()["keys"] if key["kid"] == header["kid"]]
    payload = jwt.decode(file["jws"], jwt.PyJWK(published), algorithms=["ES256"])
    assert header["typ"] == TYP and payload == file["receipt"]
    return payload


def sha256(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def test_a_receipt_says_what_the_terms_say(world: World, alice: Visitor, consent: str) -> None:
    receipt, terms = receipt_of(world, alice, consent), world.terms(consent)
    record = receipt["dpv:hasRecordOfActivity"]
    assert receipt["aval:terms"] == terms
    assert receipt["aval:termsSha256"] == sha256(terms)
    assert record["dct:identifier"] == f"{consent}:1"
    assert record["dpv:hasConsentStatus"] == "dpv:ConsentGiven"
    assert record["dpv:hasDataSubject"]["dct:identifier"] == terms["subject"] != "alice"
    assert record["dpv:hasDuration"]["aval:until"] == terms["valid"]["until"]
    assert record["dpv:isIndicatedBy"] == ["dpv:DataSubject"]
    assert record["dpv:hasNotice"][0]["aval:textSha256"] == world.evidence(consent).text_sha256
    assert record["dpv:hasNotice"][1]["schema:url"] == "https://watt-coach.example/privacy"
    said = {
        one["dpv:hasPersonalData"]["dct:identifier"]: (
            one["dpv:hasConsentStatus"],
            one["dpv:hasNecessity"],
            one["dpv:hasPersonalData"]["aval:fields"],
            one["aval:period"],
            one["dpv:hasDataSource"]["dct:identifier"],
        )
        for one in record["dpv:hasProcess"]
    }
    assert said == {
        item["dataset"]: (
            "dpv:ConsentGiven" if item["granted"] else "dpv:ConsentRefused",
            "dpv:Required" if item["necessity"] == "required" else "dpv:Optional",
            item["fields"],
            item["period"],
            item["organisation"],
        )
        for item in terms["items"]
    }
    assert {status for status, *_ in said.values()} == {"dpv:ConsentGiven", "dpv:ConsentRefused"}


def test_the_hashes_of_terms_and_events_can_be_worked_out_from_the_files_alone(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "pause")
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    first, second = (receipt_of(world, alice, consent, number) for number in (1, 2))
    assert second["aval:terms"]["previous"] == first["aval:termsSha256"] == sha256(first["aval:terms"])
    assert second["aval:termsSha256"] == sha256(second["aval:terms"])
    assert [event["type"] for event in first["aval:events"]] == ["requested", "granted"]
    assert [event["type"] for event in second["aval:events"]] == ["requested", "granted", "paused", "narrowed"]
    previous = "0" * 64
    for event in second["aval:events"]:
        kept = event.pop("sha256")
        assert event["prev"] == previous and sha256(event) == kept
        previous = kept


def test_a_receipt_stays_the_same_whatever_happens_afterwards(world: World, alice: Visitor, consent: str) -> None:
    before = receipt_of(world, alice, consent)
    world.clock.passes(days=3)
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.does(consent, "stop")
    world.rooms.apps["watt-coach"] = replace(world.rooms.apps["watt-coach"], privacy_policy="https://other.example/")
    assert receipt_of(world, alice, consent) == before


def test_the_receipt_of_the_end_says_who_ended_it_and_from_when(world: World, alice: Visitor, consent: str) -> None:
    assert alice.gets(f"/sharings/{consent}/receipt/end.json").status == 404  # not ended
    world.clock.passes(days=1)
    alice.does(consent, "stop")
    record = receipt_of(world, alice, consent, "end")["dpv:hasRecordOfActivity"]
    assert record["dpv:hasConsentStatus"] == "dpv:ConsentWithdrawn"
    assert record["aval:reason"] == "withdrawn"
    assert record["aval:refusedFrom"] == world.clock().isoformat()


def test_the_receipt_of_a_replaced_agreement_names_the_new_one(world: World, alice: Visitor, consent: str) -> None:
    newer = world.asks(alice)
    alice.allows(newer)
    record = receipt_of(world, alice, consent, "end")["dpv:hasRecordOfActivity"]
    assert (record["aval:reason"], record["dct:isReplacedBy"]) == ("replaced", newer)
    assert receipt_of(world, alice, newer)["dpv:hasRecordOfActivity"]["dct:replaces"] == consent


def test_an_end_date_that_passed_has_its_receipt_before_anybody_wrote_it_down(
    world: World, alice: Visitor, consent: str
) -> None:
    world.clock.passes(days=400)
    record = receipt_of(world, alice, consent, "end")["dpv:hasRecordOfActivity"]
    assert record["dpv:hasConsentStatus"] == "dpv:ConsentExpired"
    assert record["aval:refusedFrom"] == world.terms(consent)["valid"]["until"]


def test_a_receipt_names_neither_her_nor_her_accounts(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    alice.allows(consent, **BANK)
    page = alice.gets(f"/sharings/{consent}/receipt/1.json")
    assert "Alice" not in page.body and "***56" not in page.body and "alice" not in page.body
    sensitive = json.loads(page.body)["receipt"]["dpv:hasRecordOfActivity"]["dpv:hasProcess"][0]
    assert "dpv:SensitivePersonalData" in sensitive["dpv:hasPersonalData"]["@type"]


def test_what_a_guardian_agreed_to_is_said_to_be_so(world: World, alice: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    alice.allows(consent)
    for reader in (alice, chloe):
        record = receipt_of(world, reader, consent)["dpv:hasRecordOfActivity"]
        assert record["dpv:isIndicatedBy"] == ["dpv:GuardianOfDataSubject"]


def test_a_receipt_is_a_file_that_nobody_keeps_on_the_way(world: World, alice: Visitor, consent: str) -> None:
    headers = alice.gets(f"/sharings/{consent}/receipt/1.json").headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert headers["content-disposition"] == 'attachment; filename="aval-watt-coach-1.json"'


@pytest.mark.parametrize("number", ["0", "2", "01", "-1", "x", "1.json", "%31%30"])
def test_a_version_that_never_was_has_no_receipt(alice: Visitor, consent: str, number: str) -> None:
    assert alice.gets(f"/sharings/{consent}/receipt/{number}.json").status == 404


@pytest.mark.parametrize("number", ["1", "end"])
def test_mallory_gets_no_receipt_of_alice(alice: Visitor, mallory: Visitor, consent: str, number: str) -> None:
    alice.does(consent, "stop")
    assert alice.gets(f"/sharings/{consent}/receipt/{number}.json").status == 200
    assert mallory.gets(f"/sharings/{consent}/receipt/{number}.json").status == 404


def test_a_request_that_was_refused_has_no_receipt(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.answers(consent, "refuse")
    for number in ("1", "end"):
        assert alice.gets(f"/sharings/{consent}/receipt/{number}.json").status == 404


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pages_link_to_the_files_and_say_how_to_check_them(
    world: World, alice: Visitor, consent: str, language: str
) -> None:
    alice.language = language
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.does(consent, "stop")
    for path in (f"/sharings/{consent}", f"/sharings/{consent}/stopped"):
        page = alice.gets(path)
        links = page.tree.xpath("//main//a/@href")
        files = [f"/sharings/{consent}/receipt/{number}.json" for number in (1, 2, "end")]
        assert [link for link in links if "/receipt/" in link] == files
        assert "/jwks.json" in links
        assert all(alice.gets(file).status == 200 for file in files)
