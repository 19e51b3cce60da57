"""`authorization_details` (RFC 9396 §2): the JSON text is parsed here; the consent room checks what it asks for."""

from typing import Any

from gateway.authorization import rules
from gateway.consent.request import InvalidDetails
from gateway.ground.declarations.texts import hidden
from gateway.ground.keys import strict


def parse(text: str) -> list[Any]:
    """The array of objects. Raises InvalidDetails, which names the broken rule but never repeats the content."""
    if len(text.encode()) > rules.DETAILS_LIMIT:
        raise InvalidDetails(f"more than {rules.DETAILS_LIMIT} bytes", "authorization_details")
    try:
        value = strict.loads(text, depth=rules.DETAILS_DEPTH)
    except strict.Malformed as error:
        raise InvalidDetails(str(error), "authorization_details") from None
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InvalidDetails("not an array of objects", "authorization_details")
    if len(value) > rules.DETAILS_COUNT:
        raise InvalidDetails(f"more than {rules.DETAILS_COUNT} objects", "authorization_details")
    # People read the app's reasons on the screen: no invisible characters, none that reverse the direction of text.
    if any(hidden(found) for found in _texts(value)):
        raise InvalidDetails("holds control or invisible characters", "authorization_details")
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for member in pair for text in _texts(member)]
    return [text for member in value for text in _texts(member)] if isinstance(value, list) else []
