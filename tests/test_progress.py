"""Progress goes to standard error, and only where somebody watches."""

import os
import pty
import subprocess
import sys

from alexnet.progress import note, track

CODE = """
import time
from alexnet.progress import track
for _ in track(range(30), "packing"):
    time.sleep(0.02)
print("done")
"""


def test_items_pass_through_and_standard_output_stays_clean(capsys):
    assert list(track(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    note("[bold] is no markup")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "[bold] is no markup\n"


def test_a_log_file_gets_no_bar():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_terminal_gets_a_bar_with_count_rate_and_time_left():
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdout=subprocess.DEVNULL,
        stderr=other,
        env=os.environ | {"COLUMNS": "120", "TERM": "xterm"},
    )
    os.close(other)
    seen = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(main)
    assert process.wait() == 0
    text = seen.decode(errors="replace")
    assert "packing" in text
    assert "30/30" in text
    assert "images/s" in text
    assert "0:00" in text
