"""Another Debian inside this one, with a systemd, a network and processes of its own.

Its files are those of this one, and a change to them is gone with it.
"""

import os
import pathlib
import subprocess

from world import PATIENCE, Process, Skipped, eventually, need

HERE = pathlib.Path(__file__).resolve().parent


class Machine:
    def __init__(self, folder, *files):
        for program in ["unshare", "nsenter", "ip"]:
            need(program)
        if os.geteuid() != 0 or not os.path.exists("/lib/systemd/systemd"):
            raise Skipped("it takes root, and a systemd to boot")
        self.boot = Process([HERE / "boot.sh", folder, *files])
        try:
            self.pid = eventually("it begins to boot", self._first_process)
            eventually("it is up", lambda: self._first_process() and self.tries(
                "[ -d /run/systemd/system ] && systemctl is-system-running"))
        except BaseException:
            self.stop()
            raise

    def _first_process(self):
        if self.boot.child.poll() is not None:
            raise Skipped(f"a systemd cannot be booted here: {self.boot.said}")
        # The script becomes `unshare`, and that has one child.
        about = pathlib.Path(f"/proc/{self.boot.child.pid}")
        if (about / "comm").read_text().strip() != "unshare":
            return None
        children = (about / "task" / about.name / "children").read_text().split()
        return children[0] if children else None

    def enter(self, *flags):
        return ["nsenter", "-t", self.pid, *flags]

    def run(self, script):
        """What a shell in it says, both channels together."""
        done = self._run(script)
        assert done.returncode == 0, (script, done.stdout)
        return done.stdout

    def tries(self, script):
        return self._run(script).returncode == 0

    def _run(self, script):
        inside = self.enter("-m", "-p", "-n", "-u", "-i", "-C")
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            [*inside, "env", "-i", path, "DEBIAN_FRONTEND=noninteractive", "sh", "-ec",
             f"cd /; {script}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            timeout=2 * PATIENCE,
        )

    def program(self, *command):
        """A program of outside, on the network of inside."""
        return Process([*self.enter("-n"), *command])

    def stop(self):
        self.boot.kill()
        # Its control groups are empty as soon as all its processes have ended.
        groups = list(pathlib.Path("/sys/fs/cgroup").glob(f"**/tidings-{self.boot.child.pid}"))
        for group in groups:
            eventually(f"{group} is empty", lambda: _remove_group(group))


def _remove_group(group):
    for inner, _, _ in os.walk(group, topdown=False):
        os.rmdir(inner)
    return True
