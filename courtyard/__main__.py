"""The command line: `python -m courtyard`."""

from courtyard.cli import app

if __name__ == "__main__":
    app()
