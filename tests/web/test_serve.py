"""The commands serve and demo: what they print, what they refuse, what they make once."""

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from alexnet.cli import main
from alexnet.web import demo as demonstration
from alexnet.web import serve as serving
from alexnet.web.serve import listen, page_address
from alexnet.web.settings import Settings
from forked import Command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def not_served(monkeypatch):
    """Let the server not begin; give the apps that it was to serve."""
    apps = []
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda self, sockets: apps.append(self.config.app))
    return apps


def test_serve_says_where_answers_and_ends_when_it_is_stopped(tiny_run, tmp_path):
    server = Command(["serve", str(tiny_run), "--port", "0", "--device", "cpu"], tmp_path)
    server.wait_until(lambda: server.printed[0].exists() and server.printed[0].read_text().endswith("/\n"))
    address = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/)\n", server.printed[0].read_text())
    assert address
    server.wait_until(lambda: server.printed[1].exists())
    assert httpx.get(f"{address[1]}api/runs", timeout=30).json()[0]["name"] == tiny_run.name
    server.send(signal.SIGINT)
    code, _, said = server.end(30)
    assert code == 0
    assert "359 test images" in said
    assert said.endswith("stopped\n")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve"], "RUN"),
        (["serve", "nowhere"], "nowhere"),
        (["serve", "RUN", "--index", "nowhere"], "no index"),
        (["serve", "RUN", "--host", "256.1.1.1"], "256.1.1.1"),
        (["serve", "RUN", "--port", "70000"], "70000"),
        (["serve", "RUN", "--token", "a b"], "token"),
        (["demo", "more"], "more"),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments, words, begun_run, not_served, capsys):
    given = [str(begun_run) if word == "RUN" else word for word in arguments]
    given += ["--port", "0"] if "--port" not in given else []
    assert main(given) == 2
    said = capsys.readouterr().err.splitlines()
    assert words in said[-1]
    assert len(said) == 1
    assert not_served == []


def test_a_port_that_is_taken_is_said(begun_run, not_served, capsys):
    with listen("127.0.0.1", 0) as taken:
        assert main(["serve", str(begun_run), "--port", str(taken.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "python_multipart"])
def test_without_the_extra_both_commands_name_it(missing, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    for arguments in (["serve", "RUN"], ["demo"]):
        assert main(arguments) == 2
        assert "pip install 'alexnet[web]'" in capsys.readouterr().err


def test_whoever_lets_others_ask_gets_a_token(begun_run, not_served, monkeypatch, capsys):
    def token(*more):
        assert main(["serve", str(begun_run), "--port", "0", *more]) == 0
        address = capsys.readouterr().out
        return (re.findall(r"token=(\S+)", address) or [None])[0]

    made_up = [token("--host", "0.0.0.0") for _ in range(2)]
    assert made_up[0] != made_up[1]
    assert len(made_up[0]) >= 32
    assert token("--host", "0.0.0.0", "--token", "mine") == "mine"
    assert token() is None
    assert token("--token", "mine") == "mine"
    monkeypatch.setenv("ALEXNET_TOKEN", "from-outside")
    assert token() == "from-outside"
    assert [app.state.explorer.settings.token for app in not_served][2:] == ["mine", None, "mine", "from-outside"]


def test_an_answer_does_not_wait_for_a_receipt():
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()) as asking:
        answering, _ = listening.accept()
        with answering:
            assert answering.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert asking.getpeername() == listening.getsockname()


def test_the_address_can_be_opened_on_this_machine():
    assert page_address(Settings(host="0.0.0.0", token="a+b/c"), 80) == "http://127.0.0.1:80/?token=a%2Bb%2Fc"
    assert page_address(Settings(host="::1"), 81) == "http://[::1]:81/"


def test_the_page_is_opened_when_asked(begun_run, not_served, monkeypatch):
    opened = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    assert main(["serve", str(begun_run), "--port", "0"]) == 0
    assert main(["serve", str(begun_run), "--port", "0", "--open"]) == 0
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(0.1)
    assert len(opened) == 1


@pytest.fixture
def demo_folder(tmp_path, tiny_run, monkeypatch, not_served):
    """A working folder in which training means copying the tiny run; gives what was trained or resumed."""
    made = []

    def train(source, out, device):
        made.append(("train", source))
        shutil.copytree(tiny_run, out)
        return out

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demonstration, "train", train)
    monkeypatch.setattr(demonstration, "resume", lambda run, device: made.append(("resume", str(run))) or run)
    return made


