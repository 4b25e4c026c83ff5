"""Runs a command on a terminal: types what comes after each prompt that it waits for.

usage: terminal.py ROWSxCOLUMNS COMMAND...   with a script on standard input: a line is what to wait for,
a tab, and what to type then ("\\n", "\\x10" and the like are escapes); "resize ROWSxCOLUMNS" in its
place changes the size of the terminal. Prints all that was shown, and ends with the command's code.
"""
import fcntl, os, pty, select, signal, struct, sys, termios, time

def set_size(fd, text):
    rows, columns = map(int, text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

steps = [line.rstrip("\n").split("\t") for line in sys.stdin if line.strip()]
size, command = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    # The size is there before the command looks.
    set_size(0, size)
    os.execvp(command[0], command)
shown, since = b"", 0
deadline = time.monotonic() + 100
while time.monotonic() < deadline:
    if steps:
        wanted = steps[0][0].encode().decode("unicode_escape").encode("latin-1")
        at = shown.find(wanted, since)
        if at >= 0:
            since = at + len(wanted)
            action = steps.pop(0)[1]
            if action.startswith("resize "):
                set_size(terminal, action.split()[1])
                os.kill(pid, signal.SIGWINCH)
            else:
                os.write(terminal, action.encode().decode("unicode_escape").encode("latin-1"))
            continue
    ready, _, _ = select.select([terminal], [], [], 0.2)
    if not ready:
        continue
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    shown += data
else:
    os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) % 256)
