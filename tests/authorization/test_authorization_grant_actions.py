"""create, merge and replace (Grant Management §5). G1, T1 and their like name the statements they keep."""

import hashlib
import json

import pytest
from authorization_world import Page, answered, bank
from client_keys import EC, jws
from grants_asked import (
    CONFIDENTIAL,
    POINT,
    SUMMARY,
    USAGE,
    Asking,
    acts,
    box,
    consent,
    kinds,
    terms,
    text_of,
    told,
    versions,
    wants,
)
from sqlmodel import select

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent, Evidence

ACTIONS = ("create", "merge", "replace")


@pytest.fixture
def ledger(world):
    for name in ("ledger", "rival"):
        world.register(name, **CONFIDENTIAL)
    return Asking(world)


def merge(grant):
    return {"grant_management_action": "merge", "grant_id": grant}


def replace(grant):
    return {"grant_management_action": "replace", "grant_id": grant}


CREATE = {"grant_management_action": "create"}


def refresh(world, body, app="ledger"):
    answer = world.refresh(body["refresh_token"], app)
    return answer.status_code, answer.json().get("error", "")


def ends(world, grant, reason=EndReason.WITHDRAWN):
    with world.house.store.write() as session:
        deciding.end(session, world.house.log, session.get_one(Consent, grant), herself("alice"), reason,
                     world.clock.now)  # fmt: skip


def removes(world, grant, *datasets):
    with world.house.store.write() as session:
        found = session.get_one(Consent, grant)
        had = {item["dataset"] for item in deciding.current(session, found)["items"] if item["granted"]}
        keep = frozenset(("city-energy", one) for one in had - set(datasets))
        assert deciding.keep_only(session, world.house.log, found, herself("alice"), keep, world.clock.now)


# ---- what is refused before anybody is asked


@pytest.mark.parametrize("action", ACTIONS)
def test_G10_a_public_client_may_not(world, ledger, action):
    assert Asking(world, "meter").refused(grant_management_action=action)[0] == "invalid_request"
    assert Asking(world, "meter").refused(grant_id="x")[0] == "invalid_request"
    both = {"grant_management_action": action, "grant_id": "x"}
    assert Asking(world, "meter").refused(**both)[0] == "invalid_request"


def test_G8_parameters_that_do_not_fit_together(ledger):
    grant = ledger.first(USAGE)["grant_id"]
    for wrong in (
        {"grant_management_action": "create", "grant_id": grant},
        {"grant_id": grant},
        {"grant_management_action": "merge"},
        {"grant_management_action": "replace"},
        {"grant_management_action": "update", "grant_id": grant},
        {"grant_management_action": "MERGE", "grant_id": grant},
        {"grant_management_action": "revoke", "grant_id": grant},
    ):
        assert ledger.refused(wants(USAGE), **wrong)[0] == "invalid_request", wrong


def test_G9_where_an_action_is_required(world, ledger):
    assert (
        not ledger.world.browser()
        .get("/.well-known/oauth-authorization-server")
        .json()["grant_management_action_required"]
    )
    world.setting(grant_management_action_required=True)
    assert ledger.refused(wants(USAGE))[0] == "invalid_request"
    assert ledger.pushed(wants(USAGE), **CREATE)
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["grant_management_action_required"] is True
    assert said["grant_management_actions_supported"] == ["query", "revoke", "create", "merge", "replace"]


@pytest.mark.parametrize("act", [merge, replace])
def test_G7_unknown_foreign_and_ended_are_one_answer(world, ledger, act):
    ended, rivals = ledger.first(USAGE)["grant_id"], Asking(world, "rival").first(USAGE)["grant_id"]
    over = ledger.first(USAGE, person="bob")["grant_id"]
    ends(world, ended)
    with world.session() as session:
        asked = [one.id for one in session.exec(select(Consent)) if one.state != "active"]
    ids = ["unknown", "x" * 43, "\u00e9" * 9, rivals, ended, *asked]
    found = {ledger.refused(wants(USAGE), **act(one)) for one in ids}
    assert len(found) == 1 and found.pop()[0] == "invalid_grant_id"
    assert ledger.pushed(wants(USAGE), **act(over))
    world.clock.passes(days=31)
    assert ledger.refused(wants(USAGE), **act(over))[0] == "invalid_grant_id"


