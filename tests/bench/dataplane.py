"""The measurements of the data plane, in groups that are run side by side."""

import http.client
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import compiled
from tests.bench import apache, crowd, figures, issuer, measure, nginx, processes, stage, tools
from tests.bench.aval import Prepared
from tests.bench.figures import Measured
from tests.bench.issuer import Issuer
from tests.bench.load import Load, LoadFailed
from tests.bench.measure import Target
from tests.bench.processes import SERVER_CORE, Group, NotStarted
from tests.bench.stage import NotRight, Say, Stage
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench"
STARTS = 3
QUICK_SLICES = 16
# What is under way when a slice ends took time and is not served. Of 70 feeds in a second, 32 would be half.
FEED_CONNECTIONS = 2
VERIFICATIONS = 300


def quick(group: Group, say: Say) -> int:
    """nginx's plain proxy beside Aval, bearer, 2 kB."""
    found = Measured(load_before=os.getloadavg()[0])
    scene = stage.stage(group)
    gateway = scene.gateway("aval")
    pid = gateway.serve(group, "aval", SERVER_CORE)
    stage.check_cut(scene, gateway)
    ours = stage.bearer(scene, gateway, "bank")
    targets = [_plain("nginx proxy", scene, "bank", ours), Target("aval", [pid], lambda _: ours)]
    found.groups["2 kB"] = measure.side_by_side(targets, say, slices=QUICK_SLICES)
    print(figures.table(found))
    return 0


def full(group: Group, say: Say) -> int:
    """Everything; the table on standard output, and the file."""
    found = Measured(load_before=os.getloadavg()[0])
    absent = tools.missing(say, *tools.ESSENTIAL, "apache")
    for name in tools.ESSENTIAL:
        if name in absent:
            say(f"nothing can be measured: {absent[name]}")
            return 2
    say("starting the data server and preparing Aval")
    scene = stage.stage(group)
    gateway = scene.gateway("aval")
    pid = gateway.serve(group, "aval", SERVER_CORE)
    stage.check_cut(scene, gateway)
    found.single |= {f"{name}_bytes": float(len(scene.documents[name].body)) for name in ("bank", "claims", "usage")}
    found.single["p256_verify_us"] = verification_us()
    rivals = Rivals(scene, gateway, absent, found, say)
    parts: Mapping[str, Callable[[], None]] = {
        "2 kB": lambda: _small(scene, gateway, pid, rivals, found, say),
        "unloaded": lambda: _unloaded(scene, gateway, pid, rivals, found, say),
        "100 kB": lambda: _claims(scene, gateway, pid, found, say),
        "1 MB": lambda: _usage(scene, gateway, pid, found, say),
        "crowd": lambda: _crowd(scene, gateway, pid, found, say),
    }
    try:
        for name, part in parts.items():
            say(figures.GROUPS[name])
            _tried(name, part, found, say)
    finally:  # also of a run that was ended: what it has found
        print(figures.table(found), flush=True)
    found.versions = _versions()
    say(f"written: {figures.write(found).relative_to(ROOT)}")
    return 0


def _tried(name: str, part: Callable[[], None], found: Measured, say: Say) -> None:
    try:
        part()
    except (NotStarted, NotRight, LoadFailed) as error:
        found.left_out[name] = str(error)
        say(f"  left out: {error}")


# ---- who stands beside Aval


