"""Restarts that nobody notices, and copies of the log made while it is written."""

import json
import os
import shutil
import signal
import socket
import subprocess

from world import (
    PATIENCE, ROOT, TIDINGS, Folder, Hub, Process, Publishing, curl, eventually, need, test,
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
    processes, publishing = [], None
    try:
        data = folder.path / "data"
        hub = Activated(data, listener, folder)
        processes.append(hub.process)
        hub.wait_for("READY=1")
        watcher = Process([TIDINGS, "subscribe", "t", "--json", "--url", url])
        processes.append(watcher)
        eventually("the watcher", lambda: b'"subscribers":1' in subprocess.run(
            ["curl", "-s", f"{url}/stats"], capture_output=True).stdout)
        publishing = Publishing(url)
        for _ in range(3):
            publishing.more()
            hub.process.child.send_signal(signal.SIGTERM)
            hub.wait_for("STOPPING=1")
            assert hub.process.child.wait(timeout=PATIENCE) == 0, hub.process.said
            hub = Activated(data, listener, folder)
            processes.append(hub.process)
            hub.wait_for("READY=1")
        publishing.more()
        count = publishing.stop_and_compare(watcher)
        print(f"        {count} publishes over 3 restarts, none refused, none lost")
    finally:
        if publishing:
            publishing.stop()
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

        subprocess.run([TIDINGS, "restore", "--data", folder.path / "log", backup], check=True,
                       stdout=subprocess.DEVNULL)
        restored = Hub(folder.path / "log")
        stats = restored.get("/stats")
        head = int(stats["last_id"].split(":")[1])
        assert 10_000 <= head <= at_copy, (head, at_copy)
        events = restored.history("before")
        place = lambda event_id: event_id.split(":")[1]
        assert [place(event["id"]) for event in events] == [place(event_id) for event_id in before]
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
def subscribers_go_on_after_a_restore_or_are_told_what_they_lost():
    folder = Folder()
    hub = restored = None
    watchers = []
    try:
        data, copy = folder.path / "data", folder.path / "copy"
        hub = Hub(data)
        ids = [hub.publish("t", f"kept {n}") for n in range(20)]
        subprocess.run([TIDINGS, "backup", "--data", data, copy], check=True,
                       stdout=subprocess.DEVNULL)
        ids += [hub.publish("t", f"lost {n}") for n in range(20)]
        hub.process.kill()

        refused = subprocess.run([TIDINGS, "restore", "--data", data, copy],
                                 capture_output=True, text=True)
        assert refused.returncode != 0 and "already exists" in refused.stderr, refused
        shutil.rmtree(data)
        said = subprocess.run([TIDINGS, "restore", "--data", data, copy], check=True,
                              capture_output=True, text=True).stdout
        assert f"20 events restored to {data}, the newest {ids[19]}" in said, said

        restored = Hub(data)
        # As many as were lost, and more: the old ids beyond the copy now mean something else.
        new = [restored.publish("t", f"new {n}") for n in range(30)]

        def stream(last_id):
            watcher = curl("-N", "-D", "-", "-H", f"Last-Event-ID: {last_id}",
                           f"{restored.url}/events/t")
            watchers.append(watcher)
            eventually("the newest event", lambda: f"id: {new[-1]}" in watcher.said)
            outcome = [line.split(": ")[1] for line in watcher.said
                       if line.lower().startswith("tidings-resume: ")]
            resets = [json.loads(line[6:]) for line in watcher.said if line.startswith('data: {"re')]
            return outcome, resets, [
                line[6:] for line in watcher.said if line.startswith("data: ") and "{" not in line]

        news = [f"new {n}" for n in range(30)]
        kept = [f"kept {n}" for n in range(20)]
        for seen in [5, 20]:
            assert stream(ids[seen - 1]) == (["resumed"], [], kept[seen:] + news), seen
        for seen in [21, 40]:
            outcome, resets, events = stream(ids[seen - 1])
            assert (outcome, events) == (["reset"], news), (outcome, events)
            assert [(reset["reason"], reset["requested"]) for reset in resets] == [
                ("replaced", ids[seen - 1])], resets
        # The same as pages of history.
        page = restored.get(f"/events/t?after={ids[9]}")
        assert [event["data"] for event in page["events"]] == kept[10:] + news
        assert "reset" not in page
        page = restored.get(f"/events/t?after={ids[30]}")
        assert [event["data"] for event in page["events"]] == news
        assert page["reset"]["reason"] == "replaced", page
    finally:
        for process in [*watchers, hub and hub.process, restored and restored.process]:
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
