"""``python -m pgfrs`` and the ``pgfrs`` command."""

from __future__ import annotations

import sys

_NEEDED = {"click", "PIL", "tqdm"}


def main() -> None:
    """Run the command line; without its libraries say how to install them and exit with 2."""
    if sys.argv[1:2] == ["view"]:
        # Needs nothing but the package, so it is not behind the libraries of the other commands.
        from pgfrs.viewer import main as view

        sys.exit(view(sys.argv[2:]))
    try:
        if sys.argv[1:2] == ["convert"]:
            # The other commands' libraries take half of the time until the first picture is coded.
            from pgfrs.corpus.command import convert

            convert.main(sys.argv[2:], prog_name="pgfrs convert")
        from pgfrs.cli import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        print(f"pgfrs: the command line needs {error.name}: pip install 'pgfrs[cli]'", file=sys.stderr)
        sys.exit(2)
    cli(prog_name="pgfrs")


if __name__ == "__main__":
    main()
