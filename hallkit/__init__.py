"""What every room of the hall shares. See docs/architecture.md for the layers inside."""

__version__ = "0.1.0"
