"""The files of examples/deploy, and what the tests here need of them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
CHART = DEPLOY / "helm" / "aval"
FILES = sorted(
    path for path in DEPLOY.rglob("*")
    if path.is_file() and not {"secrets", "__pycache__"} & set(path.relative_to(DEPLOY).parts)
)  # fmt: skip


def loaded(text: str) -> Any:
    """YAML. A key that stands twice is a fault, which the parser alone would not say."""
    return yaml.load(text, Loader=_Strict)


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := {name for name in names if names.count(name) > 1}:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: twice: {twice}")
        return super().construct_mapping(node, deep)


def tool(name: str) -> str | None:
    """Where a program is: on the path, or where a Go installation of one's own puts it."""
    return shutil.which(name) or shutil.which(name, path=str(Path.home() / "go" / "bin"))


def instructions(text: str) -> list[tuple[str, str]]:
    """(word, rest) of each instruction of a Containerfile, its lines joined."""
    joined = re.sub(r"\\\n(\s*#.*\n)*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    split = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, re.sub(r"\s+", " ", rest).strip()) for word, _, rest in split]


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bAVAL_[A-Z_]*[A-Z]\b", text))


def rendered(helm: str, values: dict[str, Any], folder: Path, *knows: str) -> "subprocess.CompletedProcess[str]":
    """`helm template` with these values (JSON is YAML). `knows`: what the cluster has beyond Kubernetes' own."""
    file = folder / "values.yaml"
    file.write_text(json.dumps(values))
    command = [helm, "template", "aval", str(CHART), "--kube-version", "1.30", "--values", str(file)]
    command += [f"--api-versions={version}" for version in knows]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
