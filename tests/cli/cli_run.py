"""`aval` run in this process, which says what it said and how it ended, and `aval serve` in a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx2

from tests.worlds import commands

ROOT = Path(__file__).parents[2]
ORGANISATIONS = ROOT / "examples" / "organisations"
APPS = ROOT / "examples" / "apps"


class Aval:
    """One run in this process."""

    def __init__(self, *arguments: str | Path, stdin: str = "") -> None:
        done = commands.run([str(part) for part in arguments], stdin)
        self.code, self.out, self.err = done.exit_code, done.stdout, done.stderr


class Gateway:
    """A serving process, its address and its log."""

    def __init__(
        self,
        folder: Path,
        log: Path,
        port: int,
        *options: str,
        umask: int = -1,
        stderr: int = subprocess.STDOUT,
        **settings: str,
    ) -> None:
        self.url, self.log = f"http://localhost:{port}", log
        environment = {
            **os.environ,
            "AVAL_DATA_DIR": str(folder),
            "AVAL_PORT": str(port),
            "AVAL_PUBLIC_URL": self.url,
            **settings,
        }
        self._output: IO[str] = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", *options],
            stdout=self._output,
            stderr=stderr,
            env=environment,
            cwd=ROOT,
            umask=umask,
        )

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(self.url + path, headers=headers, timeout=10)

    def until_ready(self) -> "Gateway":
        return self._until("/readyz")

    def until_alive(self) -> "Gateway":
        return self._until("/healthz")

    def _until(self, path: str) -> "Gateway":
        deadline = time.monotonic() + 90  # a busy machine is no fault
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.get(path).status_code == 200:
                    return self
            except httpx2.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def ends(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self._output.close()
        return code

    def lines(self) -> list[dict[str, object]]:
        return list(self._read())

    def _read(self) -> Iterator[dict[str, object]]:
        """Sentences between the lines, and a line of which a part is written, are left out."""
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)
