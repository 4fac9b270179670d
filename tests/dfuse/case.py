#!/usr/bin/env python3
"""One case against our FUSE server: case.py NAME BUILD DIRECTORY. It runs in a mount name space of
its own (the runner sees to that), so that nothing it mounts is left behind. Exit status as a
conformance program's: 0 pass, 77 nothing could be tried, 1 a failed check."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402
from stage import Failure, Skip, Stage  # noqa: E402


def main():
    name, build, directory = sys.argv[1:4]
    stage = Stage(build, directory)
    try:
        cases.ALL[name](stage, *sys.argv[4:])
    except Skip as why:
        print(why)
        return 77
    except Failure as why:
        print(f"{name}: {why}")
        return 1
    finally:
        stage.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
