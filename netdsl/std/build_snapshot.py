"""Writes the parsed standard library that ships with the package: `python -m netdsl.std.build_snapshot`."""

import hashlib
import json
from pathlib import Path

from netdsl.check.modules import STD_MODULES, build_prelude_index
from netdsl.parser import parse
from netdsl.source import Source
from netdsl.tree_json import dump_module

FOLDER = Path(__file__).parent


def snapshot(name: str) -> str:
    """The snapshot of one module as JSON text, keyed by the hash of its source."""
    text = (FOLDER / f"{name}.net").read_text("utf-8")
    tree = dump_module(parse(Source(f"std/{name}.net", text)))
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "tree": tree}, separators=(",", ":")) + "\n"


def files() -> dict[str, str]:
    """Every file of the snapshot folder, as it should be."""
    wanted = {f"{name}.json": snapshot(name) for name in STD_MODULES}
    wanted["index.json"] = json.dumps(build_prelude_index(), sort_keys=True, indent=0) + "\n"
    return wanted


def main() -> None:
    folder = FOLDER / "snapshot"
    folder.mkdir(exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
