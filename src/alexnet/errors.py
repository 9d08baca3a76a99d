"""The one exception that stands for wrong usage or wrong input."""


class InputError(ValueError):
    """Something the caller gave cannot be used.

    The message is one line: what came, what was wanted, what to do next. The command line
    prints it without a traceback and ends with exit code 2.
    """
