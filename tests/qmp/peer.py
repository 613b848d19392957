# SPDX-License-Identifier: Apache-2.0
"""Scripts that are spoken to vireo and to QEMU 7.2, which must answer alike.

Each program has images of its own in equal states. Answers, events and the images that are left
must be the same, but for what normalise() takes away.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from vm import QmpError, Vm, run

PROGRAM = os.path.abspath(sys.argv[1])
PEER = shutil.which("qemu-system-x86_64")
MIB = 1 << 20
SIZE = 4 * MIB
CHAIN = ("base", "mid", "top", "act")

# Members that say what the host did, how fast, or how a program lays out its files.
OWN_AFFAIRS = {"actual-size", "io-status", "busy", "offset", "len", "current-progress",
               "total-progress"}
# Statuses through which a job passes as often as something drains a disk of it.
PASSING = {"running", "paused", "standby", "ready"}
# Of images; made when they are first wanted.
TEMPLATE = []
# What a refusal is about: both must name the same thing, in words of their own.
REFUSALS = (
    "Invalid job ID", "Input/output error", "No such file", "Duplicate nodes", "not found",
    "Cannot find", "Unknown", "Compression is not supported", "is currently paused",
    "is busy|in use|Need a root block node|commit an image into itself|Failed to get .* lock",
    "No space left", "expects uint32_t|is out of range",
    "must be ascending|boundaries fail", "[Rr]ead-only", "frozen|a job uses it|implicit backing",
)


def img(*args, cwd, check=True):
    return subprocess.run(["qemu-img", *args], cwd=cwd, check=check, text=True,
                          capture_output=True)


def fill(directory, name, *patterns):
    """Write (byte, offset, length) each."""
    commands = [arg for byte, at, count in patterns
                for arg in ("-c", f"write -q -P {byte} {at} {count}")]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, name], cwd=directory, check=True)


def make_images(directory):
    """base <- mid <- top <- act, each with data that hides some below it; and empty ones."""
    if not TEMPLATE:
        TEMPLATE.append(tempfile.TemporaryDirectory(prefix="vireo-images-"))
        make_template(TEMPLATE[0].name)
    shutil.copytree(TEMPLATE[0].name, directory, dirs_exist_ok=True)


def make_template(directory):
    below = None
    for i, name in enumerate(CHAIN):
        img("create", "-q", "-f", "qcow2", *(["-b", below, "-F", "qcow2"] if below else []), name,
            str(SIZE), cwd=directory)
        fill(directory, name, (i + 1, i * MIB // 2, MIB), (i + 11, 3 * MIB + i * 65536, 65536))
        below = name
    for name in ("copy", "lone", "other", "over"):
        img("create", "-q", "-f", "qcow2", name, str(SIZE), cwd=directory)
    img("create", "-q", "-f", "qcow2", "small", str(MIB), cwd=directory)
    img("convert", "-O", "raw", "act", "before", cwd=directory)


def kind_of(text):
    for words in REFUSALS:
        if re.search(words, text):
            return words
    return text


def normalise(value, directory):
    if isinstance(value, str):
        value = value.replace(directory + "/", "")
        return re.sub(r"#block\d+", "#block", value)
    if isinstance(value, list):
        return [normalise(item, directory) for item in value]
    if isinstance(value, dict):
        return {key: normalise(kind_of(item) if key == "error" else item, directory)
                for key, item in value.items() if key not in OWN_AFFAIRS}
    return value


class Session(Vm):
    """One of the two programs, and a log of what it said."""

    def __init__(self, program, *args, prepare=make_images):
        self.log = []
        self.program = program
        super().__init__(program, *args, prepare=prepare,
                         accel="tcg" if program == PEER else "qtest")

    def note(self, what, value):
        self.log.append(f"{what}: {json.dumps(normalise(value, self.dir), sort_keys=True)}")

    def __call__(self, name, /, **arguments):
        """A command; notes what it returns, or the error."""
        try:
            answer = self.cmd(name, **arguments)
        except QmpError as error:
            answer = {"error": str(error)}
        self.note(f"{name} {arguments}", answer)
        return answer

    def until(self, name, /, stop=lambda data: True, **data):
        """Notes the events of each job up to this one, and for which stop() is true."""
        jobs = {}
        while True:
            event = self.events.pop(0) if self.events else self._read()
            found = event.get("data", {})
            job = found.get("id", found.get("device"))
            last = jobs.setdefault(job, [])
            seen = {"event": event["event"], **found}
            if found.get("status") not in PASSING and seen not in last:
                last.append(seen)
            if (event["event"] == name and all(found.get(k) == v for k, v in data.items())
                    and stop(found)):
                break
        for job in sorted(jobs, key=str):
            for seen in jobs[job]:
                self.note(f"event of {job}", seen)

    def status(self, job, status):
        self.until("JOB_STATUS_CHANGE", id=job, status=status)

    def wait_for_pause(self):
        """Every job stands, as after an error; the program tells so a moment after the event."""
        while any(job["status"] != "paused" for job in self.cmd("query-jobs")):
            pass

    def gone(self, *jobs):
        left = set(jobs)
        self.until("JOB_STATUS_CHANGE", status="null",
                   stop=lambda data: left.discard(data["id"]) or not left)

    def add(self, name, backing=None, **more):
        self.cmd("blockdev-add", driver="qcow2", node_name=name, file=self.file(name),
                 backing=backing, **more)

    def file(self, name):
        return {"driver": "file", "filename": name}

    def add_all(self):
        below = None
        for name in CHAIN:
            self.add(name, below)
            below = name
        for name in ("copy", "lone", "other"):
            self.add(name)

    def graph(self):
        for node in self.cmd("query-named-block-nodes", flat=True):
            if node["drv"] != "file":
                self.note("node", {key: node.get(key) for key in (
                    "node-name", "drv", "ro", "backing_file", "backing_file_depth")})

    def busy(self, node):
        """What else could be done with the node is refused."""
        self("blockdev-del", node_name=node)
        self("block_resize", node_name=node, size=SIZE * 2)
        for command, more in (("block-stream", {}), ("block-commit", {}),
                              ("blockdev-mirror", {"target": "other", "sync": "full"}),
                              ("blockdev-backup", {"target": "other", "sync": "full"})):
            self(command, job_id="x", device=node, **more)

    def headers(self, *names):
        for name in names:
            info = img("info", "-U", "--output=json", name, cwd=self.dir)
            self.note("header", [json.loads(info.stdout).get(key) for key in (
                "backing-filename", "backing-filename-format", "virtual-size")])


def images_must_match(ours, theirs, names):
    for name in names:
        checked = img("check", name, cwd=ours, check=False)
        assert checked.returncode == 0, f"{name}: {checked.stdout}{checked.stderr}"
        pair = [os.path.join(directory, name) for directory in (ours, theirs)]
        compared = img("compare", *pair, cwd=ours, check=False)
        assert compared.returncode == 0, f"{name}: {compared.stdout}{compared.stderr}"
        info = [normalise(json.loads(img("info", "--backing-chain", "--output=json", name,
                                         cwd=directory).stdout), directory)
                for directory in (ours, theirs)]
        assert info[0] == info[1], f"{name}: {info[0]}, not {info[1]}"


def both(script, args=(), images=CHAIN + ("copy", "lone", "other")):
    """Run the script with both; what they said and the images they left must be the same."""
    sessions = [Session(program, *args) for program in (PROGRAM, PEER)]
    try:
        for session in sessions:
            try:
                script(session)
            except Exception as error:
                raise AssertionError("\n".join([session.program, *session.log[-9:]])) from error
            status = session.quit()
            assert status == 0, f"{session.program} ended with {status}"
        ours, theirs = [session.log for session in sessions]
        difference = [line[:500] for line in difflib.unified_diff(
            theirs, ours, "QEMU", "vireo", n=1, lineterm="")]
        assert not difference, "\n" + "\n".join(difference)
        images_must_match(sessions[0].dir, sessions[1].dir, images)
    finally:
        for session in sessions:
            session.kill()
            shutil.rmtree(session.dir)


def run_beside_peer(tests):
    """The exit status; arguments after the program's choose tests by name."""
    if not PEER:
        print("1..0 # SKIP qemu-system-x86_64 is not installed")
        return 0
    chosen = sys.argv[2:]
    return run([test for test in tests if not chosen or test.__name__ in chosen])
