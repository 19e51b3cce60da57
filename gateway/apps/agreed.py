"""What of a registration is a part of what people agree to: when it changes, they are asked again.

Everything that the app says counts, unless it stands here. So a key that a declaration gets later counts until somebody
has thought about it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.apps import addresses
from gateway.apps.profiles import SIGNED_BY, SIGNED_FOR
from gateway.ground.declarations import digest

# By what the app is recognised, and how what is signed for it is made: it must be able to change its keys at any time.
NO_PART = frozenset(
    ("jwks", "jwks_uri", "tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri",
     "tls_client_auth_san_ip", "tls_client_auth_san_email", "software_version", *SIGNED_BY, *SIGNED_FOR,
     "asks_anybody", "backchannel_token_delivery_mode", "backchannel_user_code_parameter")
)  # fmt: skip
# Of these only where they lead: to which host, or to which native app. That is what people are told.
CALLED = (  # addresses that the gateway itself calls
    "backchannel_logout_uri",
    "backchannel_client_notification_endpoint",
    "deferred_client_notification_endpoint",
)
BY_PLACE = frozenset(("redirect_uris", "post_logout_redirect_uris", "initiate_login_uri", *CALLED))


def part(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a checked declaration that people agree to."""
    return {key: _places(value) if key in BY_PLACE else value for key, value in document.items() if key not in NO_PART}


def _places(value: str | list[str]) -> list[str]:
    return sorted({addresses.place(uri) for uri in ([value] if isinstance(value, str) else value)})


def sha256(document: Mapping[str, Any]) -> str:
    return digest(part(document))
