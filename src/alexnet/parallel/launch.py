"""How a command comes to run in several processes: by `--devices N` on one machine, or by torchrun on any number.

`--devices N` starts torch's own elastic agent, the one inside torchrun, on the same command. When a process dies the
agent ends the others and starts all of them again, and training goes on from its last state. Errors that another
attempt would not mend are not tried again: a process leaves them as an outcome for the one that started it.
"""

import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alexnet.errors import InputError, JobFailed, PeerLost
from alexnet.options import value_of

TIMEOUT = 300.0
"""Seconds within which every process must come to the end of a step."""

RESTARTS = 3
STOP_WITHIN = 600
"""Seconds that processes have after Ctrl-C to end their step and write their state."""

OUTCOMES = "ALEXNET_OUTCOMES"
OPTIONS = ("--devices", "--timeout", "--restarts")


def together(command: Callable[[list[str]], int], words: list[str]) -> int:
    """Run a command as its options and the environment say: alone, in N new processes, or as one of torchrun's.

    Args:
        command: takes the arguments after its own name.
        words: its name, then its arguments.
    """
    for name in OPTIONS:
        if words[-1] == name or f"{name}=" in words:
            raise InputError(
                f"{name} came without a number: give one, such as {name} 2, or see alexnet {words[0]} --help"
            )
    devices, timeout, restarts = (value_of(words, name) for name in OPTIONS)
    rest = without(words, OPTIONS)
    count = _number("--devices", devices, 1, int) if devices is not None else None
    if started_by_torchrun():
        there = int(os.environ["WORLD_SIZE"])
        if count is not None and count != there:
            raise InputError(f"--devices {count} came, and torchrun started {there} processes: leave --devices out")
        if has_outcome():
            return 0
        with joined(_number("--timeout", timeout, TIMEOUT, float), value_of(rest, "--device") or "auto"):
            return command(rest[1:])
    if count is None or count == 1:
        return command(rest[1:])
    tries = _number("--restarts", restarts, RESTARTS, int)
    return launch(count, [*rest, *(["--timeout", timeout] if timeout is not None else [])], tries)


