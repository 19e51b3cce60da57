"""What is of no use any more leaves by itself; what was agreed, shown and recorded stays."""

from typing import Any

import pytest
from authorization_world import World, answered
from sqlalchemy import text

from gateway import retention, schema
from gateway.consent import expiry
from gateway.ground.store import pruning

STAYS = ("consent", "consentevent", "evidence", "terms", "logentry")
LEAVES = sorted({rows.table.__tablename__ for rows in retention.LEAVING} - set(STAYS))


def counts(world: World, tables: Any) -> dict[str, int]:
    with world.session() as session:
        return {name: session.execute(text(f'SELECT count(*) FROM "{name}"')).scalar() for name in tables}


def nights_pass(world: World, **time: float) -> None:
    """Time, and the work that is repeated meanwhile."""
    world.clock.passes(**time)
    expiry.write_due(world.house, world.clock.now)
    while pruning.prune(world.house.store, retention.LEAVING, world.clock.now):
        pass


def test_what_expired_leaves_and_what_was_agreed_stays(world: World) -> None:
    first = world.tokens()
    assert world.refresh(first["refresh_token"]).status_code == 200
    assert world.refresh(world.tokens("budget")["refresh_token"], "budget").status_code == 200
    world.agree(world.browser("bob"), world.pushed(), decision="refuse")
    assert world.push().status_code == 201
    answered = counts(world, STAYS)

    nights_pass(world, days=800)

    assert {name: left for name, left in counts(world, LEAVES).items() if left} == {}
    left = counts(world, STAYS)
    assert all(left[name] >= answered[name] for name in STAYS), (answered, left)


def test_an_unanswered_consent_leaves_and_the_log_keeps_that_it_was_asked(world: World) -> None:
    world.browser("bob").get(world.pushed())
    nights_pass(world, days=2)
    assert counts(world, ["consent", "consentevent"]) == {"consent": 1, "consentevent": 2}
    nights_pass(world, days=91)
    assert counts(world, ["consent", "consentevent"]) == {"consent": 0, "consentevent": 0}
    assert [event["event"] for event in world.events("bob")] == ["consent_asked", "consent_ended"]


def test_a_living_family_keeps_its_tokens_through_every_night(world: World) -> None:
    alice = world.browser("alice")
    codes = {
        app: answered(world.agree(alice, world.pushed(app), duration="d180"))["code"] for app in ("budget", "meter")
    }
    kept, rotated = (world.redeem(code, app).json()["refresh_token"] for app, code in codes.items())
    for _ in range(2):
        nights_pass(world, days=31)
        assert world.refresh(kept, "budget").status_code == 200
        rotated = world.refresh(rotated).json()["refresh_token"]
    assert counts(world, ["refreshtoken", "tokenfamily"]) == {"refreshtoken": 3, "tokenfamily": 2}


def test_a_code_shown_again_weeks_later_still_ends_its_family_and_much_later_is_unknown(world: World) -> None:
    code = world.code()
    token = world.redeem(code).json()["refresh_token"]
    other = world.code(person="bob")
    nights_pass(world, days=20)
    assert world.redeem(code).json()["error"] == "invalid_grant"
    assert world.refresh(token).json()["error"] == "invalid_grant"
    nights_pass(world, days=200)
    assert world.redeem(code).json()["error"] == "invalid_grant"
    assert world.redeem(other).json()["error"] == "invalid_grant"


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)"
MANY = {  # table → 250 rows that are due
    "spentchallenge": "INSERT INTO spentchallenge (id, expires_at)"
    f" {NUMBERS} SELECT i, '2020-01-01 00:00:00.000000' FROM n",
    # all of one day
    "use": 'INSERT INTO "use" (consent_id, item, "window", start, used)'
    f" {NUMBERS} SELECT consent.id, i, 'day', 1577833200, 1 FROM n, consent LIMIT 250",
}


@pytest.mark.parametrize("table", MANY)
def test_however_much_is_due_one_turn_takes_a_few_of_each(
    table: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.house.store, "leaving_at_once", 100)  # on PostgreSQL it is more
    world.tokens()
    with world.house.store.write() as session:
        session.execute(text(MANY[table]))
    left = [counts(world, [table])[table]]
    while pruning.prune(world.house.store, retention.LEAVING, world.clock.now):
        left.append(counts(world, [table])[table])
    assert (left, counts(world, [table])[table]) == ([250, 150, 50], 0)


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
