"""Three organisations that hold data about people, each a small server in its sector's own API.

They trust nobody's word: Harbour Bank and Meadow Health check the gateway's signed assertion on every call, City Energy
its own access tokens. Each `*.toml` beside the servers is the declaration by which a gateway comes to know one of them.
"""
