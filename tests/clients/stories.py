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
    assert seen["renewal"]["error"] == "invalid_grant"
    assert seen["renewal"]["status"] in (400, None)  # None: Authlib's errors do not say


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


# ---- what a flow must have shown at any server that has it


def check_dpop(seen: Mapping[str, Any]) -> None:
    """RFC 9449: nothing without the key, or with another; the nonces of both servers were asked for and given."""
    assert seen["tokens"]["token_type"].lower() == "dpop" and "ES256" in seen["algorithms"]
    assert seen["bound"] == seen["thumbprint"]
    assert seen["data"]["status"] == 200 and seen["again"]["status"] == 200
    assert (seen["asBearer"], seen["withOtherKey"]) == (401, 401)
    assert seen["renewedWithOtherKey"]["error"] in ("invalid_grant", "invalid_dpop_proof")
    assert seen["nonces"] == {"server": True, "data": True}


def check_mtls(seen: Mapping[str, Any]) -> None:
    """RFC 8705: nothing without the certificate, or with another."""
    assert seen["metadata"]["tls_client_certificate_bound_access_tokens"] is True
    assert seen["bound"] == seen["thumbprint"]
    assert seen["data"]["status"] == 200 and seen["renewed"]["access_token"]
    assert seen["without"] == 401
    assert seen["withOther"] in (401, "ECONNRESET"), "the handshake itself may refuse what nobody knows"


def check_jar(seen: Mapping[str, Any]) -> None:
    """RFC 9101, pushed (RFC 9126 §3); who registered that it signs is refused unsigned."""
    assert "ES256" in seen["metadata"]["request_object_signing_alg_values_supported"]
    assert seen["data"]["status"] == 200
    assert seen["unsigned"]["error"] in ("invalid_request", "invalid_request_object")


def check_jarm(seen: Mapping[str, Any]) -> None:
    assert "jwt" in seen["metadata"]["response_modes_supported"]
    assert "ES256" in seen["metadata"]["authorization_signing_alg_values_supported"]
    assert seen["data"]["status"] == 200


def check_oidc(seen: Mapping[str, Any], issuer: str, client_id: str) -> None:
    """OpenID Connect Core §2, §5.3."""
    claims = seen["claims"]
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (issuer, client_id, seen["nonce"])
    assert claims["sub"] == seen["userinfo"]["sub"] and claims["auth_time"] <= claims["iat"] < claims["exp"]
    assert "openid" in seen["metadata"]["scopes_supported"] and "ES256" in _signs(seen["metadata"])
    assert seen["other"]["code"] == "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"


def _signs(metadata: Mapping[str, Any]) -> list[str]:
    found: list[str] = metadata["id_token_signing_alg_values_supported"]
    return found


def check_device(seen: Mapping[str, Any]) -> None:
    """RFC 8628."""
    assert seen["shown"]["user_code"] and seen["shown"]["verification_uri"].startswith("https://")
    assert seen["data"]["status"] == 200


def check_ciba(seen: Mapping[str, Any]) -> None:
    assert seen["begun"]["auth_req_id"] and seen["begun"]["expires_in"] > 0
    assert seen["data"]["status"] == 200


def check_machine(seen: Mapping[str, Any]) -> None:
    """RFC 6749 §4.4.3: no refresh token. A token that is about no person reads nobody's data."""
    assert "client_credentials" in seen["metadata"]["grant_types_supported"]
    assert seen["tokens"]["access_token"] and "refresh_token" not in seen["tokens"]
    assert seen["data"]["status"] in (401, 403)
