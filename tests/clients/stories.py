"""What a whole story must have shown, whichever client library played the app."""

from collections.abc import Mapping
from typing import Any

from clients_world import FIELDS, World


def check_whole(world: World, seen: Mapping[str, Any], *, public: bool) -> None:
    """Asked, agreed, read, renewed, read again, introspected, given back; and then nothing more."""
    check_granted(world, seen["tokens"])
    check_read(seen["data"])
    check_renewed(seen["tokens"], seen["renewed"], rotates=public)
    check_read(seen["again"])
    if public:  # RFC 7662 §2.1: who introspects must be authenticated
        assert seen["introspected"]["status"] == 401
    else:
        about = seen["introspected"]
        assert about["active"] is True and about["iss"] == world.gateway
        assert about["grant_id"] == seen["tokens"]["grant_id"]
        assert about["authorization_details"] == seen["tokens"]["authorization_details"]
    assert seen["after"]["status"] == 401
    assert (seen["renewal"]["status"], seen["renewal"]["error"]) == (400, "invalid_grant")


def check_granted(world: World, tokens: Mapping[str, Any], token_type: str = "bearer") -> None:
    """Exactly what was asked, with the account that was chosen."""
    assert tokens["token_type"].lower() == token_type and 0 < tokens["expires_in"] <= 300
    [detail] = tokens["authorization_details"]
    assert detail["type"] == "data_access" and detail["fields"] == FIELDS
    assert detail["locations"] == [f"{world.gateway}/data/city-energy"] and len(detail["accounts"]) == 1
    assert tokens["grant_id"] and tokens["refresh_token"]


def check_read(answer: Mapping[str, Any]) -> None:
    assert answer["status"] == 200 and answer["type"].startswith("application/atom+xml"), answer
    assert "<feed" in answer["body"]


def check_renewed(before: Mapping[str, Any], after: Mapping[str, Any], *, rotates: bool) -> None:
    """A public app's refresh token is spent with each use; that of an app that proves who it is stays."""
    assert after["access_token"] != before["access_token"] and after["grant_id"] == before["grant_id"]
    assert after["authorization_details"] == before["authorization_details"]
    if rotates:
        assert after["refresh_token"] != before["refresh_token"]
    else:
        assert after.get("refresh_token", before["refresh_token"]) == before["refresh_token"]
