"""What becomes of a draft: `lint` of it, what an operator writes where it says TO FILL, and `try` with an answer."""

import json
import re
from pathlib import Path
from typing import Any

from tests.worlds import commands

_KEYS = {
    "category": "communications",
    "zone": "Europe/Paris",
    "website": "https://organisation.example",
    "privacy": "privacy@organisation.example",
    "support": "support@organisation.example",
    "base_url": "https://api.organisation.example",
    "start": "/link",
    "confirm": "/link/confirm",
    "unlink": "/link/end",
}
_OPEN = re.compile(r"(?m)^[^#\n]*TO FILL")


def aval(*arguments: str | Path) -> tuple[int, str, str]:
    """How `aval organisations …` ended, and what it said on either side."""
    done = commands.run(["organisations", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def draft(folder: Path, *source: str | Path) -> Path:
    path = folder / "draft.toml"
    code, _, told = aval("draft", *source, "--id", "organisation", "--sector", "telecom", "--out", path)
    assert code == 0, told
    return path


def errors(path: Path) -> list[dict[str, Any]]:
    """Of `lint`."""
    found = json.loads(aval("lint", "--json", path)[1])
    return [each for each in found if each["level"] == "error"]


def filled(path: Path) -> Path:
    """The draft with something in place of every TO FILL. Accounts and pages of which one key is open are taken out."""
    parts = re.split(r"(?m)^(?=\[)", path.read_text(encoding="utf-8"))
    text = "".join(
        part for part in parts if not (part.startswith(("[format.accounts]", "[format.pages]")) and _OPEN.search(part))
    )
    text = re.sub(r'(?m)^account = "TO FILL".*$', 'whose = "person"', text)
    for key, value in _KEYS.items():
        text = re.sub(rf'(?m)^{key} = "TO FILL"', f'{key} = "{value}"', text)
    done = path.with_name("filled.toml")
    done.write_text(text.replace("/TO FILL/", "/records/").replace("TO FILL", "Words"), encoding="utf-8")
    return done


def accepted(path: Path) -> Path:
    """Of a draft that has no errors but TO FILL, and none once these are filled: the filled one."""
    open_ = errors(path)
    assert open_ and [each for each in open_ if each["rule"] != "to-fill"] == []
    done = filled(path)
    assert errors(done) == []
    return done


def given(path: Path, answer: Path) -> list[dict[str, Any]]:
    """The records that an app would get of an answer, by `try`."""
    code, out, told = aval("try", path, "--answer", answer, "--all", "--json")
    assert code == 0, out or told
    return [each for each in json.loads(out)["answers"][0]["records"] if each["given"]]
