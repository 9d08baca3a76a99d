"""How a command comes to run in several processes: by `--devices N` on one machine, or by torchrun on any number.

`--devices N` starts torch's own elastic agent, the one inside torchrun, on the same command. When a process dies the
agent ends the others and starts all of them again, and training goes on from its last state. Errors that another
attempt would not mend are not tried again: a process leaves them as an outcome for the one that started it.
"""

import json
import os
import socket
import sys
import tempfile
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
    try:
        processes.join("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout)
        with _silent(unless=processes.is_first()):
            yield
    except (RuntimeError, torch.distributed.DistError) as error:
        if isinstance(error, RuntimeError) and "gloo" not in str(error) and "NCCL" not in str(error):
            raise
        reason = str(error).splitlines()[0].split("] ")[-1][:100]
        raise PeerLost(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} on {socket.gethostname()} lost another, which "
            f"died, or did not answer within {timeout:g} s ({reason}): what was saved stays, alexnet train --resume "
            "goes on from there"
        ) from error
    processes.leave()


def launch(count: int, words: list[str], restarts: int = RESTARTS) -> int:
    """Run `alexnet` with these words in `count` processes on this machine; give the exit code.

    Raises:
        InputError: more GPUs asked for than there are, or what the processes found wrong with the input.
        JobFailed: the job failed, or a process died more often than `restarts` times.
    """
    import logging

    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    device = value_of(words, "--device") or "auto"
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        there = torch.cuda.device_count()
        if count > there:
            raise InputError(f"--devices {count} came, and there are {there} GPUs: give {there}, or --device cpu")
    elif count > (os.cpu_count() or 1):
        print(f"careful: {count} processes share {os.cpu_count()} cores, and will wait for each other", file=sys.stderr)
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its tracebacks say nothing to a user
    os.environ.setdefault("TORCHELASTIC_SHUTDOWN_TIMEOUT", str(STOP_WITHIN))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with tempfile.TemporaryDirectory(prefix="alexnet-") as outcomes:
        os.environ[OUTCOMES] = outcomes
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=restarts,
        )
        died = ""
        try:
            elastic_launch(config, sys.executable)("-m", "alexnet", *words)
        except ChildFailedError as error:
            codes = {failure.exitcode for failure in error.failures.values()}
            died = f"{len(error.failures)} of {count} processes ended with {', '.join(map(str, sorted(codes)))}"
        except SignalException:
            pass  # the processes were told, and have ended
        finally:
            del os.environ[OUTCOMES]
        return _outcome(Path(outcomes), died, restarts)


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
            next(rest, None)
    return kept


def _outcome(folder: Path, died: str, restarts: int) -> int:
    """What the processes left, as this process's own."""
    left = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not left:
        if died:
            raise JobFailed(
                f"{died}, and so again after {restarts} restarts (the lines above say why): what was saved stays, "
                "alexnet train --resume goes on from there"
            )
        return 0
    code = max(outcome["code"] for outcome in left)
    messages = list(dict.fromkeys(outcome["message"] for outcome in left if outcome["code"] == code))
    if code == 130:
        raise KeyboardInterrupt
    raise (InputError if code == 2 else JobFailed)("; ".join(messages))


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
