"""The endpoints, and for each the steps that a call takes, in their order. The functions are in steps.py. The plain yes
of two of them is also given without a thread (plain_calls.py), as these steps would give it.

`aval reference` prints this as one table, steps × endpoints.
"""

from gateway.apps.profiles import AUTH_METHODS
from gateway.authorization import backchannel, deferring, grants, parameters, reading, rules, steps
from gateway.authorization.assertions import ALGORITHMS
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
    "Give tokens for a code or a refresh token (RFC 6749 §3.2), with `authorization_details` as granted (RFC 9396), and"
    " to a client itself (`client_credentials`), or in exchange for another access token (RFC 8693).",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.check_grant_type,
        steps.bind_key,
        steps.check_binding,
        deferring.defer_wider,
        deferring.defer_surer,
        steps.check_no_details,
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
    says={"introspection_signing_alg_values_supported": list(rules.SIGNS)},
    gives=True,
)
# ---- grants (Grant Management for OAuth 2.0), under their own name and under those of two countries' rules

_OF_GRANT = (grants.load_client_token, grants.check_scope, grants.load_grant)
GRANT = Endpoint(
    parameters.GRANT,
    "/grants/{grant_id}",
    "grant_management_endpoint",
    "What is granted to the app by one grant now (Grant Management §6.3); 404 for one that is over or not the app's.",
    (*_OF_GRANT, grants.tell_grant),
    verbs=("GET",),
    gives=True,
)
GRANT_END = Endpoint(
    parameters.GRANT_END,
    "/grants/{grant_id}",
    "",
    "End a grant: 204, and all its tokens are worth nothing at once (Grant Management §6.4).",
    (*_OF_GRANT, grants.end_grant),
    verbs=("DELETE",),
)
UK_CONSENT = Endpoint(
    parameters.UK_CONSENT,
    "/account-access-consents/{grant_id}",
    "",
    "The state of a grant, in the words of UK Open Banking.",
    (*_OF_GRANT, grants.tell_uk_consent),
    verbs=("GET",),
    gives=True,
)
UK_CONSENT_END = Endpoint(
    parameters.UK_CONSENT_END,
    "/account-access-consents/{grant_id}",
    "",
    "The same as `DELETE /grants/{grant_id}`, under its address of UK Open Banking.",
    (*_OF_GRANT, grants.end_grant),
    verbs=("DELETE",),
)
ARRANGEMENT_END = Endpoint(
    parameters.ARRANGEMENT_END,
    "/arrangements/revoke",
    "cdr_arrangement_revocation_endpoint",
    "End a grant by its `cdr_arrangement_id`, as Australian apps do: 204; 422 for one that is over or not the app's.",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        steps.check_confidential,
        grants.load_arrangement,
        grants.end_grant,
    ),
)
GRANTS = (GRANT, GRANT_END, UK_CONSENT, UK_CONSENT_END, ARRANGEMENT_END)
USER_INFO = Endpoint(
    parameters.USERINFO,
    USERINFO,
    "userinfo_endpoint",
    "Tell an app what the person agreed that it learns of her account here (OpenID Connect Core §5.3).",
    (steps.load_access_token, steps.check_reads, steps.check_openid, steps.check_permitted, steps.tell_of_person),
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
BACKCHANNEL = Endpoint(
    parameters.BACKCHANNEL,
    "/bc-authorize",
    "backchannel_authentication_endpoint",
    "Ask a person who is not there (CIBA): 200 with the `auth_req_id` to poll with; she answers on her own page.",
    (
        steps.check_form,
        reading.read_elsewhere,
        steps.authenticate_client,
        backchannel.check_registered,
        steps.bind_key,
        backchannel.load_signed_request,
        backchannel.check_signs_in,
        backchannel.check_notification,
        steps.check_request,
        backchannel.check_message,
        steps.bind_request,
        backchannel.load_person,
        backchannel.begin_backchannel,
    ),
    says={
        "backchannel_token_delivery_modes_supported": ["poll", "ping"],
        "backchannel_authentication_request_signing_alg_values_supported": list(ALGORITHMS),
        "backchannel_user_code_parameter_supported": False,
    },
    gives=True,
)
STEPPED = (PAR, TOKEN, REVOKE, INTROSPECT, USER_INFO, DEVICE, BACKCHANNEL, *GRANTS)
# Their doors are made elsewhere.
AUTHORIZE = Endpoint(parameters.AUTHORIZE, "/authorize", "authorization_endpoint", "")
END_SESSION = Endpoint(parameters.END_SESSION, "/end-session", "end_session_endpoint", "")
JWKS = Endpoint("jwks", "/jwks.json", "jwks_uri", "")
