"""The small world's gateway in a process of its own: `python -m tests.proxy.serve FOLDER PORT [setting=number …]`.

Says `ready` when it serves, and ends when its standard input does.
"""

import sys
from pathlib import Path

from tests.proxy.proxy_world import World


def main(folder: str, port: str, *settings: str) -> None:
    given = dict(setting.split("=", 1) for setting in settings)
    with World(Path(folder), port=int(port), **given).serving():
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
