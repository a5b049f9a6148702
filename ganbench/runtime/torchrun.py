"""Run a command in several processes on this machine with torchrun, and end as the first process that failed.

python -m ganbench.runtime.torchrun PROCESSES -m ganbench run ...

torchrun itself ends with exit code 1 after any failure, but a suite has to know whether another attempt makes sense.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from ganbench.errors import ExitCode
from ganbench.plugin.jobs import STOP_SECONDS


def torchrun(processes: str, *command: str) -> int:
    """Return the exit code of the first process that failed, negative for a signal; 0 if none did.

    `command` are the arguments of torchrun. It chooses a free port, so any number of runs can share the machine.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # for the processes, as -P for this one
    # from a signal to SIGKILL, which torch 2.11 does not read; a suite that stops this process kills it a little later
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(STOP_SECONDS - 5))
    try:
        run.main(["--standalone", "--nproc-per-node", processes, *command])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode
    except SignalException:  # torchrun has passed it on, and the processes have ended
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def end_with(code: int) -> None:
    """End this process with an exit code, or by a signal if the code is negative."""
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    end_with(torchrun(*sys.argv[1:]))
