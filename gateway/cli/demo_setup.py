"""The demo's processes: the gateway, three organisations, two apps, and what they need to know of each other."""

import fcntl
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import typer

from gateway.cli.opening import without_password

CHECKOUT = Path(__file__).parents[2]
ORGANISATIONS = ("city-energy", "harbour-bank", "meadow-health")
APPS = ("watt-coach", "clear-budget")
# name → its port minus the gateway's
PORTS = {"gateway": 0, "city-energy": 1, "harbour-bank": 2, "meadow-health": 3, "watt-coach": 11, "clear-budget": 12}
PATIENCE_SECONDS = 60
PASSWORD = "correct horse battery"


@dataclass
class Demo:
    folder: Path
    ports: dict[str, int]
    secrets: dict[str, str]
    database_url: str = ""  # empty: SQLite in the folder
    count: int = 1  # of the gateway's processes
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    lock: int = -1  # locks the folder until `stop`: two demos in one folder would give the apps different addresses

    def url(self, name: str) -> str:
        return f"http://localhost:{self.ports[name]}"

    @property
    def gateway_dir(self) -> Path:
        return self.folder / "gateway"

    def environment(self) -> dict[str, str]:
        """The environment variables of the gateway's own processes (serve, add, verify)."""
        return {
            **os.environ,
            "AVAL_PUBLIC_URL": self.url("gateway"),
            "AVAL_PORT": str(self.ports["gateway"]),
            "AVAL_DATA_DIR": str(self.gateway_dir),
            "AVAL_DATABASE_URL": self.database_url,
            "AVAL_PROCESSES": str(self.count),
            "AVAL_OPERATOR_NAME": "Aval demo",
            "CITY_ENERGY_CLIENT_SECRET": self.secrets["city-energy"],
            "PYTHONUNBUFFERED": "1",
        }


def prepare(folder: Path, port: int, database_url: str = "", count: int = 1) -> Demo:
    """Choose ports (0: any free ones), folder, and the secrets that processes share. Kept for the next start."""
    if not (CHECKOUT / "examples" / "organisations").is_dir():
        raise typer.BadParameter("the demo runs from a checkout: its organisations and apps are in examples/")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _held(folder)
    kept = folder / "demo.json"
    shared = json.loads(kept.read_text()) if kept.exists() else {}
    shared.setdefault("city-energy", secrets.token_urlsafe(32))
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(shared))
    ports = (
        {name: port + above for name, above in PORTS.items()}
        if port
        else dict(zip(PORTS, free(len(PORTS)), strict=True))
    )
    for name, number in ports.items():
        if not _is_free(number):
            raise typer.BadParameter(
                f"port {number} ({name}) is taken; try another with --port, or 0 for any free ones"
            )
    prepared = Demo(folder.resolve(), ports, shared, database_url, count, lock=lock)
    # for commands beside it: `tell_of_demo`
    told = (prepared.url("gateway"), without_password(database_url), password_file() if database_url else "")
    (folder / "demo.lock").write_text("\n".join(told))
    return prepared


def password_file() -> str:
    """The file with the password of the demo's database, from wherever it is named; empty: there is none."""
    named = os.environ.get("AVAL_DATABASE_PASSWORD_FILE")
    return os.path.abspath(named) if named else ""


def _held(folder: Path) -> int:
    handle = os.open(folder / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise typer.BadParameter(f"a demo runs in {folder}; stop it, or give this one a folder with --dir") from None
    return handle


def aval(demo: Demo, *arguments: str) -> str:
    """Run an `aval` command for the demo's gateway. Returns its output. Raises RuntimeError with its error output."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        env=demo.environment(),
        cwd=CHECKOUT,
    )
    if done.returncode:
        raise RuntimeError(f"aval {' '.join(arguments[:2])} failed:\n{done.stderr or done.stdout}")
    return done.stdout


def start(demo: Demo, say: Callable[[str], None]) -> None:
    """Start everything and wait until it is ready. Raises RuntimeError with name and last lines of what failed."""
    try:
        _prepare_gateway(demo)
        _launch(demo, "gateway", [sys.executable, "-m", "gateway", "serve"], demo.environment())
        for name in (*ORGANISATIONS, *APPS):
            _launch(demo, name, _command(demo, name), _environment(demo, name))
        for name in PORTS:
            _await_ready(demo, name)
            say(f"{name} is ready at {demo.url(name)}")
    except BaseException:
        stop(demo)
        raise


def stop(demo: Demo) -> None:
    for process in demo.processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    for process in demo.processes.values():
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if demo.lock >= 0:
        os.close(demo.lock)
        demo.lock = -1


def _prepare_gateway(demo: Demo) -> None:
    """Prepare everything in one process, because each start of Python takes longer than the work."""
    aval(demo, "demo-prepare", "--dir", str(demo.folder), "--urls", json.dumps({n: demo.url(n) for n in PORTS}))


def _command(demo: Demo, name: str) -> list[str]:
    module = ("examples.organisations." if name in ORGANISATIONS else "examples.apps.") + name.replace("-", "_")
    command = [sys.executable, "-m", module, "--port", str(demo.ports[name]), "--gateway", demo.url("gateway")]
    command += ["--dir", str(demo.folder / name)]
    return command


def _environment(demo: Demo, name: str) -> dict[str, str]:
    """The environment of a process, with its secrets: command lines can be read by everybody on the machine."""
    kept = json.loads((demo.folder / "demo.json").read_text())
    variable = f"{name.replace('-', '_').upper()}_CLIENT_SECRET"
    return {**os.environ, "PYTHONUNBUFFERED": "1", **({variable: kept[name]} if name in kept else {})}


def _launch(demo: Demo, name: str, command: list[str], environment: dict[str, str]) -> None:
    (demo.folder / name).mkdir(exist_ok=True)
    with (demo.folder / f"{name}.log").open("w") as output:
        demo.processes[name] = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=CHECKOUT,
            start_new_session=True,
        )


def _await_ready(demo: Demo, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if demo.processes[name].poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", demo.ports[name])) == 0:
                return
        time.sleep(0.05)
    tail = (demo.folder / f"{name}.log").read_text()[-2000:]
    raise RuntimeError(f"{name} did not start:\n{tail}")


def codes(demo: Demo, organisation: str) -> Callable[[], None]:
    """Print the one-time codes an example organisation "sends", until the returned function is called."""
    stopped = threading.Event()

    def follow() -> None:
        for line in _follow(demo.folder / f"{organisation}.log", stopped):
            if "code" in line.lower():
                typer.echo(f"  {organisation}: {line.strip()}")

    threading.Thread(target=follow, daemon=True).start()
    return stopped.set


def _follow(path: Path, stopped: threading.Event) -> Iterator[str]:
    with path.open() as lines:
        while not stopped.is_set():
            line = lines.readline()
            if line:
                yield line
            else:
                time.sleep(0.2)


# Ports that the system gives nobody by itself: neither to a connection outwards nor to a server that takes any.
_UNASKED = range(20_000, 32_000)


def free(count: int) -> list[int]:
    """So many ports that nobody has at this moment."""
    found: list[int] = []
    for port in random.sample(_UNASKED, len(_UNASKED)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
