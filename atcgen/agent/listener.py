"""supervisord's event listener: hands every event on to the agent's socket.

A process of its own, because the agent's standard input is the socket that supervisord keeps open for it. Runs alone
(`python -I -S listener.py SOCKET`) and imports next to nothing, so that it stays small. What is said while no agent
listens is lost on purpose: an agent that starts asks supervisord for the state of everything.
"""

import socket
import sys


def main(path: str) -> None:
    """Speak supervisord's listener protocol on stdin and stdout until stdin ends."""
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    events, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        answers.write(b"READY\n")
        answers.flush()
        header = events.readline()
        if not header:
            return
        fields = dict(each.split(b":", 1) for each in header.split())
        payload = events.read(int(fields[b"len"]))
        try:  # noqa: SIM105 - contextlib would double what this process imports
            agent.sendto(fields[b"eventname"] + b" " + payload, path)
        except OSError:
            pass
        answers.write(b"RESULT 2\nOK")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
