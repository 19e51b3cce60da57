"""The image: how it is built, and the two scripts that it carries."""

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from sysconfig import get_path
from threading import Thread
from typing import ClassVar

import pytest
from deploy_files import DEPLOY, ROOT, instructions

from gateway.ground.keys import KeyRing
from gateway.log import mark
from gateway.settings import LANGUAGES, Settings, unsafe
from tests.worlds.tls import server_files

CONTAINERFILE = instructions((DEPLOY / "Containerfile").read_text())
STAGES = [at for at, (word, _) in enumerate(CONTAINERFILE) if word == "FROM"]
BUILD, LAST = CONTAINERFILE[STAGES[0] : STAGES[1]], CONTAINERFILE[STAGES[1] :]
ROOT_HASH = bytes(range(32))


def of(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for found, rest in stage if found == word]


def last_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in of(LAST, "ENV")[0].split())


def test_the_image_begins_empty_and_is_built_on_a_base_without_a_host() -> None:
    assert [CONTAINERFILE[at][1].split()[0] for at in STAGES] == ["${DEBIAN}", "scratch"]
    [base] = of(CONTAINERFILE[: STAGES[0]], "ARG")
    assert base.startswith("DEBIAN=debian:") and "slim" in base and "/" not in base


def packages(command: str) -> list[str]:
    """What this command of apt-get names."""
    [rest] = [part for run in of(BUILD, "RUN") for part in run.split(" && ") if f"apt-get {command} " in part]
    return [word for word in rest.split(f"apt-get {command} ")[1].split() if not word.startswith("-")]


def test_packages_are_listed_in_order_and_none_brings_a_shell_or_installs() -> None:
    for command in ("install", "download"):
        assert packages(command) == sorted(set(packages(command)))
    assert {"base-files", "ca-certificates", "libc6", "python3.11-minimal"} <= set(packages("download"))
    shells = {"bash", "busybox", "dash", "debianutils", "coreutils", "apt", "dpkg", "perl-base", "gcc", "python3-pip"}
    assert not shells & set(packages("download"))


def test_scanners_are_told_of_each_package_and_licences_stay() -> None:
    runs = " && ".join(of(BUILD, "RUN"))
    assert '> "var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)"' in runs
    assert "usr/share/doc -type f ! -name copyright -delete" in runs and "! -name doc " in runs


def test_everything_installed_is_hashed_and_the_last_stage_installs_nothing() -> None:
    installs = [
        part for rest in of(BUILD, "RUN") for part in rest.split("&&") if " install " in part and "/pip" in part
    ]
    assert len(installs) == 3
    for part in installs:
        assert "--require-hashes" in part or "wheel/*.whl" in part
        assert "--no-deps" in part


def test_its_debian_the_environment_and_the_folder_come_from_the_build_and_nothing_else() -> None:
    assert [rest.split()[-1] for rest in of(LAST, "COPY")] == ["/", "/opt/aval", "/var/lib/aval"]
    assert all(rest.startswith("--from=build ") for rest in of(LAST, "COPY"))


def test_the_last_step_is_that_the_image_looks_at_itself() -> None:
    """Without a shell; as the user who serves; nothing is copied afterwards. The data plane is compiled before."""
    [run] = of(LAST, "RUN")
    assert json.loads(run) == ["python3", "/opt/aval/lib/aval/whole.py", "/usr/lib", "/opt/aval"]
    words = [word for word, _ in LAST]
    assert words.index("RUN") > words.index("USER") > max(at for at, word in enumerate(words) if word == "COPY")
    assert any("gateway compile" in rest for rest in of(BUILD, "RUN"))


def test_no_command_of_the_image_asks_for_a_shell() -> None:
    """A list begins with a program that is there; a line of words would be given to /bin/sh."""
    for word in ("RUN", "ENTRYPOINT", "CMD"):
        assert all(isinstance(json.loads(rest), list) for rest in of(LAST, word)), word
    commands = [of(LAST, "RUN")[0], of(LAST, "ENTRYPOINT")[0], of(LAST, "HEALTHCHECK")[0].partition("CMD ")[2]]
    assert {json.loads(command)[0] for command in commands} == {"aval", "python3"}


def test_the_user_is_a_number_and_not_root() -> None:
    assert of(LAST, "USER") == ["10001:10001"]


def test_only_its_own_folder_is_written_to() -> None:
    """Each path that a setting of the image names is below the one folder, or is read only."""
    environment = last_environment()
    for name in ("AVAL_DATA_DIR", "AVAL_MARK_FILE", "TMPDIR"):
        assert environment[name].startswith("/var/lib/aval/"), name
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert not of(LAST, "VOLUME"), "an anonymous volume would hide that the operator gave none"


def test_its_settings_and_three_of_the_operators_are_safe_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in last_environment().items():
        if name.startswith("AVAL_"):
            monkeypatch.setenv(name, value)
    given = Settings(
        public_url="https://consent.example.org", operator_contact="+33 1", trusted_proxies=("10.0.0.1/32",)
    )
    assert given.mode == "production" and list(unsafe(given)) == []


