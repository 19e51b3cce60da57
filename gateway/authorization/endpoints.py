"""The endpoints, and for each the steps that a call takes, in their order. The functions are in steps.py.

`aval reference` prints this as one table, steps × endpoints.
"""

from gateway.apps.profiles import AUTH_METHODS
from gateway.authorization import parameters, reading, steps
from gateway.authorization.protocol import Endpoint
from gateway.consent.itself import USERINFO

PAR = Endpoint(
    parameters.PAR,
    "/par",
    "pushed_authorization_request_endpoint",
    "Take a pushed authorization request (RFC 9126): 201 with its `request_uri`, or 400 with what is wrong with it.",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.count_unauthenticated,
        steps.check_no_request_uri,
        steps.bind_key,
        steps.load_request_object,
        steps.check_signed,
        steps.check_request,
        steps.bind_request,
        steps.store_request,
    ),
    browsers=True,
    gives=True,
)
TOKEN = Endpoint(
    parameters.TOKEN,
    "/token",
    "token_endpoint",
    "Give tokens for a code or a refresh token (RFC 6749 §3.2), with `authorization_details` as granted (RFC 9396).",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.check_grant_type,
        steps.check_no_details,
        steps.bind_key,
        steps.check_binding,
        steps.issue_tokens,
    ),
    methods=AUTH_METHODS,
    browsers=True,
    gives=True,
)
REVOKE = Endpoint(
    parameters.REVOKE,
    "/revoke",
    "revocation_endpoint",
    "Give a token back (RFC 7009): its whole family ends, the person's agreement stays. 200 for an unknown one too.",
    (steps.check_form, reading.read_elsewhere, steps.authenticate_client, steps.end_tokens),
    methods=AUTH_METHODS,
    browsers=True,
)
INTROSPECT = Endpoint(
    parameters.INTROSPECT,
    "/introspect",
    "introspection_endpoint",
    "Say whether one of the app's own tokens is worth anything now, and what it carries (RFC 7662).",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.check_confidential,
        steps.tell_of_token,
    ),
    methods=AUTH_METHODS[1:],
    gives=True,
)
USER_INFO = Endpoint(
    parameters.USERINFO,
    USERINFO,
    "userinfo_endpoint",
    "Tell an app what the person agreed that it learns of her account here (OpenID Connect Core §5.3).",
    (steps.load_access_token, steps.check_openid, steps.check_permitted, steps.tell_of_person),
    verbs=("GET", "POST"),
    browsers=True,
    gives=True,
)
DEVICE = Endpoint(
    parameters.DEVICE,
    "/device_authorization",
    "device_authorization_endpoint",
    "Begin a request of an app without a browser (RFC 8628): 200 with the code to show and the address of our page.",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.count_unauthenticated,
        steps.check_device,
        steps.bind_key,
        steps.check_request,
        steps.bind_request,
        steps.begin_device,
    ),
    browsers=True,
    gives=True,
)
STEPPED = (PAR, TOKEN, REVOKE, INTROSPECT, USER_INFO, DEVICE)
# Their doors are made elsewhere.
AUTHORIZE = Endpoint(parameters.AUTHORIZE, "/authorize", "authorization_endpoint", "")
JWKS = Endpoint("jwks", "/jwks.json", "jwks_uri", "")
