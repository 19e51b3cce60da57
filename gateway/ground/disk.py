"""What is written to a file is on the disk only when its folder's entry for it is, too."""

import os
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make it, and each folder above it that is missing, for this user only. Raises OSError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def synced(folder: Path) -> None:
    """The names in this folder are on the disk when this returns. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def renamed(draft: Path, path: Path) -> None:
    """Give a file, which is on the disk, its final name, in place of any file of that name. Raises OSError."""
    os.rename(draft, path)
    synced(path.parent)
