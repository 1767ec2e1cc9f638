"""`hallkit COMMAND …` (`./hall COMMAND …` in a checkout). A command is a module of `commands`.

Look-up commands take `--json`: one JSON object a line with stable field names. Exit codes: 0 done,
1 negative outcome, 2 wrong use. Where a command takes one input, `-` reads many from standard
input, one a line, and answers one line each with the input echoed in the field `input`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from hallkit import __version__
from launcher import commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    known = sorted(info.name.replace("_", "-") for info in pkgutil.iter_modules(commands.__path__))
    if not words or words[0] in ("-h", "--help"):
        print("Use: hall COMMAND …\n")
        for name in known:
            print(f"  {name:12} {_module(name).HELP}")
        return 0 if words else 2
    if words[0] == "--version":
        print(__version__)
        return 0
    if words[0] not in known:
        print(f"hall: unknown command {words[0]!r}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    module = _module(words[0])
    parser = argparse.ArgumentParser(prog=f"hall {words[0]}", description=module.__doc__)
    module.configure(parser)
    result: int = module.run(parser.parse_args(words[1:]))
    return result


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")


if __name__ == "__main__":
    sys.exit(main())
