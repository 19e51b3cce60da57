"""What an app says of itself when it is registered."""

from typing import Any


def declaration(client_id: str, **changes: Any) -> dict[str, Any]:
    """A good one, of a public client: all but what it wants (`redirect_uris`, `purposes`, `data`)."""
    site = "https://app.example"
    return {
        "client_id": client_id,
        "name": {"fr": client_id.title(), "en": client_id.title()},
        "legal_entity": "Example SAS",
        "website": site,
        "privacy_policy": f"{site}/privacy",
        "terms": f"{site}/terms",
        "deletion_contact": "delete@app.example",
        "token_endpoint_auth_method": "none",
        **changes,
    }
