"""The exceptions that the command line turns into one line and an exit code."""


class InputError(ValueError):
    """Something the caller gave cannot be used.

    The message is one line: what came, what was wanted, what to do next. The command line
    prints it without a traceback and ends with exit code 2.
    """


class JobFailed(RuntimeError):
    """The job itself failed, though its input was good: a loss that is not finite, an interrupted disk.

    The message is one line that says what happened and what to change; exit code 1.
    """


class PeerLost(JobFailed):
    """Another process of the same job died or did not answer; the job can be taken up again."""
