"""Restarts that nobody notices, and copies of the log made while it is written."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

from world import (
    PATIENCE, ROOT, TIDINGS, Folder, Hub, Process, eventually, need, test,
)


class Activated:
    """A hub that is given its socket as systemd gives it: sd_listen_fds(3)."""

    def __init__(self, data, listener, folder):
        self.path = str(folder.path / "notify")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.notify.settimeout(PATIENCE)
        # The number of the process is known only to itself.
        script = 'export LISTEN_PID=$$; exec "$@"'
        command = [
            "bash", "-c", script, "hub", TIDINGS, "serve", "--data", data, "--log", "warn",
            "--retry", "200ms", "--drain-window", "100ms",
        ]
        def give():
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)
        self.process = Process(
            command, env={"LISTEN_FDS": "1", "NOTIFY_SOCKET": self.path},
            preexec_fn=give, close_fds=False,
        )

    def wait_for(self, word):
        try:
            while word not in self.notify.recv(4096).decode():
                pass
        except TimeoutError:
            raise AssertionError(f"no {word}: {self.process.said}") from None


@test
def a_restart_under_socket_activation_refuses_nobody_and_loses_nothing():
    folder = Folder()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    processes = []
    try:
        data = folder.path / "data"
        hub = Activated(data, listener, folder)
        processes.append(hub.process)
        hub.wait_for("READY=1")
        watcher = Process([TIDINGS, "subscribe", "t", "--json", "--url", url])
        processes.append(watcher)
        acknowledged, failures, stop = [], [], threading.Event()

        def publish():
            n = 0
            while not stop.is_set():
                n += 1
                done = subprocess.run(
                    ["curl", "-sS", "--max-time", str(PATIENCE), "--fail-with-body",
                     "-d", str(n), f"{url}/events/t"],
                    capture_output=True, text=True,
                )
                (acknowledged if done.returncode == 0 else failures).append(
                    (n, done.stdout, done.stderr))
                time.sleep(0.01)

        eventually("the watcher", lambda: b'"subscribers":1' in subprocess.run(
            ["curl", "-s", f"{url}/stats"], capture_output=True).stdout)
        publisher = threading.Thread(target=publish)
        publisher.start()
        for _ in range(3):
            before = len(acknowledged)
            eventually("publishes", lambda: len(acknowledged) > before + 10)
            hub.process.child.send_signal(signal.SIGTERM)
            hub.wait_for("STOPPING=1")
            assert hub.process.child.wait(timeout=PATIENCE) == 0, hub.process.said
            hub = Activated(data, listener, folder)
            processes.append(hub.process)
            hub.wait_for("READY=1")
        before = len(acknowledged)
        eventually("publishes", lambda: len(acknowledged) > before + 10)
        stop.set()
        publisher.join()
        assert not failures, failures[:3]
        last = f'"data":"{acknowledged[-1][0]}"'
        eventually("the last event", lambda: any(last in line for line in watcher.said))
        data_of = lambda line: int(line.split('"data":"')[1].split('"')[0])
        got = [data_of(line) for line in watcher.said if '"data":"' in line]
        assert got == [n for n, *_ in acknowledged], "each once, in order"
        print(f"        {len(got)} publishes over 3 restarts, none refused, none lost")
    finally:
        for process in processes:
            process.kill()
        folder.remove()


@test
def a_copy_of_the_log_made_while_it_is_written_is_a_log():
    folder = Folder()
    hub = Hub(folder.path / "data", options=["--retention-bytes", "64MiB"])
    publisher = restored = None
    try:
        lines = "".join('{"topic":"t/%d","data":"%d"}\n' % (n % 7, n) for n in range(200_000))
        file = folder.file("lines", lines)
        before = [hub.publish("before", str(n)) for n in range(50)]
        publisher = Process([
            "curl", "-s", "-T", file, "-X", "POST", "--limit-rate", "4M",
            "-H", "content-type: application/x-ndjson", f"{hub.url}/events",
        ])
        eventually("it is under way", lambda: hub.get("/stats")["published"] > 10_000)
        backup = folder.path / "backup"
        subprocess.run([TIDINGS, "backup", "--data", folder.path / "data", backup], check=True,
                       stdout=subprocess.DEVNULL)
        at_copy = hub.get("/stats")["published"]
        assert publisher.child.poll() is None, "it was still being written"
        publisher.stop()
        hub.process.kill()

        restored = Hub(backup)
        stats = restored.get("/stats")
        head = int(stats["last_id"].split(":")[1])
        assert 10_000 <= head <= at_copy, (head, at_copy)
        events = restored.history("before")
        assert [event["id"] for event in events] == before
        numbers = [int(event["data"]) for event in restored.history("t/*")]
        assert numbers == list(range(len(numbers))) and len(numbers) == head - 50
        assert restored.publish("t/0", "more").endswith(f":{head + 1}")
        print(f"        {head} events in the copy of a log of {at_copy}")
    finally:
        for process in [publisher, hub.process, restored and restored.process]:
            if process:
                process.kill()
        folder.remove()


@test
def the_units_of_systemd_are_sound():
    need("systemd-analyze")
    folder = Folder()
    try:
        for name in ["tidings.service", "tidings.socket"]:
            text = (ROOT / "packaging/systemd" / name).read_text()
            folder.file(name, text.replace("/usr/bin/tidings", TIDINGS))
        units = [folder.path / "tidings.service", folder.path / "tidings.socket"]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                              capture_output=True, text=True)
        complaints = [line for line in done.stderr.splitlines() if "tidings" in line]
        assert not complaints, complaints
        exposure = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=15", units[0]],
            capture_output=True, text=True,
        )
        assert exposure.returncode == 0, exposure.stdout + exposure.stderr
        print("       ", exposure.stdout.strip().splitlines()[-1].strip())
    finally:
        shutil.rmtree(folder.path)
