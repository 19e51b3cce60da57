"""Blocks of code in the documents, and a shell that follows them as a reader would."""

import fnmatch
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "tests" / "bench" / "README.md",
    *sorted((ROOT / "gateway" / "docs").glob("*.md")),
]


@dataclass(frozen=True)
class Block:
    """`language` of a fence is its first word, "sh" of an indented block; the second word is a file's name."""

    document: str
    line: int
    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """(command, what it prints; empty: not shown). With `$` in front of commands, the other lines are output."""
        if self.language == "sh":
            return [(line, "") for line in self.text.splitlines() if line.strip()]
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
        return found


def blocks(document: Path) -> list[Block]:
    found = []
    for token in MarkdownIt().parse(document.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            language, _, file = (token.info if token.type == "fence" else "sh").partition(" ")
            line = (token.map or [0])[0] + 1
            found.append(Block(str(document.relative_to(ROOT)), line, language, file, token.content))
    return found


def command_of(line: str) -> str:
    """Without the remark behind it."""
    return re.sub(r"\s+#\s.*", "", line).strip()


class Shell:
    """Runs commands one by one; what they export, and the folder they go to, are there for the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self._kept = folder / ".environment"

    def run(self, line: str) -> str:
        """What it printed. Raises AssertionError with everything it said when it does not end 0."""
        kept = shlex.quote(str(self._kept))
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{line}\nenv -0 > {kept}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{line}: ended {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        pairs = self._kept.read_text().split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self.folder = Path(self.environment["PWD"])
        return done.stdout

    def start(self, line: str) -> "subprocess.Popen[str]":
        """A command that goes on: its input and output are pipes."""
        return subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def answers(address: str, process: "subprocess.Popen[str]", patience: float = 60) -> bool:
    """Whether something answers there before the process ends, in a bounded time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(address, timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            time.sleep(0.05)
    return False


def printed(shown: str, told: str) -> None:
    """What a document shows is what is printed; … stands for any text."""
    pattern = fnmatch.translate(re.sub(r"([\[\]*?])", r"[\1]", shown.strip()).replace("…", "*"))
    assert re.fullmatch(pattern, told.strip()), f"shown:\n{shown}\nprinted:\n{told}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def lines(block: Block) -> Iterator[str]:
    if block.language in ("sh", "console"):
        yield from (command_of(command) for command, _ in block.commands)
