"""[connection] of declarations: each kind of proof, and each way of matching."""

SECRET = "canary-of-the-secret"
KEY = """
kind = "api_key"
match = "number"
[connection.api_key]
header = "X-Api-Key"
secret = { env = "SECRET" }
"""
BASIC = """
kind = "basic"
match = "number"
[connection.basic]
user = "aval"
secret = { env = "SECRET" }
"""
OWN = """
kind = "client_credentials"
match = "number"
[connection.client_credentials]
token = "/token"
client_id = "aval"
client_secret = { env = "SECRET" }
scope = "accounts"
"""
BY_KEY = OWN.replace('client_secret = { env = "SECRET" }', 'auth = "private_key_jwt"')
EXCHANGED = """
kind = "token_exchange"
match = "number"
[connection.token_exchange]
token = "/token"
client_id = "aval"
client_secret = { env = "SECRET" }
auth = "client_secret_post"
audience = "the-bank"
"""
SIGNED = """
kind = "signed"
match = "number"
"""
SIGN_IN = """
kind = "api_key"
match = "sign_in"
[connection.api_key]
header = "X-Api-Key"
secret = {{ env = "SECRET" }}
[connection.sign_in]
name = {{ fr = "Identité Publique", en = "Public Identity" }}
issuer = "{issuer}"
authorize = "/authorize"
token = "/token"
jwks = "/jwks"
client_id = "aval"
client_secret = {{ env = "SIGN_IN_SECRET" }}
scope = "openid customer"
claim = "customer_number"
"""
OAUTH = """
kind = "basic"
match = "oauth"
[connection.basic]
user = "aval"
secret = { env = "SECRET" }
[connection.oauth]
authorize = "/authorize"
token = "/token"
revoke = "/revoke"
client_id = "aval"
client_secret = { env = "OAUTH_SECRET" }
scope = "who"
"""
