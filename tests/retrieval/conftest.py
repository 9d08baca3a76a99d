"""A Milvus server for the contract of the two engines, and vectors to index."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

SERVER = "milvus==2.3.5"
SCRIPT = Path(__file__).with_name("milvus_server.py")
STARTED_WITHIN = 180  # seconds


def listening() -> set[str]:
    """Address and port of all sockets that listen."""
    lines = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[3] for line in lines}


def server_environment(folder: Path) -> Path:
    """A Python environment with the server's package, made once; its Python."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        # The server's package reads its version with pkg_resources, which setuptools had until 81.
        command = [python, "-m", "pip", "install", "-q", SERVER, "setuptools<81"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{SERVER} cannot be installed, so that nothing is known of Milvus: {done.stderr[-800:]}")
        (folder / "ready").touch()
    return python


def start(python: Path, folder: Path, users: Path) -> int:
    """Start the server in a network of its own; give the port of the one door to it."""
    with socket.socket() as door, (folder / "log").open("w") as log:
        door.bind(("127.0.0.1", 0))
        door.listen(64)
        own_network = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
        server = subprocess.Popen(
            [*own_network, python, SCRIPT, str(door.fileno()), folder / "data", users],
            pass_fds=[door.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        port = door.getsockname()[1]
    give_up = time.monotonic() + STARTED_WITHIN
    while not (folder / "data" / "started").exists():
        if server.poll() is not None or time.monotonic() > give_up:
            server.kill()
            pytest.fail(f"the Milvus server did not start: {(folder / 'log').read_text()[-800:]}")
        time.sleep(0.1)
    assert f"127.0.0.1:{port}" in listening()
    networks = {Path(f"/proc/{number}/ns/net").readlink() for number in (server.pid, os.getpid())}
    assert len(networks) == 2  # whatever else the server opens, it is not in ours
    server.returncode = 0  # it outlives whoever started it while another test process uses it
    return port


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a real Milvus server, shared by all test processes; the last one to leave sees it go."""
    own, cache = tmp_path_factory.getbasetemp(), request.config.cache.mkdir(SERVER)
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "milvus"
    folder.mkdir(exist_ok=True)
    state, users = folder / "server.json", folder / "users"
    users.touch()
    with users.open() as using:
        fcntl.flock(using, fcntl.LOCK_SH)  # the server ends when nobody holds this
        with alone(cache):
            if not state.exists():
                port = start(server_environment(cache / "environment"), folder, users)
                state.write_text(json.dumps({"port": port, "users": 0}))
            port = changed(state, 1)["port"]
        yield f"http://127.0.0.1:{port}"
    with alone(cache):
        if changed(state, -1)["users"] == 0:
            give_up = time.monotonic() + 30
            while f"127.0.0.1:{port}" in listening():
                assert time.monotonic() < give_up, "the Milvus server does not end"
                time.sleep(0.1)
            shutil.rmtree(folder)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other test process is in such a block."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def changed(state: Path, by: int) -> dict[str, int]:
    """Count one more or fewer who use the server."""
    told = json.loads(state.read_text())
    told["users"] += by
    state.write_text(json.dumps(told))
    return told


@pytest.fixture
def vectors(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of vectors as `embed` does, with no net behind it: `vectors(n, name="v")`."""

    def write(n: int = 60, name: str = "v", seed: int = 0, columns: int = 16, **manifest: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        drawn = np.random.default_rng(seed)
        tables = {
            "vectors": drawn.normal(size=(n, columns)).astype(manifest.get("dtype", "float32")),
            "labels": np.arange(n) % 3,
            "digests": drawn.integers(0, 256, (n, 32), dtype=np.uint8),
            "given": np.zeros(n, np.uint8),
            "rows": np.arange(n),
            "paths": np.array([f"{name}/{row}.png".encode() for row in range(n)]),
        }
        for table, array in tables.items():
            np.save(folder / f"{table}.npy", array)
        files = {f"{table}.npy": {"bytes": (folder / f"{table}.npy").stat().st_size} for table in tables}
        about = {"format": "alexnet-vectors", "version": 1, "images": n, "features": columns, "files": files}
        about |= {"weights_sha256": "0" * 64, "stage": "fc7", "normalised": "none", "pooling": "none", "model": "tiny"}
        about |= {"native": True, "stored": 8, "crop": "centre", "run": "run", "spec": str(tmp_path), "kind": "folder"}
        about |= {"packed": str(tmp_path / "gone"), "labelled": True, "classes": ["a", "b", "c"]}
        (folder / "manifest.json").write_text(json.dumps(about | manifest))
        return folder

    return write
