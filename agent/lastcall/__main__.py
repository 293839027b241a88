"""`python -m lastcall`: the command line, also where no console script is installed."""

from lastcall.cli import main

if __name__ == "__main__":
    main()
