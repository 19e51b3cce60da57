"""What is of no use any more leaves by itself; what was agreed, shown and recorded stays."""

from typing import Any

import pytest
from authorization_world import Gateway, answered
from sqlalchemy import text

from gateway import retention, schema
from gateway.consent import expiry
from gateway.ground.store import pruning

STAYS = ("consent", "consentevent", "evidence", "terms", "logentry")
LEAVES = sorted({rows.table.__tablename__ for rows in retention.LEAVING} - set(STAYS))


def counts(gateway: Gateway, tables: Any) -> dict[str, int]:
    with gateway.session() as session:
        return {name: session.execute(text(f'SELECT count(*) FROM "{name}"')).scalar() for name in tables}


def nights_pass(gateway: Gateway, **time: float) -> None:
    """Time, and the work that is repeated meanwhile."""
    gateway.clock.passes(**time)
    expiry.write_due(gateway.house, gateway.clock.now)
    while pruning.prune(gateway.house.store, retention.LEAVING, gateway.clock.now):
        pass


def test_what_expired_leaves_and_what_was_agreed_stays(gateway: Gateway) -> None:
    first = gateway.tokens()
    assert gateway.refresh(first["refresh_token"]).status_code == 200
    assert gateway.refresh(gateway.tokens("budget")["refresh_token"], "budget").status_code == 200
    gateway.agree(gateway.browser("bob"), gateway.pushed(), decision="refuse")
    assert gateway.push().status_code == 201
    answered = counts(gateway, STAYS)

    nights_pass(gateway, days=800)

    assert {name: left for name, left in counts(gateway, LEAVES).items() if left} == {}
    left = counts(gateway, STAYS)
    assert all(left[name] >= answered[name] for name in STAYS), (answered, left)


def test_an_unanswered_consent_leaves_and_the_log_keeps_that_it_was_asked(gateway: Gateway) -> None:
    gateway.browser("bob").get(gateway.pushed())
    nights_pass(gateway, days=2)
    assert counts(gateway, ["consent", "consentevent"]) == {"consent": 1, "consentevent": 2}
    nights_pass(gateway, days=91)
    assert counts(gateway, ["consent", "consentevent"]) == {"consent": 0, "consentevent": 0}
    assert [event["event"] for event in gateway.events("bob")] == ["consent_asked", "consent_ended"]


def test_a_living_family_keeps_its_tokens_through_every_night(gateway: Gateway) -> None:
    alice = gateway.browser("alice")
    codes = {
        app: answered(gateway.agree(alice, gateway.pushed(app), duration="d180"))["code"] for app in ("budget", "meter")
    }
    kept, rotated = (gateway.redeem(code, app).json()["refresh_token"] for app, code in codes.items())
    for _ in range(2):
        nights_pass(gateway, days=31)
        assert gateway.refresh(kept, "budget").status_code == 200
        rotated = gateway.refresh(rotated).json()["refresh_token"]
    assert counts(gateway, ["refreshtoken", "tokenfamily"]) == {"refreshtoken": 3, "tokenfamily": 2}


def test_a_code_shown_again_weeks_later_still_ends_its_family_and_much_later_is_unknown(gateway: Gateway) -> None:
    code = gateway.code()
    token = gateway.redeem(code).json()["refresh_token"]
    other = gateway.code(person="bob")
    nights_pass(gateway, days=20)
    assert gateway.redeem(code).json()["error"] == "invalid_grant"
    assert gateway.refresh(token).json()["error"] == "invalid_grant"
    nights_pass(gateway, days=200)
    assert gateway.redeem(code).json()["error"] == "invalid_grant"
    assert gateway.redeem(other).json()["error"] == "invalid_grant"


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)"
MANY = {  # table → 250 rows that are due
    "spentchallenge": "INSERT INTO spentchallenge (id, expires_at)"
    f" {NUMBERS} SELECT i, '2020-01-01 00:00:00.000000' FROM n",
    # all of one day
    "use": 'INSERT INTO "use" (consent_id, item, "window", start, used)'
    f" {NUMBERS} SELECT consent.id, i, 'day', 1577833200, 1 FROM n, consent LIMIT 250",
}


@pytest.mark.parametrize("table", MANY)
def test_however_much_is_due_one_turn_takes_a_few_of_each(table: str, gateway: Gateway) -> None:
    gateway.tokens()
    with gateway.house.store.write() as session:
        session.execute(text(MANY[table]))
    left = [counts(gateway, [table])[table]]
    while pruning.prune(gateway.house.store, retention.LEAVING, gateway.clock.now):
        left.append(counts(gateway, [table])[table])
    assert (left, counts(gateway, [table])[table]) == ([250, 150, 50], 0)


def test_whatever_leaves_is_looked_up_by_an_index_where_others_refer_to_it() -> None:
    """Deleting a row makes the database look for rows that refer to it."""
    leaving = {rows.table.__tablename__ for rows in retention.LEAVING}
    unindexed = [
        f"{table.name}.{column.name}"
        for table in schema.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name in leaving
        and column.name not in [next(iter(index.columns)).name for index in table.indexes]
        and column.name != next(iter(table.primary_key.columns)).name
    ]
    assert unindexed == []
