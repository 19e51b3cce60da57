"""Registering an app, and what other rooms and browsers see of it."""

from pathlib import Path

import pytest
from apps_world import NOW, good, item, parsed
from starlette.applications import Starlette

from gateway.apps import declare, pages, verbs, views
from gateway.apps.tables import App
from gateway.errors import BadRequest, DeclarationError, NotFound
from gateway.ground.keys import hashed
from gateway.ground.web.doors import route
from tests.callers import TestClient

BASIC = {"token_endpoint_auth_method": "client_secret_basic"}
LOGO = '<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'


def test_a_secret_is_shown_once_and_kept_as_a_hash(world):
    row, secret = world.register(**BASIC)
    assert secret and len(secret) == 43
    assert row.secret_sha256 == hashed(secret)
    assert secret not in str(row.metadata_)
    again, none = world.register(**BASIC, name={"fr": "Autre", "en": "Other"})
    assert none is None
    assert again.secret_sha256 == hashed(secret)


def test_a_public_app_has_no_secret_and_loses_it_when_it_becomes_one(world):
    assert world.register()[1] is None
    assert world.register(**BASIC)[1]
    assert world.register()[0].secret_sha256 is None


def test_a_renewed_secret_replaces_the_old_one(world):
    _, old = world.register(**BASIC)
    with world.house.store.write() as session:
        new = verbs.renew_secret(session, "watt-coach", NOW)
        assert session.get_one(App, "watt-coach").secret_sha256 == hashed(new) != hashed(old)
        with pytest.raises(NotFound):
            verbs.renew_secret(session, "nobody", NOW)
    world.register()
    with world.house.store.write() as session, pytest.raises(BadRequest, match="is a public client and has no secret"):
        verbs.renew_secret(session, "watt-coach", NOW)


def test_what_this_gateway_does_not_have_is_told_with_the_nearest_name(world):
    with pytest.raises(DeclarationError) as raised:
        world.register(
            purposes=["energy-advise"],
            data=[
                item(organisation="city-energie"),
                item(dataset="energy.electricity.usages"),
                item(fields=["interval.values"]),
                item(organisation="harbour-bank", dataset="bank.accounts", fields=["account.kind"]),
                item(),
                item(),
            ],
        )
    told = str(raised.value)
    assert "purposes[0]: 'energy-advise' is not known; did you mean energy-advice?" in told
    assert "data[0].organisation: 'city-energie' is not known; did you mean city-energy?" in told
    assert "data[1].dataset: 'energy.electricity.usages' is not known; did you mean energy.electricity.usage?" in told
    assert "data[2].fields: 'interval.values' is not known; did you mean interval.value?" in told
    assert "data[3].dataset: none of the purposes covers 'bank.accounts'" in told
    assert "data[5].dataset: 'energy.electricity.usage' stands twice" in told
    with world.house.store.read() as session:
        assert views.find(session, "watt-coach") is None  # nothing half-written


def test_the_directory_is_told_of_every_change_and_of_nothing_else(world):
    steps = [world.generation()]
    for changes in ({}, {}, {"name": {"fr": "A", "en": "A"}}, {"name": {"fr": "A", "en": "A"}, "verified": True}):
        world.register(**changes)
        steps.append(world.generation())
    with world.house.store.write() as session:
        verbs.suspend(session, "watt-coach", "complaints", NOW)
    steps.append(world.generation())
    with world.house.store.write() as session:
        verbs.resume(session, "watt-coach", NOW)
    steps.append(world.generation())
    assert [after - before for before, after in zip(steps, steps[1:], strict=False)] == [1, 0, 1, 1, 1, 1]


def test_suspending_is_seen_with_its_reason_and_resuming_ends_it(world):
    world.register()
    with world.house.store.write() as session:
        verbs.suspend(session, "watt-coach", "complaints", NOW)
        seen = views.find(session, "watt-coach")
        assert seen and (seen.active, seen.status_reason) == (False, "complaints")
        verbs.resume(session, "watt-coach", NOW)
        seen = views.find(session, "watt-coach")
        assert seen and (seen.active, seen.status_reason) == (True, "")
        with pytest.raises(NotFound):
            verbs.suspend(session, "nobody", "x", NOW)


def test_other_rooms_see_what_was_declared(world):
    recipient = {"name": "Cloud SA", "role": "hosting", "country": "FR"}
    world.register(recipients=[recipient], on_behalf_of="Ville de Lyon", verified=True)
    with world.house.store.read() as session:
        [seen] = views.all_apps(session)
    assert seen.name["fr"] == "Watt Coach"
    assert seen.recipients == (recipient,)
    assert (seen.on_behalf_of, seen.verified, seen.active, seen.has_logo) == ("Ville de Lyon", True, True, False)
    assert [(row.organisation, row.dataset, row.necessity) for row in seen.data] == [
        ("city-energy", "energy.electricity.usage", "required")
    ]
    assert seen.metadata_sha256 == parsed(recipients=[recipient], on_behalf_of="Ville de Lyon").sha256


@pytest.fixture
def browser(world, tmp_path):
    (tmp_path / "logo.svg").write_text(LOGO)
    with world.house.store.write() as session:
        pictured = declare.parse(good(logo="logo.svg"), tmp_path / "app.toml")
        verbs.register(session, world.house.catalogue, world.house.settings, pictured, NOW)
        plain = declare.parse(good(client_id="plain"), Path("app.toml"))
        verbs.register(session, world.house.catalogue, world.house.settings, plain, NOW)
    app = Starlette(routes=[route(door, world.house, lambda *_: None) for door in pages.DOORS])
    return TestClient(app, base_url="http://localhost:8400")


def test_a_logo_comes_from_our_own_address_and_can_do_nothing(browser):
    answer = browser.get("/apps/watt-coach/logo")
    assert (answer.status_code, answer.text) == (200, LOGO)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["plain", "nobody", "..%2F..%2Fetc"])
def test_without_a_logo_there_is_nothing_at_its_address(browser, name):
    assert browser.get(f"/apps/{name}/logo").status_code == 404
