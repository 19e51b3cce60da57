"""A data folder and what is needed to serve and load it, by the checkout this runs in, told as JSON. For `beside`.

PYTHONPATH=checkout python prepared.py FOLDER PORT DATA_PORT [DATABASE_URL NEIGHBOURS]
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from tests.bench import aval, documents, stage


def told(folder: Path, port: int, data_port: int, *database: str) -> dict[str, Any]:
    data_url = f"http://127.0.0.1:{data_port}"
    # A checkout from before there was another engine knows of none.
    more: dict[str, Any] = {"database_url": database[0], "neighbours": int(database[1])} if database else {}
    gateway = aval.prepare(folder, port, data_url, **more)
    scene = stage.Stage(None, data_port, documents.documents(data_url, date.today()))  # type: ignore[arg-type]
    loads = {kind: stage.bearer(scene, gateway, kind) for kind in stage.READS}
    shown: dict[str, Any] = {kind: {"url": load.url, "headers": dict(load.headers)} for kind, load in loads.items()}
    if database:
        _, organisation, document = stage.READS["bank"]
        calls = stage.written(folder / "calls", gateway.of_neighbours(organisation, scene.documents[document].path))
        shown["neighbours"] = {"url": gateway.settings.public_url, "calls": str(calls)}
    return {"environment": gateway.environment(), "loads": shown}


if __name__ == "__main__":
    print(json.dumps(told(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
