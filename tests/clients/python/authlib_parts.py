"""What an app of Authlib is made with, whichever of its clients it takes."""

from typing import Any

from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from playing import APP

OPTIONS: dict[str, Any] = {
    "redirect_uri": APP["redirect_uri"],
    "code_challenge_method": "S256",
    "token_endpoint_auth_method": APP["method"],
    "revocation_endpoint_auth_method": APP["method"],
}


def secret() -> Any:
    """What proves who the app is: a secret, a key, or nothing."""
    return ECKey.import_key(APP["key"]) if "key" in APP else APP.get("secret")


def signs(client: Any, server: dict[str, Any]) -> None:
    """Authlib has to be told of private_key_jwt, and that it is not RS256."""
    if APP["method"] == "private_key_jwt":
        signer = PrivateKeyJWT(server["token_endpoint"], alg=APP["key"]["alg"], headers={"kid": APP["key"]["kid"]})
        client.register_client_auth_method(signer)


def unnamed(form: dict[str, str]) -> dict[str, str]:
    """The form without client_id: Authlib's client authentication adds it, and twice is refused (RFC 6749 §3.1)."""
    return {name: value for name, value in form.items() if name != "client_id"}
