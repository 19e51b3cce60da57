"""A data folder and what is needed to serve and load it, by the checkout this runs in, told as JSON. For `beside`.

PYTHONPATH=checkout python prepared.py FOLDER PORT DATA_PORT
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from tests.bench import aval, documents, stage


def told(folder: Path, port: int, data_port: int) -> dict[str, Any]:
    data_url = f"http://127.0.0.1:{data_port}"
    gateway = aval.prepare(folder, port, data_url)
    scene = stage.Stage(None, data_port, documents.documents(data_url, date.today()))  # type: ignore[arg-type]
    loads = {kind: stage.bearer(scene, gateway, kind) for kind in stage.READS}
    return {
        "environment": gateway.environment(),
        "loads": {kind: (load.url, dict(load.headers)) for kind, load in loads.items()},
    }


if __name__ == "__main__":
    print(json.dumps(told(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
