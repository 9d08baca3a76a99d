"""What the tests of the explorer share: an index of the tiny run's test part, and a run that has just begun."""

import json
import shutil
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from alexnet.web.app import create_app
from alexnet.web.serve import listen


@pytest.fixture(scope="session")
def tiny_index(tiny_run, tmp_path_factory):
    """The folder of an index of the digits that the tiny run was tested on."""
    from alexnet.api.searching import embed, index

    folder = tmp_path_factory.mktemp("tiny_index")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ALEXNET_CACHE", str(folder / "cache"))
        embed(tiny_run, "digits", folder / "vectors", split="test")
        index(folder / "vectors", folder / "index").close()
    return folder / "index"


@pytest.fixture(scope="session")
def begun_run(tiny_run, tmp_path_factory):
    """A run in its first epoch: no weights, no test, the journal's first lines."""
    folder = tmp_path_factory.mktemp("begun") / "begun"
    folder.mkdir()
    about = json.loads((tiny_run / "run.json").read_text())
    for name in ("finished", "reason", "steps", "best"):
        del about[name]
    (folder / "run.json").write_text(json.dumps(about))
    shutil.copy(tiny_run / "recipe.yaml", folder)
    lines = (tiny_run / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join(lines[:2]) + '\n{"kind": "st')
    return folder


@pytest.fixture(scope="session")
def app(tiny_run, begun_run, tiny_index):
    """The server of the tiny run and of one that has just begun."""
    return create_app([tiny_run, begun_run], tiny_index)


@contextmanager
def served(app):
    """Serve an app from a thread, on a port of its own; give a client of it."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=[[listening]], daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture(scope="session")
def serve_app():
    """The context manager that serves an app: give a client of it."""
    return served


@pytest.fixture(scope="session")
def client(app):
    """Who asks the server of the tiny run, over a real connection."""
    with served(app) as client:
        yield client
