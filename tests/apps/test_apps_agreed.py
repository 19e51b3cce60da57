"""What people agreed to stays agreed to while an app changes its keys, and no longer than that."""

import pytest
from apps_world import parsed

from gateway.apps import agreed, views
from gateway.apps.declare import FORM
from gateway.apps.tables import App

KEY = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
       "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}  # fmt: skip
OTHER = {**KEY, "kid": "2"}
BY_KEY = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEY]}}


def seen(world):
    with world.house.store.read() as session:
        [found] = views.all_apps(session)
    return found


@pytest.fixture
def before(world):
    world.register(**BY_KEY)
    return seen(world).metadata_sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks": {"keys": [OTHER]}},
        {"jwks": {"keys": [KEY, OTHER]}},
        {"jwks": None, "jwks_uri": "https://app.example/jwks.json"},
        {"token_endpoint_auth_signing_alg": "ES256"},
        {"request_object_signing_alg": "PS256"},
        {"id_token_signed_response_alg": "EdDSA"},
        {"software_version": "2.0"},
    ],
)
def test_other_keys_change_nothing_that_anybody_agreed_to(world, before, changes):
    said = {name: value for name, value in {**BY_KEY, **changes}.items() if value is not None}
    world.register(**said)
    assert seen(world).metadata_sha256 == before
    [app] = [parsed(**said)]
    assert app.sha256 == before


def test_another_path_at_the_same_host_neither(world):
    world.register(redirect_uris=["https://app.example/callback"])
    before = seen(world).metadata_sha256
    world.register(redirect_uris=["https://app.example/back", "https://app.example/other"])
    assert seen(world).metadata_sha256 == before and len(seen(world).redirect_uris) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"name": {"fr": "Autre nom", "en": "Other name"}},
        {"legal_entity": "Somebody else SAS"},
        {"on_behalf_of": "Ville de Lyon"},
        {"website": "https://other.example"},
        {"privacy_policy": "https://app.example/other"},
        {"terms": "https://app.example/other"},
        {"deletion_contact": "other@app.example"},
        {"purposes": ["energy-advice", "household-budget"]},
        {"recipients": [{"name": "Cloud SA", "role": "hosting", "country": "FR"}]},
        {"data": []},
        {"redirect_uris": ["https://other.example/callback"]},
        {"redirect_uris": ["https://app.example:8443/callback"]},
        {"token_endpoint_auth_method": "client_secret_basic", "jwks": None},
        {"scope": "openid"},
        {"backchannel_logout_uri": "https://elsewhere.example/told"},
        {"dpop_bound_access_tokens": True},
    ],
)
def test_whatever_else_changes_counts(world, changes):
    base = {**BY_KEY, "redirect_uris": ["https://app.example/callback"]}
    world.register(**base)
    before = seen(world).metadata_sha256
    changes = {"scope": "openid", **changes} if changes == {"data": []} else changes
    world.register(**{name: value for name, value in {**base, **changes}.items() if value is not None})
    assert seen(world).metadata_sha256 != before


def test_what_was_registered_before_keys_were_left_out_is_not_asked_about_again(world, before):
    """Its hash was of the whole declaration."""

    with world.house.store.write() as session:
        session.get_one(App, "watt-coach").metadata_sha256 = "of the whole"
    world.register(**{**BY_KEY, "jwks": {"keys": [OTHER]}})
    assert seen(world).metadata_sha256 == "of the whole"
    world.register(**{**BY_KEY, "legal_entity": "Somebody else SAS"})
    assert seen(world).metadata_sha256 not in ("of the whole", before)


def test_every_key_that_is_left_out_is_a_key_of_a_declaration():
    assert agreed.NO_PART | agreed.BY_PLACE <= FORM.tables[""].keys() and not agreed.NO_PART & agreed.BY_PLACE
