"""The answer to an authorization request, in the redirect to the app: plain (RFC 6749 §4.1.2, RFC 9207), or as one
signed JWT (JARM §2)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from gateway.apps.registration import Registration
from gateway.authorization import rules
from gateway.house import House

RESPONSE_LIFE = timedelta(minutes=5)  # JARM §2.1 recommends ten minutes at most


def address(
    house: House, client: Registration, uri: str, mode: str, answer: Mapping[str, str | None], now: datetime
) -> str:
    """`uri` with the answer appended, with `iss` in success and error alike. A query in `uri` is kept byte for byte.

    `mode`: the response_mode of the request.
    """
    said = {name: value for name, value in answer.items() if value is not None}
    issuer = house.settings.public_url
    if mode in rules.SIGNED_MODES:
        claims = {"iss": issuer, "aud": client.client_id, "exp": int((now + RESPONSE_LIFE).timestamp()), **said}
        said = {"response": house.keys.sign(claims, typ="JWT", algorithm=client.response_alg or client.profile.signed)}
    else:
        said["iss"] = issuer
    return uri + ("&" if "?" in uri else "?") + urlencode(said, quote_via=quote)