def started_by_torchrun() -> bool:
    """Whether this is one of several processes that torchrun, or a scheduler like it, started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_restart() -> bool:
    """Whether the agent has started this process anew after one died."""
    return started_by_torchrun() and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def name_of_launch() -> str | None:
    """What the processes of one launch have in common, before and after a restart; None where there is no agent."""
    if not started_by_torchrun() or "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    given = os.environ["TORCHELASTIC_RUN_ID"]
    return given if given != "none" else f"{socket.gethostname()}:{os.getppid()}"


@contextmanager
def joined(timeout: float = TIMEOUT, device: str = "auto") -> Iterator[None]:
    """Within it this process works with the others that torchrun started; only the first of them talks.

    A process that was not started so goes on alone.

    Args:
        timeout: seconds within which every process must come to the end of a step.
        device: as the command has it; a GPU's own numbers go by NCCL, all others by gloo.

    Raises:
        PeerLost: another process died, or did not answer in time.
    """
    if not started_by_torchrun():
        yield
        return
    import torch

    from alexnet import processes

    gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    _end_with_parent()
    try:
        processes.join("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout)
        with _silent(unless=processes.is_first()):
            yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error) or "NCCL" in str(error)
        if not lost or str(error).startswith("CUDA"):
            raise
        reason = str(error).splitlines()[0].split("] ")[-1][:100]
        raise PeerLost(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} on {socket.gethostname()} lost another, which "
            f"died, or did not answer within {timeout:g} s ({reason}): the command can be started again, training "
            "with --resume"
        ) from error
    processes.leave()


def launch(count: int, words: list[str], restarts: int = RESTARTS) -> int:
    """Run `alexnet` with these words in `count` processes on this machine; give the exit code.

    Raises:
        InputError: more GPUs asked for than there are, or what the processes found wrong with the input.
        JobFailed: the job failed, or a process died more often than `restarts` times.
    """
    from dataclasses import fields

    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    device = value_of(words, "--device") or "auto"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        there = torch.cuda.device_count()
        if count > there:
            raise InputError(f"--devices {count} came, and there are {there} GPUs: give {there}, or --device cpu")
    elif count > cores:
        print(
            f"careful: {count} processes share {cores} core{'s' if cores > 1 else ''}, and will wait for each other",
            file=sys.stderr,
        )
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(STOP_WITHIN))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))
    with tempfile.TemporaryDirectory(prefix="alexnet-") as outcomes:
        os.environ[OUTCOMES] = outcomes
        # Ctrl-C stays Python's own here: the processes then get SIGTERM, which ends those still importing in silence.
        known = {field.name for field in fields(LaunchConfig)}
        signals: dict[str, Any] = (
            {"signals_to_handle": "SIGTERM,SIGHUP"} if "signals_to_handle" in known else {}
        )  # from torch 2.10 on
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=restarts,
            **signals,
        )
        died = stopped = False
        try:
            with _deaths_told(count):
                elastic_launch(config, sys.executable)("-m", "alexnet", *words)
        except ChildFailedError:
            died = True
        except (SignalException, KeyboardInterrupt):
            stopped = True  # the processes were told, and have ended
        finally:
            del os.environ[OUTCOMES]
        code = _outcome(Path(outcomes))
    if code:
        return code
    if stopped:
        raise KeyboardInterrupt
    if died:
        raise JobFailed(
            f"a process died, and all were started again {restarts} times before (the lines above say which, and why): "
            + ("alexnet train --resume RUN goes on from the last state" if words[0] == "train" else "start it again")
        )
    return 0


def leave_outcome(code: int, message: str) -> bool:
    """Leave an exit code and its line to the process that launched this one; False where there is none to read it."""
    folder = os.environ.get(OUTCOMES)
    if folder is None or not started_by_torchrun():
        return False
    aside = Path(folder) / f"{os.environ['RANK']}.partial"
    aside.write_text(json.dumps({"code": code, "message": message}), encoding="utf-8")
    aside.rename(aside.with_suffix(".json"))
    return True


def has_outcome() -> bool:
    """Whether a process of this launch has ended for good, so that a restart is of no use."""
    folder = os.environ.get(OUTCOMES)
    return folder is not None and started_by_torchrun() and any(Path(folder).glob("*.json"))


def without(words: list[str], names: tuple[str, ...]) -> list[str]:
    """The words but for these options and their values."""
    kept, rest = [], iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name not in names:
            kept.append(word)
        elif not equals:
            next(rest)
    return kept


def _outcome(folder: Path) -> int:
    """Raise what the processes left, or give the exit code of a command that has said all itself; 0 for nothing."""
    left = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not left:
        return 0
    code = max(outcome["code"] for outcome in left)
    messages = list(dict.fromkeys(outcome["message"] for outcome in left if outcome["code"] == code))
    if not any(messages):
        return code
    if code == 130:
        raise KeyboardInterrupt
    raise (InputError if code == 2 else JobFailed)("; ".join(filter(None, messages)))


@contextmanager
def _deaths_told(count: int) -> Iterator[None]:
    """Within it, what torch's agent logs of a process that died becomes one line, and all else is dropped."""
    import logging

    def tell(record: logging.LogRecord) -> bool:
        if died := re.search(r"failed \(exitcode: (-?\d+)\) local_rank: (\d+)", record.getMessage()):
            code, rank = int(died[1]), died[2]
            how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
            print(f"alexnet: process {rank} of {count} {how}", file=sys.stderr, flush=True)
        return False

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its tracebacks say nothing to a user
    log = logging.getLogger("torch.distributed.elastic.multiprocessing.api")
    log.setLevel(logging.ERROR)
    log.addFilter(tell)
    try:
        yield
    finally:
        log.removeFilter(tell)


def _end_with_parent() -> None:
    """Tell this process to stop when the agent that started it is gone, so that none works on unseen.

    By looking every second: Linux could send a signal, but sends it once for each thread of the agent.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=watch, name="alexnet-parent", daemon=True).start()


@contextmanager
def _silent(unless: bool) -> Iterator[None]:
    """Within it what is printed and noted goes nowhere; one process is enough to talk."""
    if unless:
        yield
        return
    out, err = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


def _number(name: str, text: str | None, default: Any, kind: type) -> Any:
    if text is None:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if value < (0 if name == "--restarts" else 1):
        raise InputError(f"{name} {text} came: give a whole number" + ("" if name == "--restarts" else " from 1 on"))
    return value
