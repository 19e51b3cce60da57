"""By which `sub` an app knows a person: another for every app, the same for all apps of one sector (OpenID Connect Core
§8.1)."""

from gateway.apps.registration import Registration
from gateway.ground.keys import KeyRing


def subject(keys: KeyRing, person: str, client: Registration) -> str:
    return keys.pairwise(person, client.reader)
