"""Runs Python scripts for the tests, each in a fork of one process that has imported PyTorch.

Importing PyTorch takes longer than most of the scripts. A line of standard input is a call as JSON: `arguments`, which are
those of Python (a script, or -c and code, and then the script's own), and `output`, the file that gets what it prints. The
answer to it is a line with the exit status.
"""

import json
import os
import runpy
import sys

import safetensors.torch  # noqa: F401
import torch


def next_call():
    """Returns the arguments of a call, in the process that is to run it."""
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            output = os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            return call["arguments"]
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


# An optimiser imports PyTorch's compiler, which takes seconds too.
torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
first, *rest = next_call()
if first == "-c":
    code, *rest = rest
    sys.argv, sys.path[0] = [first, *rest], ""
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
else:
    sys.argv, sys.path[0] = [first, *rest], os.path.dirname(first)
    runpy.run_path(first, run_name="__main__")
