"""The console script, and `python -m ec2tasks`."""

import sys


def main() -> None:
    """Run the console script; Ctrl-C is no error of ours, not even while Python still imports it."""
    try:
        from ec2tasks.cli.program import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("ec2tasks: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
