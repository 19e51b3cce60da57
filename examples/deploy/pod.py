"""What a container does once before `aval serve` where secrets and disks are those of a cluster.

    python3 pod.py /run/secrets/aval-keys /run/aval/keys
    python3 pod.py /run/secrets/aval-keys /run/aval/keys /var/lib/aval-mark aval-7c9f4-x2x5q

    1. the keys are copied to a folder that only this user can read: a mounted secret is open to its group, and the
       gateway refuses keys that others can read
    2. a pod without a mark begins with the newest one of the pods before it. Without that, replacing all pods would
       forget how far the log was signed, and a database put back meanwhile would not be noticed

Ends 1, and the pod does not start, when a mark cannot be read or marks of several logs lie there: the operator has to
look. Each pod writes its own mark, FOLDER/POD/high-water.
"""

import shutil
import sys
from pathlib import Path

from gateway.log import mark
from gateway.log.signed import parts

NAME = "high-water"


class Unclear(Exception):
    """No mark can be called the newest. Says why."""


def copy_keys(secret: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of a container that was restarted: the secret may be another by now
    folder.mkdir(mode=0o700)
    for each in sorted(secret.glob("[!.]*")):
        target = folder / each.name
        target.touch(mode=0o600)
        target.write_bytes(each.read_bytes())


def newest(folder: Path) -> mark.Mark | None:
    """The mark furthest on of all below the folder. None: there is none yet. Raises Unclear, OSError."""
    found = []
    for path in sorted(folder.glob(f"*/{NAME}")):
        try:
            each = mark.read(path)
        except mark.BadMark as error:
            raise Unclear(f"{path}: {error}") from None
        if each is not None:
            found.append(each)
    if len(logs := {parts(each.log)[0] for each in found}) > 1:
        raise Unclear(f"{folder}: marks of several logs: {', '.join(sorted(logs))}")
    return max(found, key=lambda each: (parts(each.log)[1], each.size), default=None)


def begin_mark(folder: Path, pod: str) -> None:
    own = folder / pod / NAME
    if not own.exists() and (found := newest(folder)):
        mark.write(own, found)
    own.parent.mkdir(mode=0o700, exist_ok=True)


if __name__ == "__main__":
    copy_keys(Path(sys.argv[1]), Path(sys.argv[2]))
    try:
        if len(sys.argv) > 3:
            begin_mark(Path(sys.argv[3]), sys.argv[4])
    except (Unclear, OSError) as error:
        print(f"pod.py: {error}", file=sys.stderr)
        sys.exit(1)
