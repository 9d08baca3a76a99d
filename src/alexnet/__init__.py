"""AlexNet as its authors built it, and the nets around it."""

__version__ = "0.1.0"
