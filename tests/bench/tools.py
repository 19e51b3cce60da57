"""What the bench needs from the distribution, installed when we may, and said when it is not there."""

import os
import shutil
import subprocess
from collections.abc import Callable

from tests import postgres
from tests.bench import apache
from tests.bench.stage import Say

INSTALL_SECONDS = 180


def _command(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is missing"


# tool → why it cannot be used (empty: it can), and the Debian packages that bring it
NEEDED: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "nginx": (_command("nginx"), ("nginx",)),
    "wrk": (_command("wrk"), ("wrk",)),
    "taskset": (_command("taskset"), ("util-linux",)),
    "postgresql": (lambda: "" if postgres.programs() else "postgresql is missing", ("postgresql",)),
    "apache": (lambda: _command("apache2")() or apache.missing(), ("apache2", "libapache2-mod-oauth2")),
}
ESSENTIAL = ("nginx", "wrk", "taskset")  # without these nothing can be measured


def missing(say: Say, *needed: str) -> dict[str, str]:
    """tool → why it is not there, after an attempt to install it."""
    packages = [package for name in needed if NEEDED[name][0]() for package in NEEDED[name][1]]
    if packages:
        _install(packages, say)
    return {name: why for name in needed if (why := NEEDED[name][0]())}


def _install(packages: list[str], say: Say) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"missing, and only root with apt-get can install it: {' '.join(packages)}")
        return
    say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"{' '.join(command[:2])} took too long")
            return
        if done.returncode:
            say(f"{' '.join(command[:2])}: {done.stderr.strip()[-200:]}")
            return
