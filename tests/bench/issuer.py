"""oidc-provider, installed by npm into .bench/node, and one token of its own making."""

import base64
import json
import secrets
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.processes import Group
from tests.ports import free_port

PACKAGE = "oidc-provider@9"
SCRIPT = Path(__file__).with_name("issuer.mjs")
INSTALL_SECONDS = 120


@dataclass
class Issuer:
    port: int = field(default_factory=free_port)
    client: str = "bench"
    secret: str = field(default_factory=lambda: secrets.token_hex(24))
    pid: int = 0

    @property
    def credentials(self) -> str:
        return base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()

    def start(self, group: Group, folder: Path, on: int) -> None:
        """Node resolves packages from where the script lies, so the script goes to the packages."""
        script = shutil.copy(SCRIPT, folder / SCRIPT.name)
        command = ["node", str(script), str(self.port), self.client, self.secret]
        self.pid = group.start("issuer", command, on=on, port=self.port).pid

    def token(self) -> str:
        """A fresh opaque access token (RFC 6749 §4.4)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/token",
            data=b"grant_type=client_credentials",
            headers={"Authorization": f"Basic {self.credentials}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["access_token"])


def installed(folder: Path) -> str:
    """Why it cannot be had; empty when it is there. Installs it into `folder` when it is not."""
    if shutil.which("node") is None:
        return "node is missing"
    if version(folder):
        return ""
    if shutil.which("npm") is None:
        return "npm is missing"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-save", "--no-fund", "--no-audit", PACKAGE]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        return f"npm could not install {PACKAGE} in {INSTALL_SECONDS} s"
    return "" if done.returncode == 0 else f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}"


def version(folder: Path) -> str:
    manifest = folder / "node_modules" / "oidc-provider" / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else ""
