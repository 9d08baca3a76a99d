"""index.json: what an index is, and the engines that this asks for."""

import json
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from alexnet.errors import InputError
from alexnet.retrieval.engines import Engine, Kind
from alexnet.retrieval.faiss_engine import FaissEngine

FORMAT, VERSION = "alexnet-index", 1

Metric = Literal["l2", "cosine"]


def read_settings(path: Path) -> dict[str, Any]:
    """What index.json says.

    Raises:
        InputError: the folder is no index, or one of another version.
    """
    file = path / "index.json"
    try:
        about = json.loads(file.read_bytes())
    except OSError:
        raise InputError(f"{path} is no index (no index.json); make one with `alexnet index VECTORS INDEX`") from None
    except ValueError as error:
        raise InputError(f"{file} is damaged ({str(error).splitlines()[0]}): make the index again") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{file} is of another program: give the folder that `alexnet index` wrote")
    if about["version"] != VERSION:
        raise InputError(f"{path} has version {about['version']} and this program reads {VERSION}: make it again")
    return about


def open_engines(path: Path, about: dict[str, Any], new: bool = False) -> dict[Kind, Engine]:
    """The engines of an index: one for features, and one for codes where there are codes."""
    columns: dict[Kind, int] = {"features": about["features"]["features"]}
    if about["codes"]:
        columns["codes"] = about["codes"]["bits"] // 8
    if not about["store"]:
        return {kind: FaissEngine(path / kind, kind, width) for kind, width in columns.items()}
    from alexnet.retrieval.milvus_engine import MilvusEngine

    return {kind: MilvusEngine(about["store"], kind, width, new) for kind, width in columns.items()}


def store_of(store: str, path: Path) -> str:
    """A server's address with the name of the index there, by default that of its folder.

    Raises:
        InputError: no address of a server.
    """
    address = urlsplit(store)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise InputError(f"--store {store}: give the address of a Milvus server, such as http://localhost:19530")
    name = re.sub(r"\W", "_", address.path.strip("/") or path.resolve().name, flags=re.ASCII)
    return f"{address.scheme}://{address.netloc}/{name if name[0].isalpha() else 'index_' + name}"