class Rivals:
    """The other stacks, as far as they can be had. Each answers 200 to its token and refuses a wrong one."""

    def __init__(self, scene: Stage, gateway: Prepared, absent: Mapping[str, str], found: Measured, say: Say) -> None:
        self._scene, self._gateway = scene, gateway
        self.issuer: Issuer | None = None
        self._proxies: dict[str, tuple[list[int], int, Callable[[], str]]] = {}  # name → pids, port, token
        why = issuer.installed(KEPT / "node")
        if not why:
            self.issuer = Issuer()
            self.issuer.start(scene.group, KEPT / "node", SERVER_CORE)
        makers: dict[str, tuple[str, Callable[[], None]]] = {
            "apache, local": (absent.get("apache", ""), self._apache_local),
            "apache, introspection": (absent.get("apache", "") or why, self._apache_introspecting),
            "nginx auth_request": (why, self._nginx_asking),
        }
        for name, (reason, make) in makers.items():
            try:
                if not reason:
                    make()
                    self._check(name)
            except (NotStarted, NotRight) as error:
                self._proxies.pop(name, None)
                reason = str(error)
            if reason:
                found.left_out[name] = reason
                say(f"left out: {name}: {reason}")

    def target(self, name: str) -> list[Target]:
        if name not in self._proxies:
            return []
        pids, port, token = self._proxies[name]
        load = self._load(port, token())
        return [Target(name, pids, lambda _: load)]

    def _load(self, port: int, token: str) -> Load:
        path = self._scene.documents["bank"].path
        return Load(f"http://127.0.0.1:{port}{path}", {"Authorization": f"Bearer {token}"})

    def _check(self, name: str) -> None:
        _, port, token = self._proxies[name]
        right = token()
        stage.fetched(self._load(port, right))
        try:
            stage.fetched(self._load(port, right[:-6] + "AAAAAA"))
        except NotRight:
            return
        raise NotRight(f"{name} lets a wrong token through")

    def _apache_local(self) -> None:
        port = free_port()
        jwks = f"{self._scene.data_url}{stage.JWKS_PATH}"
        self._scene.publish(self._gateway)
        pid = apache.local(self._scene.group, SERVER_CORE, port, self._scene.port, jwks)
        self._proxies["apache, local"] = [pid], port, lambda: self._gateway.bearer("budget")

    def _apache_introspecting(self) -> None:
        assert self.issuer is not None
        port = free_port()
        pid = apache.introspecting(self._scene.group, SERVER_CORE, port, self._scene.port, self.issuer)
        self._proxies["apache, introspection"] = [pid, self.issuer.pid], port, self.issuer.token

    def _nginx_asking(self) -> None:
        assert self.issuer is not None
        port, data = free_port(), self._scene.port
        pid = nginx.asking_proxy(self._scene.group, SERVER_CORE, port, data, self.issuer.port, self.issuer.credentials)
        self._proxies["nginx auth_request"] = [pid, self.issuer.pid], port, self.issuer.token


Maker = Callable[[Stage, int], int]  # starts it on a port; its process id


def _direct(scene: Stage, port: int) -> int:
    """The organisation's server itself, in the place of the server under test."""
    return stage.second_data_server(scene, port)


def _nginx(scene: Stage, port: int) -> int:
    return nginx.plain_proxy(scene.group, SERVER_CORE, port, scene.port)


def _shipped(scene: Stage, port: int) -> int:
    return nginx.shipped_proxy(scene.group, SERVER_CORE, port, scene.port)


_PLAIN: dict[str, Maker] = {"direct": _direct, "nginx proxy": _nginx, "nginx proxy, shipped": _shipped}
_running: dict[str, tuple[int, int]] = {}  # process id and port of those started


def _plain(name: str, scene: Stage, document: str, like: Load) -> Target:
    """One that checks nothing, sent the same fields."""
    if name not in _running:
        port = free_port()
        _running[name] = _PLAIN[name](scene, port), port
    pid, port = _running[name]
    load = Load(f"http://127.0.0.1:{port}{scene.documents[document].path}", like.headers)
    return Target(name, [pid], lambda _: load)


# ---- the groups


def _small(scene: Stage, gateway: Prepared, pid: int, rivals: Rivals, found: Measured, say: Say) -> None:
    careless = scene.gateway("aval-no-fsync", fsync=False)
    careless_pid = careless.serve(scene.group, "aval-no-fsync", SERVER_CORE)
    bearer, other = stage.bearer(scene, gateway, "bank"), stage.bearer(scene, careless, "bank")
    proven = stage.Proven(scene, gateway)
    stage.fetched(proven.load())
    targets = [
        _plain("direct", scene, "bank", bearer),
        _plain("nginx proxy", scene, "bank", bearer),
        _plain("nginx proxy, shipped", scene, "bank", bearer),
        *rivals.target("apache, local"),
        *rivals.target("apache, introspection"),
        *rivals.target("nginx auth_request"),
        Target("aval", [pid], lambda _: bearer),
        Target("aval, DPoP", [pid], proven.load),
        Target("aval, no fsync", [careless_pid], lambda _: other),
    ]
    found.groups["2 kB"] = measure.side_by_side(targets, say)
    scene.group.finish(careless_pid)


