"""Challenges name the plain scopes that an address needs (RFC 6750 §3), to apps that ask by such names."""

import re
import time
from typing import Any

import pytest
from sqlmodel import Session

from gateway.ground.store.tables import directory_changed
from gateway.organisations.tables import Organisation
from tests.proxy.bank import BASE, Answer, Bank
from tests.proxy.supplier import Supplier

OWN = {
    "id": "accounts/*.rs", "purpose": "household-budget", "valid_for": "P3M", "retention": "P1M",
    "data": [{"dataset": "bank.transactions", "history": "P1M"}],
}  # fmt: skip


def said(found: Answer) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', found.headers.get("www-authenticate", "")))


def declares(bank: Bank, *scopes: dict[str, Any]) -> None:
    def change(session: Session) -> None:
        row = session.get_one(Organisation, bank.id)
        row.declaration = {**row.declaration, "scope": list(scopes)}
        row.declaration_sha256 = f"{bank.id}-{len(scopes)}"
        directory_changed(session)

    with bank.world.house.store.write() as session:
        change(session)
    soon(bank, bank.path, " ".join(sorted(scope["id"] for scope in scopes)))


def soon(bank: Bank, path: str, scope: str) -> None:
    """Until the gateway has looked at its organisations again, once a second at most."""
    end = time.monotonic() + 20
    while said(bank.reads(path, Authorization="")).get("scope") != scope:
        assert time.monotonic() < end, f"{scope} is never named"
        time.sleep(0.1)


def accounts(bank: Bank) -> str:
    return f"/data/{bank.id}{BASE}/accounts"


@pytest.fixture
def known(bank: Bank) -> Bank:
    """A bank that the gateway has looked at."""
    soon(bank, accounts(bank), "bank:balances")
    return bank


def plain(bank: Bank, scope: str = "bank:balances", at: str = "") -> str:
    return bank.world.token(bank.consent, [at or bank.id], bank.app, scope=scope)


def test_without_a_token_the_scopes_that_cover_the_data_are_named(bank: Bank, supplier: Supplier) -> None:
    declares(bank, OWN)
    assert said(bank.reads(Authorization=""))["scope"] == "accounts/*.rs"
    assert said(bank.reads(accounts(bank), Authorization=""))["scope"] == "bank:balances"
    assert said(supplier.reads(Authorization=""))["scope"] == "energy:usage"


def test_of_several_all_are_named(known: Bank) -> None:
    declares(known, OWN, {**OWN, "id": "all.rs"})
    assert said(known.reads(Authorization=""))["scope"] == "accounts/*.rs all.rs"


def test_with_a_bad_token_too(known: Bank) -> None:
    declares(known, OWN)
    found = said(known.reads(token="a.b.c"))
    assert (found["error"], found["scope"]) == ("invalid_token", "accounts/*.rs")


def test_where_no_scope_covers_the_data_none_is_named(known: Bank) -> None:
    for path in (known.path, f"/data/{known.id}/elsewhere", "/data/nowhere/accounts"):
        found = known.reads(path, Authorization="")
        assert found.status == 401 and "scope" not in said(found)


def test_who_came_with_scopes_is_told_which_the_data_needs(known: Bank) -> None:
    found = known.reads(accounts(known), token=plain(known))
    assert (found.status, found.reason) == (403, "dataset")
    assert (said(found)["error"], said(found)["scope"]) == ("insufficient_scope", "bank:balances")
    elsewhere = known.reads(accounts(known), token=plain(known, at="another"))
    assert (elsewhere.status, said(elsewhere)["scope"]) == (403, "bank:balances")


def test_beside_what_the_data_needs_stands_what_the_app_has_for_the_same_purpose(known: Bank) -> None:
    declares(known, OWN)
    held = plain(known, "openid accounts/*.rs energy:usage")
    found = said(known.reads(accounts(known), token=held))
    assert found["scope"] == "accounts/*.rs bank:balances", "asked for alone it would take the place of the other"


def test_who_came_with_details_is_told_the_term_and_no_scope(known: Bank) -> None:
    for token in (known.token, plain(known, "data_access"), plain(known, "data_access openid")):
        found = known.reads(accounts(known), token=token)
        assert found.status == 403 and "www-authenticate" not in found.headers


def test_what_no_scope_changes_names_none(known: Bank) -> None:
    declares(known, OWN)
    other = known.world.ref(known.app, known.person, known.id, "00099999")
    found = known.reads(known.path.replace(known.ref, other), token=plain(known))
    assert (found.status, found.reason) == (403, "account") and "www-authenticate" not in found.headers


def test_a_bound_token_without_its_proof_needs_no_other_scope(known: Bank) -> None:
    declares(known, OWN)
    bound = known.world.token(known.consent, [known.id], known.app, cnf={"jkt": "x" * 43})
    found = said(known.reads(Authorization=f"DPoP {bound}"))
    assert found["error"] == "invalid_dpop_proof" and "scope" not in found
