"""Apache with mod_oauth2 as a reverse proxy: tokens validated here by their signature, or by introspection, cached."""

import subprocess
from pathlib import Path

from tests.bench.issuer import Issuer
from tests.bench.processes import Group

MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "oauth2")

# One process with a thread for each connection, kept for good: the best it can do on one core.
_FRAME = """
ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
Mutex file:{folder}
ErrorLog {folder}/error.log
LogLevel warn
Listen 127.0.0.1:{port}
{modules}
{user}
StartServers 1
ServerLimit 1
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers 64
MinSpareThreads 64
MaxSpareThreads 64
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestFieldSize 16380
ProxyPass / http://127.0.0.1:{data_port}/ keepalive=On max=64 ttl=60
<Location />
    AuthType oauth2
    OAuth2TokenVerify {verify}
    Require valid-user
</Location>
"""


def missing() -> str:
    """Why it cannot be had; empty when it is there."""
    absent = [name for name in _LOADED if not (MODULES / f"mod_{name}.so").exists()]
    return f"Apache modules missing: {', '.join(absent)}" if absent else ""


def version() -> str:
    said = subprocess.run(["apache2", "-v"], capture_output=True, text=True).stdout
    return said.partition("Apache/")[2].split()[0]


def local(group: Group, on: int, port: int, data_port: int, jwks: str) -> int:
    """JWT validation with the keys at `jwks`; its process id."""
    return _started(group, "apache-local", on, port, data_port, f"jwks_uri {jwks} jwks_uri.ssl_verify=false")


def introspecting(group: Group, on: int, port: int, data_port: int, issuer: Issuer) -> int:
    """Introspection, whose answers mod_oauth2 keeps in its shared memory."""
    how = f"introspect.auth=client_secret_basic&client_id={issuer.client}&client_secret={issuer.secret}"
    claim = "remote_user_claim=client_id"
    verify = f"introspect http://127.0.0.1:{issuer.port}/token/introspection {how}&expiry=300"
    return _started(group, "apache-introspecting", on, port, data_port, f"{verify}\n    OAuth2TargetPass {claim}")


def _started(group: Group, name: str, on: int, port: int, data_port: int, verify: str) -> int:
    folder = group.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _LOADED)
    text = _FRAME.format(folder=folder, port=port, data_port=data_port, verify=verify, modules=modules, user=_user())
    (folder / "apache.conf").write_text(text)
    command = ["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
    return group.start(name, command, on=on, port=port).pid


def _user() -> str:
    """Apache will not run its children as root."""
    import os

    return "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