def test_a_demo_trains_and_indexes_once(demo_folder, not_served, capsys):
    arguments = ["demo", "--no_browser", "--port", "0", "--device", "cpu"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "training one into runs/demo" in said.err
    assert said.out.startswith("open http://127.0.0.1:")
    index = Path("runs/demo/index/index.json").read_bytes()
    assert main(arguments) == 0
    assert "training" not in capsys.readouterr().err
    assert demo_folder == [("train", "digits")]
    assert Path("runs/demo/index/index.json").read_bytes() == index
    explorer = not_served[1].state.explorer
    assert [run.name for run in explorer.runs] == ["demo"]
    assert explorer.searches(explorer.runs[0])


def test_a_demo_shows_a_run_of_the_digits_that_is_there_and_goes_on_with_its_own(
    demo_folder, tiny_run, begun_run, not_served, monkeypatch
):
    monkeypatch.setattr(demonstration, "an_index", lambda run, device: None)
    shutil.copytree(begun_run, "runs/demo")
    assert main(["demo", "--no_browser", "--port", "0"]) == 0
    assert demo_folder == [("resume", "runs/demo")]
    shutil.copytree(tiny_run, "runs/digits-tiny-1")
    assert main(["demo", "--no_browser", "--port", "0"]) == 0
    assert len(demo_folder) == 1
    assert [run.name for run in not_served[1].state.explorer.runs] == ["digits-tiny-1"]


@pytest.fixture
def ran(client, tmp_path):
    """Run a curl command or a Python script as it stands in a text, in a folder with cat.jpg in it; what it printed."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.jpg")

    def run(text):
        text = text.replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/")).replace("upload-...", "test-1")
        command = [*shlex.split(text), "-sS", "--fail"] if text.startswith("curl") else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (text, done.stderr)
        return done.stdout

    return run


def test_the_page_of_examples_is_true(client, ran):
    page = client.get("/examples").text
    assert str(client.base_url).rstrip("/") in page
    script = unescape(re.search(r'<code class="python">(.*?)</code>', page, re.DOTALL)[1])
    assert len(ran(script).splitlines()) == 5
    commands = "\n".join(re.findall(r"<code>(curl .*?)</code>", page, re.DOTALL))
    assert len(commands.splitlines()) == 8
    for command in unescape(commands).splitlines():
        ran(command)


def test_the_examples_of_the_docs_are_true(ran):
    page = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    commands = re.findall(r"^curl .*$", page, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        ran(command)
    (script,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert ran(script).strip() in [str(digit) for digit in range(10)]


def test_the_docs_name_every_route_and_the_limits_as_they_are(app):
    page = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    named = set(re.findall(r"/(?:api/)?[a-z_.]+", re.sub(r"\{.*?\}|/api/runs/RUN|/stages/STAGE", "", page)))
    for path in app.openapi()["paths"]:
        last = re.sub(r"/\{.*?\}(\.png)?", "", path.removeprefix("/api/runs/{run}").replace("/stages/{stage}", ""))
        assert last in ("", "/limits", "/api/limits") or any(last.endswith(one) for one in named), path
    limits = Settings()
    assert f"{limits.most_bytes // 10**6} MB or {limits.most_pixels // 10**6} million pixels" in page
    assert f"within {limits.seconds:.0f} seconds" in page
    assert f"{limits.most_waiting} requests wait" in page
    assert f"until the server ends or {limits.kept_uploads} others" in page
    assert f"at most {limits.kept_bytes // 10**6} MB" in page


def test_sixteen_clients_at_once_get_answers_and_memory_stays_flat(client, app):
    problems, counts = [], []
    end = time.monotonic() + 2

    def ask(number):
        count = 0
        while time.monotonic() < end:
            answer = client.get("/api/runs/0/predictions", params={"image": f"test-{(7 * number + count) % 359}"})
            if answer.status_code != 200 or len(answer.json()["predictions"]) != 5:
                problems.append(answer.text)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert min(counts) >= 1
    assert len(counts) == 16
    assert app.state.explorer.gallery._decoded.bytes <= Settings().decoded_bytes
