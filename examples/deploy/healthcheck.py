"""Whether the gateway of this container is well: exit code 0, else 1 with a line that says why. Standard library only.

    python3 healthcheck.py healthz               the process answers
    python3 healthcheck.py readyz                it can serve
    python3 healthcheck.py readyz --although log  it can serve, or everything but the log is well

A frozen log makes `/readyz` say no, and all gateways say so at once. People still read their pages then, and stop what
they share. So whoever takes a gateway out of service by `/readyz` asks with `--although log`; with the plain answer
nobody could stop anything any more.

The gateway answers only under its own name, so that goes along (Host), from where the gateway has it.
"""

import http.client
import json
import os
import ssl
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 5.5  # the gateway waits 5 s for a database that does not answer, and then says so


def setting(name: str, default: str) -> str:
    """As the gateway reads it: a variable, else the file of AVAL_CONFIG."""
    if found := os.environ.get(f"AVAL_{name}".upper()):
        return found
    config = os.environ.get("AVAL_CONFIG")
    return str(tomllib.loads(Path(config).read_text(encoding="utf-8")).get(name, default)) if config else default


def connection(port: int) -> http.client.HTTPConnection:
    """Over TLS where the gateway ends it itself. The certificate is for another name than localhost, and who listens
    here is not in question."""
    if not setting("tls_certificate_file", ""):
        return http.client.HTTPConnection("localhost", port, timeout=SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("localhost", port, timeout=SECONDS, context=context)


def fault(page: str, although: set[str]) -> str:
    """Why it is not well; empty: it is."""
    port = int(setting("port", "8400"))
    host = urlsplit(setting("public_url", "http://localhost:8400")).netloc
    asked = connection(port)
    try:
        asked.request("GET", f"/{page}", headers={"Host": host})
        answer = asked.getresponse()
        body = answer.read()
    except OSError as error:
        return f"localhost:{port}: {error}"
    finally:
        asked.close()
    if answer.status == 200:
        return ""
    if answer.status != 503 or page != "readyz":
        return f"{page}: status {answer.status}"
    failed = {name for name, state in json.loads(body)["checks"].items() if state == "failed"}
    return ", ".join(sorted(failed - although)) if failed else "not ready"


if __name__ == "__main__":
    if why := fault(sys.argv[1], {each for each in sys.argv[2:] if each != "--although"}):
        print(why, file=sys.stderr)
        sys.exit(1)