def _unloaded(scene: Stage, gateway: Prepared, pid: int, rivals: Rivals, found: Measured, say: Say) -> None:
    bearer = stage.bearer(scene, gateway, "bank")
    targets = [
        _plain("nginx proxy", scene, "bank", bearer),
        *rivals.target("apache, local"),
        *rivals.target("nginx auth_request"),
        Target("aval", [pid], lambda _: bearer),
    ]
    found.groups["unloaded"] = measure.side_by_side(targets, say, connections=1)


def _claims(scene: Stage, gateway: Prepared, pid: int, found: Measured, say: Say) -> None:
    filtered, everything = (stage.bearer(scene, gateway, kind) for kind in ("claims", "everything"))
    targets = [
        _plain("direct", scene, "claims", filtered),
        _plain("nginx proxy", scene, "claims", filtered),
        Target("aval, filtered", [pid], lambda _: filtered),
        Target("aval, all agreed", [pid], lambda _: everything),
    ]
    found.groups["100 kB"] = measure.side_by_side(targets, say)


def _usage(scene: Stage, gateway: Prepared, pid: int, found: Measured, say: Say) -> None:
    load = stage.bearer(scene, gateway, "usage")
    targets = [_plain("nginx proxy", scene, "usage", load), Target("aval, filtered", [pid], lambda _: load)]
    found.groups["1 MB"] = measure.side_by_side(targets, say, connections=FEED_CONNECTIONS)


def _crowd(scene: Stage, gateway: Prepared, pid: int, found: Measured, say: Say) -> None:
    """The same gateway with a million people in it; then memory and starts of both."""
    many = crowd.prepare(KEPT, free_port(), scene.data_url, say)
    many_pid = many.serve(scene.group, "aval-many", SERVER_CORE)
    few_load, many_load = (stage.bearer(scene, each, "bank") for each in (gateway, many))
    stage.fetched(many_load)
    targets = [Target("aval", [pid], lambda _: few_load), Target("aval, many", [many_pid], lambda _: many_load)]
    found.groups["crowd"] = measure.side_by_side(targets, say)
    sizes = {"rss_few_mb": processes.memory_mb([pid]), "rss_many_mb": processes.memory_mb([many_pid])}
    for each in (pid, many_pid):
        scene.group.finish(each)
    say("starting each anew")
    starts = {"start_few_ms": start_ms(scene, gateway), "start_many_ms": start_ms(scene, many)}
    found.single |= {**sizes, **starts, "rss_mb": max(sizes.values()), "start_ms": max(starts.values())}


# ---- single figures


def start_ms(scene: Stage, gateway: Prepared) -> float:
    """From exec to the first data, the median of a few starts. Raises NotStarted."""
    took = []
    for number in range(STARTS):
        load = stage.bearer(scene, gateway, "bank")
        begun = time.monotonic()
        process = gateway.launch(scene.group, f"start-{number}", SERVER_CORE)
        while not answers(load):
            if process.poll() is not None or time.monotonic() - begun > processes.READY_SECONDS:
                raise NotStarted(scene.group.output(f"start-{number}")[-1000:])
            time.sleep(0.005)
        took.append((time.monotonic() - begun) * 1000)
        scene.group.stop(process)
    return statistics.median(took)


def answers(load: Load) -> bool:
    """Whether it is answered 200 by now."""
    address = urlsplit(load.url)
    connection = http.client.HTTPConnection("localhost", address.port or 80, timeout=5)
    try:
        connection.request("GET", address.path, headers=dict(load.headers))
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def verification_us() -> float:
    """CPU time of one P-256 verification, on the core of the servers."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, message = key.public_key(), b"m" * 400
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processes.core(SERVER_CORE)})
    try:
        took = []
        for _ in range(5):
            begun = time.thread_time()
            for _ in range(VERIFICATIONS):
                public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            took.append((time.thread_time() - begun) / VERIFICATIONS * 1e6)
    finally:
        os.sched_setaffinity(0, ours)
    return statistics.median(took)


def _versions() -> dict[str, str]:
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()
    modules = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "libapache2-mod-oauth2"], capture_output=True, text=True
    )
    return figures.versions(
        {
            "aval": f"{figures.commit()}, {'compiled' if compiled.wanted() else 'interpreted'}",
            "python": platform.python_version(),
            "nginx": nginx.version(),
            "apache": apache.version() if not tools.NEEDED["apache"][0]() else "",
            "mod_oauth2": modules.stdout.strip(),
            "oidc-provider": issuer.version(KEPT / "node"),
            "wrk": wrk[1] if len(wrk) > 1 else "",
        }
    )
