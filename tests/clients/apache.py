"""Debian's Apache with mod_auth_openidc (a relying party) and mod_oauth2 (a resource server), as operators set them up.

There is no page behind it: whom it lets in, it tells by the text of its error 404 who she is.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from play import BrokenScript

from tests.ports import free_port

MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "headers", "ssl", "auth_openidc", "oauth2")
SECONDS = 10

_FRAME = """
ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
Mutex sem
ErrorLog {folder}/error.log
LogLevel warn
Listen 127.0.0.1:{port}
DocumentRoot /var
<Directory />
    Require all denied
</Directory>
StartServers 1
{modules}
{user}
ErrorDocument 404 "let in as %{{REMOTE_USER}}"
{more}
"""

RELYING_PARTY = """
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCRedirectURI http://localhost:{port}/members/callback
OIDCCryptoPassphrase a-passphrase-of-the-test
OIDCScope "{scope}"
OIDCPKCEMethod S256
OIDCIDTokenSignedResponseAlg ES256
OIDCCABundlePath @TRUST@
OIDCInfoHook iat id_token userinfo
<Location /members>
    AuthType openid-connect
    Require valid-user
</Location>
"""

RESOURCE_SERVER = """
<Location />
    AuthType oauth2
    OAuth2TokenVerify {verify}
    OAuth2TargetPass remote_user_claim=client_id
    Require valid-user
</Location>
"""
# How it judges a token. What it has found it keeps for all its pages, so one Apache has one way.
BY_SIGNATURE = "jwks_uri {issuer}/jwks.json jwks_uri.ssl_verify=false"
BOUND_TO_KEY, BOUND_TO_CERTIFICATE = "&type=dpop", "&type=mtls"  # after BY_SIGNATURE
# Apache ends TLS itself, and asks for a certificate of whomever.
TLS = """
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
SSLVerifyClient optional_no_ca
SSLOptions +StdEnvVars +ExportCertData
"""
BY_ASKING = (
    "introspect {issuer}/introspect introspect.ssl_verify=false&introspect.auth=client_secret_basic"
    "&client_id={client_id}&client_secret={secret}"
)


def missing() -> str:
    """Why it cannot be had; empty: it can."""
    if shutil.which("apache2") is None:
        return "apache2 is missing: make apache (as root)"
    absent = [name for name in _LOADED if not (MODULES / f"mod_{name}.so").exists()]
    return f"Apache modules are missing: {', '.join(absent)}: make apache (as root)" if absent else ""


@contextlib.contextmanager
def apache(folder: Path, port: int, more: str, trust: Path) -> Iterator[str]:
    """Its address, while it serves. `trust`: whose certificates it believes; @TRUST@ in `more`."""
    with tempfile.TemporaryDirectory() as readable:  # by its children, which may not look into a test's folder
        Path(readable).chmod(0o755)
        copied = Path(shutil.copy(trust, readable))
        copied.chmod(0o644)
        with _started(folder, port, more.replace("@TRUST@", str(copied))):
            yield f"http://localhost:{port}"


@contextlib.contextmanager
def _started(folder: Path, port: int, more: str) -> Iterator[None]:
    folder.mkdir()
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _LOADED)
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""  # its children do not run as root
    text = _FRAME.format(folder=folder, port=port, modules=modules, user=user, more=more)
    (folder / "apache.conf").write_text(text)
    command = ["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + SECONDS
        while not (folder / "apache.pid").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is not None or not (folder / "apache.pid").exists():
            logged = folder / "error.log"
            raise BrokenScript((folder / "said.txt").read_text() + (logged.read_text() if logged.exists() else ""))
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def new_port() -> int:
    """Its redirect address is registered before it starts."""
    return free_port()
