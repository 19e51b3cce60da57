"""[connection] of declarations: each kind of proof, and each way of matching."""

SECRET = "canary-of-the-secret"
_HELD = '{ env = "SECRET" }'
_HEADER = f'header = "X-Api-Key"\nsecret = {_HELD}'
_USER = f'user = "aval"\nsecret = {_HELD}'
_CLIENT = f'token = "/token"\nclient_id = "aval"\nclient_secret = {_HELD}'


def _proved(kind: str, keys: str, match: str = "number") -> str:
    """`keys`: of the table of that kind."""
    return f'\nkind = "{kind}"\nmatch = "{match}"\n[connection.{kind}]\n{keys}\n'


KEY = _proved("api_key", _HEADER)
BASIC = _proved("basic", _USER)
OWN = _proved("client_credentials", f'{_CLIENT}\nscope = "accounts"')
BY_KEY = OWN.replace(f"client_secret = {_HELD}", 'auth = "private_key_jwt"')
EXCHANGED = _proved("token_exchange", f'{_CLIENT}\nauth = "client_secret_post"\naudience = "the-bank"')
SIGNED = '\nkind = "signed"\nmatch = "number"\n'
OAUTH = f"""{_proved("basic", _USER, "oauth")}[connection.oauth]
authorize = "/authorize"
token = "/token"
revoke = "/revoke"
client_id = "aval"
client_secret = {{ env = "OAUTH_SECRET" }}
scope = "who"
"""
# `issuer` is filled in
SIGN_IN = f"""{_proved("api_key", _HEADER, "sign_in").replace("{", "{{").replace("}", "}}")}[connection.sign_in]
name = {{{{ fr = "Identité Publique", en = "Public Identity" }}}}
issuer = "{{issuer}}"
authorize = "/authorize"
token = "/token"
jwks = "/jwks"
client_id = "aval"
client_secret = {{{{ env = "SIGN_IN_SECRET" }}}}
scope = "openid customer"
claim = "customer_number"
"""
