"""`anju-evaluate`: put recordings through the gateway's detectors and say how good they were."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from edge.evaluate import drift, dropped, falls, news2, routine, series, stream, track, train_falls, vitals
from edge.evaluate.report import FormatError, Report, writable

_EXAMPLES = """examples:
  anju-evaluate falls --npz waist.npz --index waist_index.csv --position waist --join --json falls.json
  anju-evaluate COMMAND --help
"""

COMMANDS: tuple[ModuleType, ...] = (falls, stream, dropped, train_falls, news2, series, vitals, drift, routine, track)
"""One module a command, each with NAME, HELP, add_arguments(parser) and run(options) -> Report (or None)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code (2: a file is not in the format, does not exist, or cannot be written)."""
    parser = argparse.ArgumentParser(
        prog="anju-evaluate",
        description="Score the gateway's detectors on recordings.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        command = commands.add_parser(
            module.NAME, help=module.HELP, description=module.HELP, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
        command.add_argument("--seed", type=_seed, default=0, help="of everything drawn by chance (default 0)")
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    for screen in (sys.stdout, sys.stderr):
        if isinstance(screen, io.TextIOWrapper):
            screen.reconfigure(errors="backslashreplace")
    try:
        if options.json is not None:
            writable(options.json)
        report: Report | None = options.run(options)
        if report is not None:
            if options.json is not None:
                report.write(options.json)  # before the screen, which may be closed or know few letters
            report.show()
    except (FormatError, OSError) as error:
        print(f"anju-evaluate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("anju-evaluate: stopped", file=sys.stderr)
        return 130
    return 0


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