@pytest.mark.parametrize("act", [merge, replace])
def test_G7_T21_a_grant_of_another_person_is_the_same_answer_after_signing_in(world, ledger, act):
    body = ledger.first(USAGE)
    address = ledger.pushed(wants(SUMMARY), **act(body["grant_id"]))
    text = world.browser("mallory").get(address).text
    said = answered(world.browser("mallory").get(address))
    assert (said["error"], said["error_description"]) == ledger.refused(wants(USAGE), **act("unknown"))
    assert "alice" not in text.lower() and "consent_asked" not in kinds(world, "mallory")
    assert "code" not in said and refresh(world, body)[0] == 200
    assert told(body) == {USAGE: ["interval.start", "interval.value"]} and consent(world, body["grant_id"]).version == 1


def test_mallory_who_opens_her_request_spoils_nothing_of_it(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    browser, page = ledger.screen(address := ledger.pushed(wants(SUMMARY), **merge(grant)))
    for _ in range(2):
        assert answered(world.browser("mallory").get(address))["error"] == "invalid_grant_id"
        sent = browser.post(page.action, data={**page.fields, "decision": "allow", box(SUMMARY): "yes"})
        assert sent.status_code == 303
    assert set(told(world.redeem(answered(browser.get(address))["code"], "ledger").json())) == {USAGE, SUMMARY}


def test_G7_ended_between_asking_and_answering(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    address = ledger.pushed(wants(SUMMARY), **merge(grant))
    browser, page = ledger.screen(address)
    ends(world, grant)
    late = browser.post(page.action, data={**page.fields, "decision": "allow", box(SUMMARY): "yes"})
    assert late.status_code == 410
    assert answered(browser.get(address))["error"] == "invalid_grant_id"
    assert consent(world, grant).state == "ended" and consent(world, grant).version == 1


def test_prompt_none_never_makes_or_changes_a_grant(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    for more, error in ((CREATE, "consent_required"), (merge(grant), "consent_required")):
        address = ledger.pushed(wants(USAGE), prompt="none", **more)
        assert f"error={error}" in world.browser("alice").get(address).headers["location"]
    address = ledger.pushed(wants(USAGE), prompt="none", **merge(grant))
    assert "error=invalid_grant_id" in world.browser("bob").get(address).headers["location"]


@pytest.mark.parametrize(
    "changed, term",
    [
        ({"retention": "P2M"}, "retention"),
        ({"valid_for": "P7D"}, "valid_for"),
        ({"once": True}, "once"),
        ({"period": {"history": "P13M", "future": True}}, "period"),
        ({"frequency": {"times": 2, "per": "day"}}, "frequency"),
        ({"max_records": 5}, "max_records"),
    ],
)
def test_what_cannot_become_part_of_the_grant_is_refused_when_it_is_pushed(world, ledger, changed, term):
    grant = ledger.first(USAGE)["grant_id"]
    answer = world.push("ledger", [wants(USAGE, "interval.cost", **changed)], **merge(grant))
    assert (answer.json()["error"], answer.json()["term"]) == ("invalid_authorization_details", term)
    assert ledger.pushed(wants(USAGE, "interval.cost", **changed), **replace(grant)), "replace may"


def test_a_grant_has_one_purpose(world):
    data = [*CONFIDENTIAL["data"], {**CONFIDENTIAL["data"][0], "organisation": "harbour-bank",
                                    "dataset": "bank.accounts", "fields": ["account.kind"]}]  # fmt: skip
    world.register("ledger", **{**CONFIDENTIAL, "data": data, "purposes": ["energy-advice", "household-budget"]})
    ledger = Asking(world)
    grant = ledger.first(USAGE)["grant_id"]
    for act in (merge, replace):
        answer = world.push("ledger", [bank()], **act(grant))
        assert (answer.json()["error"], answer.json()["term"]) == ("invalid_authorization_details", "purpose")


# ---- where the parameters count


def test_G11_in_a_token_request_they_have_no_effect(world, ledger):
    first = ledger.first(USAGE)
    code = ledger.answers(ledger.pushed(wants(SUMMARY), **CREATE), SUMMARY, **{"accounts:city-energy": "point-1"})
    body = world.redeem(code["code"], "ledger", **merge(first["grant_id"])).json()
    assert body["grant_id"] != first["grant_id"]
    again = world.refresh(first["refresh_token"], "ledger", **merge(body["grant_id"])).json()
    assert again["grant_id"] == first["grant_id"]


def test_G12_no_authorization_response_has_the_grant(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    said = ledger.answers(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    assert set(said) == {"code", "state", "iss"}


def test_G13_beside_a_pushed_request_they_count_for_nothing(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    address = ledger.pushed(wants(SUMMARY)) + f"&grant_management_action=merge&grant_id={grant}"
    body = ledger.granted(address, SUMMARY, **{"accounts:city-energy": "point-1"})
    assert body["grant_id"] != grant


def test_G13_in_a_signed_request_and_in_a_plain_link_they_count(world):
    key = EC("one")
    world.register("ledger", **{**CONFIDENTIAL, "require_pushed_authorization_requests": False},
                   jwks={"keys": [key.jwk]})  # fmt: skip
    ledger = Asking(world)
    grant = ledger.first(USAGE)["grant_id"]
    now = int(world.clock.now.timestamp())
    parameters = world.request("ledger", [wants(SUMMARY)], **merge(grant), client_id="ledger")
    claims = {**parameters, "iss": "ledger", "aud": "http://localhost:8400", "nbf": now, "exp": now + 300}
    signed = jws(claims, {"typ": "oauth-authz-req+jwt", "kid": "one"}, signer=key)
    pushed = world.post("/par", {"request": signed}, "ledger")
    address = f"/authorize?client_id=ledger&request_uri={pushed.json()['request_uri']}"
    assert ledger.granted(address, SUMMARY)["grant_id"] == grant
    query = {**world.request("ledger", [wants(POINT)], **merge(grant)), "client_id": "ledger"}
    plain = world.browser("alice").get("/authorize", params=query)
    assert ledger.granted(plain.headers["location"], POINT)["grant_id"] == grant
    assert set(told({"authorization_details": details(world, grant)})) == {USAGE, SUMMARY, POINT}


def details(world, grant):
    return [{"datatypes": [one["dataset"]], "fields": one["fields"]} for one in terms(world, grant)["items"]
            if one["granted"]]  # fmt: skip


# ---- create


def test_G1_G2_create_twice_and_no_earlier_grant_has_changed(world, ledger):
    old = ledger.first(USAGE)
    made = [ledger.granted(ledger.pushed(wants(USAGE), **CREATE), USAGE, **{"accounts:city-energy": "point-1"})
            for _ in range(2)]  # fmt: skip
    ids = {old["grant_id"], *(one["grant_id"] for one in made)}
    assert len(ids) == 3
    assert [refresh(world, one) for one in (old, *made)] == [(200, "")] * 3
    assert consent(world, old["grant_id"]).generation == 2 and acts(world, old["grant_id"]) == ["requested", "granted"]
    ends(world, made[0]["grant_id"])
    assert [refresh(world, one)[0] for one in (old, *made)] == [200, 400, 200]


def test_the_screen_of_create_says_nothing_of_replacing(world, ledger):
    ledger.first(USAGE)
    plain, made = (world.browser("alice").get(ledger.pushed(wants(SUMMARY), **more)).text for more in ({}, CREATE))
    assert "this one replaces it" in plain and "this one replaces it" not in made


def test_without_an_action_the_screen_says_how_many_agreements_it_replaces(world, ledger):
    there = {"accounts:city-energy": "point-1"}
    made = [ledger.granted(ledger.pushed(wants(USAGE), **CREATE), USAGE, **there) for _ in range(2)]
    address = ledger.pushed(wants(SUMMARY))
    shown = text_of(world.browser("alice").get(address).text)
    assert "by 2 agreements. If you allow, this one replaces them all." in shown
    ledger.granted(address, SUMMARY, **there)
    assert [consent(world, one["grant_id"]).reason for one in made] == ["replaced"] * 2


def test_without_an_action_a_new_agreement_replaces_those_of_its_purpose(world, ledger):
    old = ledger.first(USAGE)
    new = ledger.first(SUMMARY)
    assert told(new) == {SUMMARY: ["summary.period", "summary.consumption"]}
    assert refresh(world, old) == (400, "invalid_grant") and consent(world, old["grant_id"]).reason == "replaced"


def test_a_code_of_what_was_replaced_is_never_for_a_grant_that_stands_alone(world, ledger):
    there = {"accounts:city-energy": "point-1"}
    code = ledger.answers(ledger.pushed(wants(USAGE)), USAGE, **there)["code"]
    replacing = ledger.first(SUMMARY)
    alone = ledger.granted(ledger.pushed(wants(POINT), **CREATE), POINT, **there)
    body = world.redeem(code, "ledger").json()
    assert body["grant_id"] == replacing["grant_id"] != alone["grant_id"]


# ---- merge


def test_G3_T29_merge_is_the_union_under_the_same_id_and_old_tokens_are_dead(world, ledger):
    old = ledger.first(USAGE)
    generation = consent(world, old["grant_id"]).generation
    new = ledger.granted(ledger.pushed(wants(SUMMARY), **merge(old["grant_id"])), SUMMARY)
    assert new["grant_id"] == old["grant_id"]
    assert told(new) == {USAGE: ["interval.start", "interval.value"],
                         SUMMARY: ["summary.period", "summary.consumption"]}  # fmt: skip
    assert refresh(world, old) == (400, "invalid_grant") and refresh(world, new) == (200, "")
    for token in (old["access_token"], old["refresh_token"]):
        assert world.introspect(token, "ledger").json() == {"active": False}
    row = consent(world, old["grant_id"])
    assert (row.state, row.version, row.generation) == ("active", 2, generation + 1)


def test_the_versions_are_a_chain_and_the_evidence_is_of_each(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    ledger.granted(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    first, second = versions(world, grant)
    assert second.previous == first.sha256 == hashlib.sha256(first.json_.encode()).hexdigest()
    said = json.loads(second.json_)
    assert (said["consent"], said["version"], said["previous"]) == (grant, 2, first.sha256)
    assert [item for item in said["items"] if item["dataset"] == USAGE] == json.loads(first.json_)["items"]
    with world.session() as session:
        kept = [session.get_one(Evidence, (grant, number)) for number in (1, 2)]
    assert json.loads(kept[1].chosen_json)["granted"] == [["city-energy", SUMMARY]]
    assert kept[1].text_sha256 == said["notice"]["text_sha256"] != kept[0].text_sha256
    for query in ("", "?version=2", "?version=1"):
        page = world.browser("alice").get(f"/sharings/{grant}/seen{query}").text
        assert "to the letter" in page
        assert ("asks to read more" in page) is (query != "?version=1")
    assert world.browser("alice").get(f"/sharings/{grant}/seen?version=3").status_code == 404
    assert world.browser("mallory").get(f"/sharings/{grant}/seen").status_code == 404


def test_she_is_asked_only_for_the_difference_and_nothing_of_it_is_ticked(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    html = world.browser("alice").get(ledger.pushed(wants(USAGE), wants(SUMMARY), **merge(grant))).text
    assert box(SUMMARY) in html and box(USAGE) not in html and 'checked> <span class="item-label"' not in html
    shown = text_of(html)
    assert "Ledger asks to read more of your data at City-Energy" in shown.replace("city-energy", "City-Energy")
    assert "This stays as agreed: Electricity use" in shown and "New Optional" in shown
    assert "this one replaces it" not in shown


def test_what_was_granted_can_be_sent_along_with_what_is_new(world, ledger):
    old = ledger.first(USAGE)
    [granted] = old["authorization_details"]
    end = {"valid_until": granted["valid_until"], "retention": granted["retention"]}
    new = {name: value for name, value in {**wants(SUMMARY), **end}.items() if name != "valid_for"}
    both = ledger.granted(ledger.pushed(granted, new, **merge(old["grant_id"])), SUMMARY)
    assert both["grant_id"] == old["grant_id"] and set(told(both)) == {USAGE, SUMMARY}
    assert {one["valid_until"] for one in both["authorization_details"]} == {granted["valid_until"]}


def test_T7_refusing_what_is_new_leaves_the_rest(world, ledger):
    old = ledger.first(USAGE)
    new = ledger.granted(ledger.pushed(wants(SUMMARY), **merge(old["grant_id"])))
    assert told(new) == told(old) and new["grant_id"] == old["grant_id"]
    assert kinds(world)[-2:] == ["consent_renewed", "token_issued"]
    refused = [item for item in terms(world, old["grant_id"])["items"] if not item["granted"]]
    assert [one["dataset"] for one in refused] == [SUMMARY], "and the refusal is kept"


def test_G4_refusing_a_merge_or_replacement_changes_nothing(world, ledger):
    old = ledger.first(USAGE)
    before = consent(world, old["grant_id"]).model_dump()
    for act in (merge, replace):
        browser, page = ledger.screen(address := ledger.pushed(wants(SUMMARY), **act(old["grant_id"])))
        sent = browser.post(page.action, data={**page.fields, "decision": "refuse"})
        back = browser.get(sent.headers["location"])
        assert answered(back)["error"] == "access_denied" and "goes on" in back.text
        assert answered(browser.get(address))["error"] == "access_denied"
    assert consent(world, old["grant_id"]).model_dump() == before
    assert refresh(world, old) == (200, "")
    assert world.introspect(old["access_token"], "ledger").json()["active"]


def test_T2_what_she_removed_does_not_come_back_by_asking_for_something_else(world, ledger):
    grant = ledger.first(USAGE, POINT)["grant_id"]
    removes(world, grant, USAGE)
    body = ledger.granted(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    assert set(told(body)) == {POINT, SUMMARY}


def test_T2_asked_for_again_it_comes_back_only_if_she_ticks_it(world, ledger):
    grant = ledger.first(USAGE, POINT)["grant_id"]
    removes(world, grant, USAGE)
    address = ledger.pushed(wants(USAGE), wants(POINT), **merge(grant))
    html = world.browser("alice").get(address).text
    assert f'name="{box(USAGE)}" value="yes">' in html and box(POINT) not in html
    assert set(told(ledger.granted(address))) == {POINT}
    again = ledger.pushed(wants(USAGE), wants(POINT), **merge(grant))
    assert set(told(ledger.granted(again, USAGE))) == {USAGE, POINT}


def test_required_data_that_is_new_is_marked_and_comes_with_the_yes(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    address = ledger.pushed(wants(SUMMARY, necessity="required"), **merge(grant))
    assert "New Required" in text_of(world.browser("alice").get(address).text)
    assert set(told(ledger.granted(address))) == {USAGE, SUMMARY}


def test_new_details_of_data_that_is_granted_are_asked_alone(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    address = ledger.pushed(wants(USAGE, "interval.value", "interval.cost"), **merge(grant))
    shown = world.browser("alice").get(address).text
    assert "<code>interval.cost</code>" in shown and "<code>interval.value</code>" not in shown
    assert "New details: Cost" in text_of(shown)
    assert told(ledger.granted(address, USAGE))[USAGE] == ["interval.start", "interval.value", "interval.cost"]
    assert kinds(world)[-2] == "consent_extended"


def test_old_data_is_never_taken_from_a_new_account_nor_new_data_from_one_that_was_not_chosen(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    address = ledger.pushed(wants(SUMMARY), **merge(grant))
    assert "Point-2" not in text_of(world.browser("alice").get(address).text)
    ledger.granted(address, SUMMARY, **{"accounts:city-energy": ["point-1", "point-2"]})
    assert {one["dataset"]: one["accounts"] for one in terms(world, grant)["items"]} == {
        USAGE: ["point-1"],
        SUMMARY: ["point-1"],
    }


def test_several_accounts_that_she_chose_before_are_named_and_not_chosen_again(world, ledger):
    both = ["point-1", "point-2"]
    grant = ledger.first(USAGE, **{"accounts:city-energy": both})["grant_id"]
    address = ledger.pushed(wants(SUMMARY), **merge(grant))
    html = world.browser("alice").get(address).text
    assert "Taken from what you chose before: Point-1 and Point-2" in text_of(html) and "accounts:" not in html
    ledger.granted(address, SUMMARY, **{"accounts:city-energy": "point-2"})
    assert [one["accounts"] for one in terms(world, grant)["items"]] == [both, both]


def test_T1_without_an_action_no_older_grant_is_enlarged_and_none_is_given_silently(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    ledger.granted(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    address = ledger.pushed(wants(USAGE))
    assert "/authorize/continue" not in world.browser("alice").get(address).text, "this is not what she agreed to"
    body = ledger.granted(address, USAGE, **{"accounts:city-energy": "point-1"})
    assert set(told(body)) == {USAGE} and body["grant_id"] != grant


def test_G20_after_the_app_gave_its_tokens_back_merge_reconnects(world, ledger):
    old = ledger.first(USAGE)
    world.post("/revoke", {"token": old["refresh_token"]}, "ledger")
    assert consent(world, old["grant_id"]).state == "active"
    address = ledger.pushed(wants(USAGE), **merge(old["grant_id"]))
    assert "asks to go on with what is agreed" in text_of(world.browser("alice").get(address).text)
    body = ledger.granted(address)
    assert told(body) == told(old) and body["grant_id"] == old["grant_id"]
    assert refresh(world, body) == (200, "")


def test_the_end_stays_unless_she_chooses_a_later_one(world, ledger):
    grant = ledger.first(USAGE, duration="d90")["grant_id"]
    until = consent(world, grant).until
    world.clock.passes(days=30)
    ledger.granted(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    assert consent(world, grant).until == until
    browser, page = ledger.screen(address := ledger.pushed(wants(POINT), **merge(grant)))
    shorter = browser.post(page.action, data={**page.fields, "decision": "allow", "duration": "d30"})
    assert shorter.status_code == 422
    ledger.granted(address, POINT, duration="d180")
    assert (consent(world, grant).until - world.clock.now).days == 180


def test_new_data_never_lasts_longer_than_was_asked(world, ledger):
    grant = ledger.first(USAGE, duration="d180")["grant_id"]
    answer = world.push("ledger", [wants(SUMMARY, valid_for="P1M")], **merge(grant))
    assert (answer.json()["term"], answer.json()["allowed"]) == ("valid_for", terms(world, grant)["valid"]["until"])


def test_T31_a_yes_sent_twice_is_one_version_and_one_entry(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    for act, kind in ((merge, "consent_extended"), (replace, "consent_changed")):
        before = consent(world, grant).version
        browser, page = ledger.screen(address := ledger.pushed(wants(SUMMARY), **act(grant)))
        sent = {**page.fields, "decision": "allow", box(SUMMARY): "yes", "accounts:city-energy": "point-1"}
        assert [browser.post(page.action, data=sent).status_code for _ in range(3)] == [303] * 3
        codes = {answered(browser.get(address))["code"] for _ in range(2)}
        assert len(codes) == 1 and consent(world, grant).version == before + 1
        assert kinds(world).count(kind) == 1


def test_T31_two_windows_each_are_asked_what_is_new_by_then(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    addresses = [ledger.pushed(wants(SUMMARY), **merge(grant)) for _ in range(2)]
    browser, first = ledger.screen(addresses[0])
    second = Page(browser.get(addresses[1]).text)
    for page, status in ((first, 303), (second, 422)):
        sent = {**page.fields, "decision": "allow", box(SUMMARY): "yes"}
        answer = browser.post(page.action, data=sent)
        assert answer.status_code == status
    assert "asks to go on with what is agreed" in text_of(answer.text)
    assert consent(world, grant).version == 2


def test_a_paused_grant_runs_again_and_the_screen_says_so(world, ledger):
    old = ledger.first(USAGE)
    with world.house.store.write() as session:
        found = session.get_one(Consent, old["grant_id"])
        deciding.pause(session, world.house.log, found, herself("alice"), world.clock.now)
    address = ledger.pushed(wants(SUMMARY), **merge(old["grant_id"]))
    assert "This sharing is paused. If you allow, it runs again." in text_of(world.browser("alice").get(address).text)
    ledger.granted(address, SUMMARY)
    assert consent(world, old["grant_id"]).state == "active"
    assert acts(world, old["grant_id"]) == ["requested", "granted", "paused", "resumed", "extended"]
    told = [kind for kind in kinds(world) if kind.startswith("consent_")]
    assert told[-2:] == ["consent_resumed", "consent_extended"]
    assert refresh(world, old) == (400, "invalid_grant")


def test_T3_what_has_ended_is_never_switched_on_again(world, ledger):
    old = ledger.first(USAGE)
    ends(world, old["grant_id"])
    new = ledger.first(USAGE)
    assert new["grant_id"] != old["grant_id"]
    row = consent(world, old["grant_id"])
    assert (row.state, row.reason, row.version) == ("ended", "withdrawn", 1)
    assert acts(world, old["grant_id"]) == ["requested", "granted", "ended"]
    assert refresh(world, old) == (400, "invalid_grant")


def test_the_request_itself_is_no_sharing(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    ledger.granted(ledger.pushed(wants(SUMMARY), **merge(grant)), SUMMARY)
    with world.session() as session:
        (request,) = [one for one in session.exec(select(Consent)) if one.amends]
        assert (request.state, request.reason, request.version) == ("ended", "amended", 0)
    assert acts(world, grant) == ["requested", "granted", "extended"]


def test_a_consent_that_was_asked_of_one_is_not_answered_by_another(world, ledger):
    grant = ledger.first(USAGE)["grant_id"]
    _, page = ledger.screen(ledger.pushed(wants(SUMMARY), **merge(grant)))
    sent = {**page.fields, "decision": "allow", box(SUMMARY): "yes"}
    assert world.browser("mallory").post(page.action, data=sent).status_code in (403, 404)
    assert consent(world, grant).version == 1


# ---- replace


def test_G5_replaced_only_what_she_agreed_to_now_remains(world, ledger):
    old = ledger.first(USAGE, POINT)
    there = {"accounts:city-energy": "point-2"}
    new = ledger.granted(ledger.pushed(wants(SUMMARY), **replace(old["grant_id"])), SUMMARY, **there)
    assert new["grant_id"] == old["grant_id"] and set(told(new)) == {SUMMARY}
    assert [one["accounts"] for one in new["authorization_details"]] == [["point-2"]]
    assert refresh(world, old) == (400, "invalid_grant") and refresh(world, new) == (200, "")
    assert world.introspect(old["access_token"], "ledger").json() == {"active": False}
    assert [one["dataset"] for one in terms(world, old["grant_id"])["items"]] == [SUMMARY]
    assert acts(world, old["grant_id"])[-1] == "changed"
    entry = next(one for one in world.events("alice") if one["event"] == "consent_changed")
    assert entry["removed"] == [USAGE, POINT] and entry["added"] == [SUMMARY]


def test_G6_with_less_ticked_than_asked_it_has_only_what_was_ticked(world, ledger):
    grant = ledger.first(USAGE, POINT)["grant_id"]
    address = ledger.pushed(wants(USAGE), wants(SUMMARY), wants(POINT), **replace(grant))
    browser, page = ledger.screen(address)
    sent = {**page.fields, "decision": "allow", box(SUMMARY): "yes", "accounts:city-energy": "point-1"}
    assert browser.post(page.action, data=sent).status_code == 303
    body = world.redeem(answered(browser.get(address))["code"], "ledger").json()
    assert set(told(body)) == {SUMMARY}


def test_the_screen_of_replace_says_what_is_shared_no_longer(world, ledger):
    address = ledger.pushed(wants(USAGE, *["interval.value", "interval.cost"]), wants(POINT))
    there = {"accounts:city-energy": "point-1"}
    grant = ledger.granted(address, USAGE, POINT, **there)["grant_id"]
    shown = text_of(world.browser("alice").get(ledger.pushed(wants(USAGE), **replace(grant))).text)
    assert "If you allow, this is no longer shared:" in shown
    listed = shown.partition("no longer shared:")[2][:200]
    assert "Electricity use" in listed and "Cost" in listed and "(city-energy)" in listed.lower()


def test_what_she_chose_before_is_ticked_only_where_no_more_of_it_is_asked(world, ledger):
    grant = ledger.first(USAGE, POINT)["grant_id"]
    ticked = 'name="{}" value="yes" checked'
    same = world.browser("alice").get(ledger.pushed(wants(USAGE), wants(SUMMARY), **replace(grant))).text
    assert ticked.format(box(USAGE)) in same and ticked.format(box(SUMMARY)) not in same
    for more in (
        wants(USAGE, "interval.value", "interval.cost"),
        wants(USAGE, period={"history": "P24M", "future": True}),
    ):
        wider = world.browser("alice").get(ledger.pushed(more, **replace(grant))).text
        assert ticked.format(box(USAGE)) not in wider and "New Optional" in text_of(wider)


def test_replace_may_shorten(world, ledger):
    grant = ledger.first(USAGE, duration="d180")["grant_id"]
    there = {"accounts:city-energy": "point-1"}
    ledger.granted(ledger.pushed(wants(USAGE), **replace(grant)), USAGE, duration="d30", **there)
    assert (consent(world, grant).until - world.clock.now).days == 30


def test_an_older_code_is_worth_what_holds_now(world, ledger):
    there = {"accounts:city-energy": "point-1"}
    first = ledger.answers(ledger.pushed(wants(USAGE)), USAGE, **there)["code"]
    with world.session() as session:
        (grant,) = [one.id for one in session.exec(select(Consent)) if one.state == "active"]
    ledger.answers(ledger.pushed(wants(SUMMARY), **replace(grant)), SUMMARY, **there)
    assert set(told(world.redeem(first, "ledger").json())) == {SUMMARY}


# ---- a guardian


def test_a_childs_grant_is_changed_by_her_guardian_and_not_by_herself(world, ledger):
    there = {"accounts:city-energy": "point-1"}
    address = ledger.pushed(wants(USAGE))
    world.browser("chloe").get(address)
    grant = ledger.granted(address, USAGE, person="alice", **there)["grant_id"]
    assert consent(world, grant).person_id == "chloe"
    hers = ledger.pushed(wants(SUMMARY), **merge(grant))
    assert "guardian" in world.browser("chloe").get(hers).text
    browser, page = ledger.screen(hers, "chloe")
    if page.action:
        browser.post(page.action, data={**page.fields, "decision": "allow", box(SUMMARY): "yes"})
    assert consent(world, grant).version == 1
    assert set(told(ledger.granted(hers, SUMMARY, person="alice"))) == {USAGE, SUMMARY}
    directly = ledger.pushed(wants(POINT), **merge(grant))
    assert set(told(ledger.granted(directly, POINT, person="alice"))) == {USAGE, SUMMARY, POINT}
    assert consent(world, grant).person_id == "chloe"
    assert (
        answered(world.browser("bob").get(ledger.pushed(wants(POINT), **merge(grant))))["error"] == "invalid_grant_id"
    )


# ---- what her account here says


def test_G22_the_grant_tells_claims_and_keeps_each_scope_with_its_addresses(world):
    world.register("ledger", **CONFIDENTIAL, scope="openid email")
    ledger = Asking(world)
    old = ledger.first(USAGE)
    address = ledger.pushed(wants(SUMMARY), scope="openid", **merge(old["grant_id"]))
    shown = text_of(world.browser("alice").get(address).text)
    assert "This stays as agreed: Electricity use" in shown
    new = ledger.granted(address, SUMMARY)
    assert new["grant_id"] == old["grant_id"] and "id_token" in new
    token = world.post("/token", {"grant_type": "client_credentials", "scope": "grant_management_query"}, "ledger")
    headers = {"authorization": f"Bearer {token.json()['access_token']}"}
    said = world.browser().get(f"/grants/{old['grant_id']}", headers=headers).json()
    assert said["scopes"] == [
        {"scope": "data_access", "resource": ["http://localhost:8400/data/city-energy"]},
        {"scope": "openid", "resource": ["http://localhost:8400/userinfo"]},
    ]
    assert said["claims"] == ["acr", "amr", "auth_time", "sub"]
    info = world.browser().get("/userinfo", headers={"authorization": f"Bearer {old['access_token']}"})
    assert info.status_code == 401
    info = world.browser().get("/userinfo", headers={"authorization": f"Bearer {new['access_token']}"})
    assert set(info.json()) == {"sub"}