def test_the_health_check_asks_with_what_is_in_the_image() -> None:
    [check] = of(LAST, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python3" and Path(command[-2]).name == "healthcheck.py"
    assert any(f"examples/deploy/{Path(command[-2]).name}" in rest for rest in of(BUILD, "COPY"))


def test_what_is_copied_is_in_the_context() -> None:
    ignore = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    for rest in of(BUILD, "COPY"):
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            allowed = f"!{source}" in ignore or any(Path(source).match(line[1:]) for line in ignore if line[:1] == "!")
            assert allowed, source


def test_calendars_keep_the_languages_that_pages_speak() -> None:
    [trim] = [rest for rest in of(BUILD, "RUN") if "locale-data" in rest]
    kept = {part.split("'")[1].rstrip("*") for part in trim.split("! -name ")[1:]}
    assert kept == {"root.dat", *LANGUAGES}


def test_nothing_that_is_left_out_is_imported() -> None:
    """Not by the gateway and not by one of its commands. And it is there: a name that is gone would end the build."""
    [trim] = [rest for rest in of(BUILD, "RUN") if "pygments/lexers" in rest]
    [folders] = [part.split()[2:] for part in trim.split(" && ") if part.startswith("rm -r alembic/")]
    [kept] = [set(re.findall(r"! -name '(\w+)\.", part)) for part in trim.split(" && ") if "pygments/lexers" in part]
    assert folders == sorted(folders)
    assert all(Path(get_path("purelib"), folder).is_dir() for folder in folders)
    importing = "import pkgutil, sys, gateway.app, gateway.cli, uvicorn, uvloop, httptools\n"
    importing += "for each in pkgutil.iter_modules(gateway.cli.__path__, 'gateway.cli.'): __import__(each.name)\n"
    importing += "print(*sys.modules)"
    environment = {**os.environ, "AVAL_INTERPRETED": "1"}
    done = subprocess.run([sys.executable, "-c", importing], env=environment, capture_output=True, text=True)
    imported = done.stdout.split()
    assert len(imported) > 500, done.stderr
    gone = [f"{folder.replace('/', '.')}." for folder in folders] + ["test.", "pydoc_data."]
    assert [name for name in imported if f"{name}.".startswith(tuple(gone))] == []
    lexers = {name.split(".")[2] for name in imported if name.startswith("pygments.lexers.")}
    assert lexers <= kept == {"__init__", "_mapping", "python"}


def test_the_lock_of_the_image_is_what_serving_needs() -> None:
    """Every package with which this environment serves, with hashes, and none that only tests need."""
    asked = [sys.executable, str(DEPLOY / "runtime_lock.py")]
    lock = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    more = subprocess.run([*asked, "compile", "hatchling"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    packages = [line.split("==")[0] for line in lock.splitlines() if line[:1].isalnum()]
    assert {"starlette", "sqlalchemy", "lxml", "cffi", "uvloop"} <= set(packages)
    assert not {"playwright", "pytest", "mypy", "ruff", "hatchling"} & set(packages)
    assert lock.count("--hash=sha256:") >= len(packages) and "\nmypy==" in more and "\nhatchling==" in more
    whole = (ROOT / "requirements.lock").read_text()
    assert all(line in whole for line in lock.splitlines())
    serving = "import sys, gateway.app, uvicorn, uvloop, httptools, importlib.metadata as m\n"
    serving += "print(*{n for k, v in m.packages_distributions().items() if k in sys.modules for n in v})"
    environment = {**os.environ, "AVAL_INTERPRETED": "1"}
    done = subprocess.run([sys.executable, "-c", serving], env=environment, capture_output=True, text=True, check=True)
    imported = {name.lower().replace("_", "-").replace(".", "-") for name in done.stdout.split()} - {"aval"}
    assert len(imported) > 20
    beside = {"greenlet", "setuptools"}  # imported where they are, by SQLAlchemy and by Python itself; not needed
    assert imported - set(packages) - beside == set()


# ---- whether the image has all that it needs


def looked_at(folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AVAL_INTERPRETED": "1"}
    command = [sys.executable, str(DEPLOY / "whole.py"), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_library_that_does_not_load_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "half.so.1").write_bytes(b"\x7fELF")
    done = looked_at(tmp_path)
    assert done.returncode == 1 and "deep/half.so.1: " in done.stderr


def test_a_data_plane_that_is_not_compiled_ends_the_build(tmp_path: Path) -> None:
    done = looked_at(tmp_path)
    assert done.returncode == 1 and done.stderr == "the data plane is not compiled\n"


# ---- the health check


class Gateway(BaseHTTPRequestHandler):
    """One that answers only under its name, as the real one."""

    status: ClassVar[int] = 200
    checks: ClassVar[dict[str, str]] = {}
    told: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.told.append(self.path)
        self.send_response(self.status if self.headers["Host"] == "consent.example.org" else 400)
        self.end_headers()
        self.wfile.write(json.dumps({"ready": self.status == 200, "checks": self.checks}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AVAL_PORT", str(server.server_port))
    monkeypatch.setenv("AVAL_PUBLIC_URL", "https://consent.example.org")
    monkeypatch.setattr(Gateway, "status", 200)
    monkeypatch.setattr(Gateway, "checks", {})
    yield server
    server.shutdown()
    server.server_close()


def asked(*arguments: str) -> int:
    command = [sys.executable, "-I", "-S", str(DEPLOY / "healthcheck.py"), *arguments]
    return subprocess.run(command, capture_output=True, timeout=20).returncode


def test_a_gateway_that_answers_is_well_under_its_own_name_only(
    served: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert asked("healthz") == 0 and asked("readyz") == 0
    monkeypatch.setenv("AVAL_PUBLIC_URL", "https://another.example.org")
    assert asked("healthz") == 1
    monkeypatch.delenv("AVAL_PUBLIC_URL")
    (tmp_path / "aval.toml").write_text('public_url = "https://consent.example.org"\n')
    monkeypatch.setenv("AVAL_CONFIG", str(tmp_path / "aval.toml"))
    assert asked("healthz") == 0


def test_a_gateway_that_ends_tls_itself_is_asked_over_tls(
    served: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = server_files(tmp_path, "consent.example.org")
    monkeypatch.setenv("AVAL_TLS_CERTIFICATE_FILE", str(certificate))
    assert asked("healthz") == 1, "plain http answers there"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    assert asked("healthz") == 0 and asked("readyz") == 0
    monkeypatch.delenv("AVAL_TLS_CERTIFICATE_FILE")
    assert asked("healthz") == 1


@pytest.mark.parametrize(
    ("failed", "plain", "although_log"),
    [("log", 1, 0), ("database", 1, 1), ("log database", 1, 1), ("", 1, 1)],
)
def test_a_frozen_log_alone_takes_no_gateway_out_of_service(
    served: HTTPServer, monkeypatch: pytest.MonkeyPatch, failed: str, plain: int, although_log: int
) -> None:
    monkeypatch.setattr(Gateway, "status", 503)
    monkeypatch.setattr(Gateway, "checks", {"keys": "ok", **dict.fromkeys(failed.split(), "failed")})
    assert asked("readyz") == plain
    assert asked("readyz", "--although", "log") == although_log


def test_a_gateway_that_is_gone_is_not_well(served: HTTPServer) -> None:
    served.shutdown()
    served.server_close()
    assert asked("healthz") == 1


# ---- before a pod serves


def prepared(*arguments: Path | str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AVAL_INTERPRETED": "1"}
    command = [sys.executable, str(DEPLOY / "pod.py"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Keys as a cluster mounts a secret: open to the group, links into a hidden folder."""
    (folder := tmp_path / "secret" / "..data").mkdir(parents=True)
    KeyRing(folder, create=True)
    for path in folder.iterdir():
        path.chmod(0o440)
        (folder.parent / path.name).symlink_to(path)
    folder.parent.chmod(0o777)
    return folder.parent


def test_mounted_keys_become_keys_that_the_gateway_takes(secret: Path, tmp_path: Path) -> None:
    from gateway.cli.doctor import open_key_files

    keys = tmp_path / "keys"
    assert list(open_key_files(secret)), "the reason for all this"
    for _ in range(2):  # a container that is restarted finds them there
        assert prepared(secret, keys).returncode == 0
        assert not list(open_key_files(keys))
        assert KeyRing(keys).checks == KeyRing(secret).checks


def test_a_new_pod_begins_with_the_newest_mark_and_writes_its_own(secret: Path, tmp_path: Path) -> None:
    marks, keys = tmp_path / "marks", tmp_path / "keys"
    marks.mkdir()
    assert prepared(secret, keys, marks, "first").returncode == 0
    assert mark.read(marks / "first" / "high-water") is None
    for pod, log, size in (
        ("a", "example.org/log", 900),
        ("b", "example.org/log/2", 40),
        ("c", "example.org/log/2", 7),
    ):
        mark.write(marks / pod / "high-water", mark.Mark(size, ROOT_HASH, log))
    assert prepared(secret, keys, marks, "new").returncode == 0
    assert mark.read(marks / "new" / "high-water") == mark.Mark(40, ROOT_HASH, "example.org/log/2")
    assert prepared(secret, keys, marks, "c").returncode == 0
    assert mark.read(marks / "c" / "high-water") == mark.Mark(7, ROOT_HASH, "example.org/log/2"), "its own stays"


def test_a_pod_does_not_start_on_a_mark_that_cannot_be_read_or_on_two_logs(secret: Path, tmp_path: Path) -> None:
    marks, keys = tmp_path / "marks", tmp_path / "keys"
    mark.write(marks / "a" / "high-water", mark.Mark(9, ROOT_HASH, "example.org/log"))
    mark.write(marks / "b" / "high-water", mark.Mark(9, ROOT_HASH, "other.example/log"))
    done = prepared(secret, keys, marks, "new")
    assert done.returncode == 1 and "several logs" in done.stderr
    (marks / "b" / "high-water").write_text("no mark\n")
    done = prepared(secret, keys, marks, "new")
    assert done.returncode == 1 and "not a mark" in done.stderr
    assert not (marks / "new" / "high-water").exists()
