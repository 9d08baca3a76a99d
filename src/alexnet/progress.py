"""Progress bars and notes, on standard error, so that standard output holds results alone."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class RateColumn(ProgressColumn):
    """How many items a second, over the last seconds."""

    def render(self, task: Task) -> Text:
        """Give the rate as text, or a dash before it is known."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f} {task.fields.get('unit', 'images')}/s" if rate else "–", style="dim")


def console() -> Console:
    """A console on standard error, as it is at this moment (tests replace it)."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Tell the reader one thing, on standard error."""
    console().print(text, markup=False)


def is_terminal() -> bool:
    """Whether somebody watches: a log file gets notes, and no bar."""
    return sys.stderr.isatty()


def bar() -> Progress:
    """A progress bar with count, rate, time left and a free text at its end (`status`)."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[status]}"),
        console=console(),
        disable=not is_terminal(),
    )


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "images") -> Iterator[T]:
    """Pass items on and show how far it has come."""
    if total is None:
        total = len(items)  # type: ignore[arg-type]
    with bar() as progress:
        task = progress.add_task(what, total=total, unit=unit, status="")
        for item in items:
            yield item
            progress.advance(task)
