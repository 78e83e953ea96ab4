"""Run by `test_fence.py` in a process of its own: what the kernel's fence refuses, and what not.

Reads JSON from its standard input: the sandbox's folder, the submission's own folder, the paths
that are hidden, and pieces of code by name. Writes how each piece ended. There is no audit hook
here: what is refused, the kernel has refused.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import sys
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)


def fence_in(job: dict):
    """Put up the fence as the sandbox's child does."""
    spec = importlib.util.spec_from_file_location(
        "sandbox", job["sandbox"] + "/__init__.py", submodule_search_locations=[job["sandbox"]]
    )
    sys.modules["sandbox"] = importlib.util.module_from_spec(spec)
    from sandbox import fence

    sys.path[:] = fence.packages_only(sys.path, job["root"])
    own = fence.Fence(fence.kernel(), job["hidden"], job["folder"])
    os.chdir(job["folder"])
    os.environ["TMPDIR"] = job["folder"]
    own.close(job["folder"])


def refused_in_c(result: int) -> None:
    """Raise what a C function reports by a negative number."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main() -> None:
    job = json.load(sys.stdin)
    import numpy
    import torch

    torch.set_num_threads(1)
    names = {
        "c": LIBC, "ctypes": ctypes, "np": numpy, "os": os, "parent": os.getppid(), "sys": sys,
        "refused_in_c": refused_in_c, "torch": torch, **job["names"]
    }  # fmt: skip
    fence_in(job)
    ends = {}
    for name, code in job["pieces"].items():
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                exec(code, dict(names))
            ends[name] = "passed"
        except BaseException as error:
            ends[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # what some pieces leave behind would keep Python from ending by itself
