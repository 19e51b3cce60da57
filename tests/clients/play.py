"""Flows as processes. A flow is a short script that plays an app with one client library.

It is told what it needs in one line of JSON on its standard input, and says one line of JSON at a time:

    {"open": address}            a person shall open it; it is answered {"back": the address where her browser ended}
    {"result": …}                what the flow has seen; its last line
    {"refused": …, "steps": …}   the client library or the gateway said no; its last line

Whatever else it does is a fault of the script, never of the gateway.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE = HERE / "node"
SECONDS = 60
Visits = Callable[[str], str]
Plays = Callable[..., dict[str, Any]]  # the fixture `plays`


class Stumble(AssertionError):
    """An app could not go on. `steps`: every request and answer until then."""

    def __init__(self, where: str, why: str, steps: list[dict[str, Any]], error: Mapping[str, Any] | None = None):
        told = "\n".join(json.dumps(step, ensure_ascii=False) for step in steps[-4:])
        super().__init__(f"{where}: {why}\n{told}")
        self.where, self.why, self.steps, self.error = where, why, steps, dict(error or {})


class BrokenScript(Exception):
    """The script itself is wrong."""


def missing_node() -> str:
    """Why scripts of Node cannot run here; empty: they can."""
    if shutil.which("node") is None:
        return "node is missing (20 or newer)"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0] or 0) < 20:
        return f"node is {version}; the clients need 20 or newer"
    if not (NODE / "node_modules" / "openid-client").is_dir():
        return "the clients are not installed: make clients (needs npm)"
    return ""


def need_node() -> None:
    """Skip with the reason; where continuous integration could have had it (there is npm), fail with it."""
    if why := missing_node():
        if os.environ.get("CI") == "true" and shutil.which("npm"):
            pytest.fail(f"{why}, and this run is meant to have it", pytrace=False)
        pytest.skip(why)


def played(script: str, arguments: Mapping[str, Any], visits: Visits, trust: Path) -> dict[str, Any]:
    """The result of a flow: `x.mjs` of node/, or `x.py` of python/. Raises Stumble or BrokenScript."""
    node = script.endswith(".mjs")
    command = ["node", str(NODE / script)] if node else [sys.executable, str(HERE / "python" / script)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(trust),
    )
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        return _followed(script, process, arguments, visits)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def environment(trust: Path) -> dict[str, str]:
    """The test's own root beside those of the system; no proxy of this machine is asked for localhost."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    own = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(trust))
    return {**kept, **own, "NODE_NO_WARNINGS": "1"}


def _followed(
    script: str, process: "subprocess.Popen[str]", arguments: Mapping[str, Any], visits: Visits
) -> dict[str, Any]:
    assert process.stdin and process.stdout and process.stderr
    _send(process, arguments)
    for line in process.stdout:
        said = json.loads(line)
        if "open" in said:
            _send(process, {"back": visits(said["open"])})
        elif "result" in said:
            result: dict[str, Any] = said["result"]
            return result
        elif "refused" in said:
            raise Stumble(script, said["refused"]["message"], said["steps"], said["refused"])
    raise BrokenScript(f"{script} ended without a result:\n{process.stderr.read()[-3000:]}")


def _send(process: "subprocess.Popen[str]", said: Mapping[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(said) + "\n")
    process.stdin.flush()
