"""HTTP Message Signatures of the gateway's calls: RFC 9421, by the ECDSA P-256 key that /jwks.json publishes.

What is signed: the method; the address, whole (@target-uri) or in parts (@authority, @path, @query); the field that
names the customer, where there is one; and of a body its type and its digest (RFC 9530). Each signature has the time,
the key's name and a nonce, so that an organisation can refuse an old one and one that comes twice.
"""

import base64
import hashlib
from datetime import datetime

from gateway.ground.http.connector import Headers
from gateway.ground.http.reach import origin
from gateway.ground.keys import KeyRing

ALGORITHM = "ecdsa-p256-sha256"
LABEL = "aval"


def signed(
    keys: KeyRing,
    base_url: str,
    method: str,
    path: str,
    fields: Headers,
    body: bytes,
    now: datetime,
    nonce: str,
    *,
    whole_address: bool,
) -> Headers:
    """The fields to add. `path`: with its query, below `base_url`. `fields`: those to be signed as they are."""
    added: Headers = []
    if body:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        added.append((b"content-digest", f"sha-256=:{digest}:".encode()))
    lines = [("@method", method), *_address(base_url, path, whole_address)]
    lines += [(name.decode(), value.decode("latin-1").strip()) for name, value in (*fields, *added)]
    key = keys.signer  # once: another may sign in the next moment
    covered = " ".join(f'"{name}"' for name, _ in lines)
    parameters = f'({covered});created={int(now.timestamp())};keyid="{key.kid}";alg="{ALGORITHM}";nonce="{nonce}"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in lines), f'"@signature-params": {parameters}'])
    signature = base64.b64encode(keys.sign_message(base.encode("latin-1"), key)).decode()
    added.append((b"signature-input", f"{LABEL}={parameters}".encode()))
    added.append((b"signature", f"{LABEL}=:{signature}:".encode()))
    return added


def _address(base_url: str, path: str, whole: bool) -> list[tuple[str, str]]:
    """RFC 9421 §2.2.2 to §2.2.7. Without a query @query is a lone question mark."""
    where = origin(base_url)
    scheme = "https" if where.secure else "http"
    if whole:
        return [("@target-uri", f"{scheme}://{where.host_header}{where.path}{path}")]
    plain, _, query = path.partition("?")
    return [("@authority", where.host_header), ("@path", where.path + plain), ("@query", f"?{query}")]
