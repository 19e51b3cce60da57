"""The data plane as machine code: the modules that every data call uses, compiled by mypyc. Optional.

    aval compile          once after installing; needs a C compiler and Python's headers
    import gateway        uses the compiled modules if they were made from exactly these sources, else the sources

As with `__pycache__`, only speed depends on it. The folder's name is a hash of the sources, so after an edit the
compiled modules are not used any more. AVAL_INTERPRETED=1 ignores them, for a debugger or a comparison.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
KEPT = HERE / "__compiled__"
INTERPRETED = "AVAL_INTERPRETED"
TRANSLATED = "translated"  # an empty file that says that a build has come to the C compiler
NEEDED = "it takes a C compiler and Python's header files (Debian: apt-get install gcc python3-dev)."
BEAT_SECONDS = 10.0  # from one sign of life of a build to the next
LIBRARY = "gateway.data_plane"  # the library with all modules; mypyc adds its own ending to the name
MODULES = (
    "authorization.client_tokens",
    "authorization.plain_calls",
    "authorization.telling",
    "ground.calendar.instants",
    "ground.calendar.windows",
    "ground.http.connector",
    "ground.http.guard",
    "ground.http.heads",
    "ground.http.listener",
    "ground.http.problems",
    "ground.http.sends",
    "ground.http.transport",
    "ground.http.wire",
    "ground.keys.access",
    "ground.keys.dpop",
    "ground.keys.jose",
    "ground.keys.known",
    "ground.keys.strict",
    "ground.ops.interactions",
    "ground.ops.lines",
    "ground.store.many",
    "ground.store.sqlite.committed",
    "ledger.contract",
    "ledger.sqlite",
    "ledger.standing",
    "ledger.transaction",
    "ledger.uses",
    "ledger.writer",
    "log.record",
    "log.tally",
    "log.tree",
    "proxy.admit",
    "proxy.call",
    "proxy.compiling",
    "proxy.denials",
    "proxy.fetch",
    "proxy.grants",
    "proxy.headers",
    "proxy.rates",
    "proxy.refuse",
    "proxy.shown",
    "proxy.streams",
    "proxy.tokens",
    "formats.calls",
    "formats.csv_plan",
    "formats.json_plan",
    "formats.media",
    "formats.model",
    "formats.names",
    "formats.paging",
    "formats.paths",
    "formats.sought",
    "formats.table_plan",
    "formats.veiled",
    "formats.xml_plan",
)
OPTIONS = ("--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--no-error-summary")  # of mypy


class CannotCompile(Exception):
    """Compiling is not possible. The message says what is missing and how to get it."""


def sources() -> list[Path]:
    return [HERE.joinpath(*module.split(".")).with_suffix(".py") for module in MODULES]


def folder() -> Path:
    """The folder of the modules compiled from the present sources, whether it exists or not."""
    read = hashlib.sha256(f"{sys.version} {sys.platform}".encode())
    for source in (Path(__file__), *sources()):
        read.update(hashlib.sha256(source.read_bytes()).digest())
    return KEPT / read.hexdigest()[:16]


class _Finder(MetaPathFinder):
    """Finds the compiled modules before Python finds their sources."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return spec_from_file_location(fullname, file) if file is not None else None


def _files(within: Path) -> Iterator[tuple[str, Path]]:
    ending = EXTENSION_SUFFIXES[0]
    for file in within.rglob(f"*{ending}"):
        yield str(file.relative_to(within)).removesuffix(ending).replace(os.sep, "."), file


def wanted() -> bool:
    """Whether a process that starts now would use the compiled modules."""
    return os.environ.get(INTERPRETED) != "1" and any(_files(folder()))


def use() -> None:
    """Use the compiled modules, if there are any. Call it once, before any of the modules is imported."""
    if wanted():
        sys.meta_path.insert(0, _Finder(dict(_files(folder()))))


def in_use() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def compile_all(say: Callable[[str], None]) -> Path:
    """Compile the modules, unless that was done before: minutes, in which `say` is told now and then how far it is.
    Returns the folder. Raises CannotCompile."""
    made = folder()
    if made.is_dir() and not any(_unfinished()):
        return made
    work = KEPT / f"{made.name}.{os.getpid()}"
    try:
        with _alone():
            for left in _unfinished():
                shutil.rmtree(left)
            if not made.is_dir():
                _make(work, made, say)
    except OSError as error:
        raise CannotCompile(f"{KEPT} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


def _unfinished() -> Iterator[Path]:
    """Folders of compilations that are under way, or that were killed."""
    yield from KEPT.glob("*.*/")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the folder itself, so that what is unfinished in it is nobody's any more. Raises CannotCompile, OSError."""
    KEPT.mkdir(exist_ok=True)
    held = os.open(KEPT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotCompile("another `aval compile` is at it; wait for that one") from None
        yield
    finally:
        os.close(held)


def _make(work: Path, made: Path, say: Callable[[str], None]) -> None:
    _run_build(work, say)
    shutil.rmtree(work / "c")
    for older in [each for each in KEPT.iterdir() if "." not in each.name]:
        shutil.rmtree(older)
    work.rename(made)


def _run_build(work: Path, say: Callable[[str], None]) -> None:
    """Build in a separate process, on a copy of the package alone: mypy would also check other files beside it."""
    if find_spec("mypyc") is None or find_spec("setuptools") is None:
        raise CannotCompile("mypy and setuptools are not installed: pip install 'aval[compile]'")
    if missing := _missing():
        raise CannotCompile(f"{NEEDED} Not found: {missing}.")
    left_out = shutil.ignore_patterns(KEPT.name, "__pycache__", "locale", "static", "templates")
    shutil.copytree(HERE, work / "c" / "gateway", ignore=left_out)
    command = [sys.executable, "-c", f"from gateway import compiled; compiled.build({str(work)!r})"]
    environment = {**os.environ, INTERPRETED: "1", "PYTHONPATH": str(work / "c")}
    printed = work / "c" / "printed"
    with printed.open("wb") as output:
        # In a group of its own, so that nothing of it, the C compiler for one, outlives an interruption.
        running = subprocess.Popen(
            command, cwd=work / "c", env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _watch(running, work / "c" / TRANSLATED, say)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
    if running.returncode:
        lines = printed.read_text(encoding="utf-8", errors="replace").splitlines()
        told = "\n".join(f"  {line[:200]}" for line in lines[-8:])
        raise CannotCompile(f"{NEEDED} What the build said last:\n{told}")


def _missing() -> str:
    """What the C compiler's step will not find, looked for before the minute that comes before it."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    found = {compiler: shutil.which(compiler) is not None, str(headers): headers.exists()}
    return ", ".join(name for name, is_there in found.items() if not is_there)


def _watch(running: "subprocess.Popen[bytes]", translated: Path, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    while running.poll() is None:
        try:
            running.wait(BEAT_SECONDS)
        except subprocess.TimeoutExpired:
            step = "2 of 2, C to machine code" if translated.exists() else "1 of 2, Python to C"
            say(f"step {step}: {time.monotonic() - began:.0f} s so far")


def build(work: str) -> None:
    """Build one shared library with all modules, and for each module a small one that loads its part."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    paths = [str(source.relative_to(HERE.parent)) for source in sources()]
    made = mypycify(["--cache-dir=mypy", *OPTIONS, *paths], debug_level="0", group_name=LIBRARY, target_dir="made")
    Path(TRANSLATED).touch()
    whole = Distribution({"name": "aval", "ext_modules": made})
    command = whole.get_command_obj("build_ext")
    command.build_lib, command.build_temp = work, "temporary"
    whole.run_command("build_ext")
