"""Run a command in a pseudo-terminal, close the terminal when training has begun, and exit with the command's code.

SIGHUP is ignored, as after `disown` or `nohup`, so the command outlives the terminal.
"""

import os
import pty
import signal
import sys

TRAINING_BEGAN = b"training will take"

pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.alarm(250)  # the command is in a session of its own: end it even if the test is stopped
    os.execvp(sys.argv[1], sys.argv[1:])

output = b""
while TRAINING_BEGAN not in output:
    try:
        output += os.read(terminal, 4096)
    except OSError:  # the command exited
        break
print(output.decode(errors="replace"))
if TRAINING_BEGAN not in output:
    sys.exit("the command exited before training began")
os.close(terminal)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
