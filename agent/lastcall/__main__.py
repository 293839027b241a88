"""`lastcall` and `python -m lastcall`: the command line, the import of which takes a tenth of a second."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or end at a Ctrl+C that comes before it is there, without a word."""
    try:
        from lastcall import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
