# SPDX-License-Identifier: Apache-2.0
"""A vireo without a machine that is spoken to over QMP, and TAP for the tests that do."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import traceback


class QmpError(Exception):
    """The answer to a command was an error; its text is the exception's."""


class Vm:
    """One process; leave by close() or `with`. It runs in self.dir, which is deleted.

    prepare(directory) is called before the program starts, which gets pass_fds.
    """

    # In seconds. What has not come by then never will: a lost event fails its test, and no more.
    SILENCE = float(os.environ.get("SILENCE", 60))

    def __init__(self, program, *args, prepare=None, accel="qtest", pass_fds=()):
        self.dir = tempfile.mkdtemp(prefix="vireo-qmp-")
        if prepare:
            prepare(self.dir)
        path = os.path.join(self.dir, "qmp")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        self.process = subprocess.Popen(
            [os.path.abspath(program), "-accel", accel, "-machine", "none", "-nodefaults",
             "-display", "none", "-chardev", f"socket,id=mon,path={path}",
             "-mon", "chardev=mon,mode=control", *args],
            cwd=self.dir, pass_fds=pass_fds)
        self.socket, _ = listener.accept()
        self.socket.settimeout(self.SILENCE)
        listener.close()
        self.stream = self.socket.makefile("r")
        self.events = []
        json.loads(self.stream.readline())
        self.cmd("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, name):
        return os.path.join(self.dir, name)

    def _read(self):
        try:
            line = self.stream.readline()
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"no answer and no event in {self.SILENCE} s") from None
        if not line:
            raise EOFError("the program has ended")
        return json.loads(line)

    def cmd(self, name, /, **arguments):
        arguments = {key.rstrip("_").replace("_", "-"): value for key, value in arguments.items()}
        return self.raw({"execute": name, "arguments": arguments})

    def raw(self, request):
        # Not through the stream: writing to one would drop what it has read ahead.
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(answer["error"]["desc"])
            else:
                return answer["return"]

    def hmp(self, line):
        """What the human monitor answers."""
        return self.cmd("human-monitor-command", command_line=line).replace("\r", "")

    def fails(self, words, name, /, **arguments):
        try:
            self.cmd(name, **arguments)
        except QmpError as error:
            assert words in str(error), f"'{words}' is not in '{error}'"
            return
        raise AssertionError(f"{name} should have failed")

    def wait(self, name, /, **data):
        """The next event of this name with these members, which is taken out of the list."""
        while True:
            for i, event in enumerate(self.events):
                found = event.get("data", {})
                if event["event"] == name and all(found.get(k) == v for k, v in data.items()):
                    return self.events.pop(i)["data"]
            self.events.append(self._read())

    def quit(self):
        """Ends the program and leaves the directory; returns the exit status."""
        try:
            self.cmd("quit")
        except (EOFError, OSError):
            pass
        return self._end()

    def kill(self):
        self.process.kill()
        return self._end()

    def _end(self):
        self.stream.close()
        self.socket.close()
        return self.process.wait()

    def close(self):
        status = self.quit()
        shutil.rmtree(self.dir)
        assert status == 0, f"exit status {status}"


def run(tests):
    """Run functions as a TAP program; returns the exit status. A test that returns a text is
    skipped."""
    print(f"1..{len(tests)}")
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            reason = test()
            print(f"ok {number} - {test.__name__}" + (f" # SKIP {reason}" if reason else ""),
                  flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {test.__name__}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    return 1 if failed else 0
