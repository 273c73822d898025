"""The static program, alone in an empty file system and in an image."""

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading

from world import (
    PATIENCE, ROOT, TIDINGS, Folder, Process, Skipped, eventually, free_port, need, test,
)

_MADE = []


def static_program():
    """Made once; with `TIDINGS_STATIC`, one that is there."""
    if given := os.environ.get("TIDINGS_STATIC"):
        return given
    if not _MADE:
        need("cargo")
        # The program under test keeps its place.
        kept = Folder()
        shutil.copy2(TIDINGS, kept.path / "tidings")
        made = kept.path / "static"
        done = subprocess.run(
            ["scripts/package-static", made], cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, "PROFILE": "dev"})
        shutil.copy2(kept.path / "tidings", f"{TIDINGS}.new")
        os.replace(f"{TIDINGS}.new", TIDINGS)
        assert done.returncode == 0, done.stderr
        _MADE.append(made)
    return _MADE[0]


class NameServer:
    """Answers every question for an IPv4 address with 127.0.0.1 (RFC 1035)."""

    ADDRESS = "127.0.0.153"

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((self.ADDRESS, 53))
        except PermissionError:
            raise Skipped("port 53 takes root") from None
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, client = self.socket.recvfrom(512)
            except OSError:
                return
            end = question.index(0, 12) + 5
            name, kind = question[12:end - 5], struct.unpack("!H", question[end - 4:end - 2])[0]
            self.asked.append(name)
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"
            answers = record if kind == 1 else b""
            head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(answers) // 16, 0, 0)
            self.socket.sendto(head + question[12:end] + answers, client)


def alone(folder, *command):
    """A program with nothing but `folder` to see."""
    root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    return Process([*root, "chroot", folder, *command])


@test
def the_static_program_needs_nothing_in_an_empty_file_system():
    need("chroot")
    folder = Folder()
    processes = []
    names = None
    try:
        empty = folder.path / "empty"
        (empty / "tmp").mkdir(parents=True)
        shutil.copy2(static_program(), empty / "tidings")
        port = free_port()

        def start(*command):
            processes.append(alone(empty, "/tidings", *command))
            return processes[-1]

        hub = start("serve", "--listen", f"127.0.0.1:{port}", "--data", "/tmp/data",
                    "--log", "warn", "--allowed-host", "by-file.test",
                    "--allowed-host", "by-dns.test")
        hub.line_with("listening on")
        publish = ["curl", "-sS", "--fail", "-d", "hello", f"http://127.0.0.1:{port}/events/t"]
        subprocess.run(publish, check=True, stdout=subprocess.DEVNULL)

        def reads(name):
            reader = start("subscribe", "--last", "1", "--url", f"http://{name}:{port}", "t")
            eventually(name, lambda: any("hello" in line for line in reader.said))

        # Names, without the libraries that glibc looks them up with elsewhere.
        (empty / "etc").mkdir()
        (empty / "etc/hosts").write_text("127.0.0.1 by-file.test\n")
        reads("by-file.test")
        names = NameServer()
        (empty / "etc/resolv.conf").write_text(f"nameserver {names.ADDRESS}\n")
        reads("by-dns.test")
        assert any(b"by-dns" in name for name in names.asked), names.asked
        # Without certificates of authorities there is no TLS, and that is what it says.
        no_tls = start("subscribe", "--once", "https://by-dns.test/")
        eventually("why", lambda: any("No CA certificates" in line for line in no_tls.said))
        assert hub.stop() == 0, hub.said
    finally:
        if names:
            names.socket.close()
        for process in processes:
            process.kill()
        folder.remove()


@test
def the_image_is_the_static_program_for_a_user_without_a_name():
    need("buildah")
    if os.geteuid() != 0:
        raise Skipped("it takes root")
    folder = Folder()
    ran = None
    try:
        buildah = ["buildah", "--root", str(folder.path / "images"),
                   "--runroot", str(folder.path / "run"), "--storage-driver", "vfs"]
        build = " ".join([*buildah, "bud", "--isolation", "chroot", "--format", "docker"])
        built = subprocess.run(
            [ROOT / "packaging/docker/image", static_program(), "tidings-under-test"],
            env={**os.environ, "BUILDER": build}, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        said = lambda *command: subprocess.run(
            [*buildah, *command], check=True, capture_output=True, text=True).stdout.strip()
        config = json.loads(said("inspect", "--type", "image", "tidings-under-test"))
        check = config["Docker"]["config"]["Healthcheck"]["Test"]
        assert check == ["CMD", "/tidings", "health"], check
        config = config["OCIv1"]["config"]
        assert (config["User"], config["Entrypoint"], config["Volumes"]) == (
            "65532:65532", ["/tidings"], {"/data": {}}), config
        container = said("from", "tidings-under-test")
        tree = said("mount", container)
        files = sorted(str(path.relative_to(tree)) for path in pathlib.Path(tree).rglob("*")
                       if path.is_file())
        assert files == ["etc/ssl/certs/ca-certificates.crt", "tidings"], files
        port = free_port()
        run = [*buildah, "run", "--isolation", "chroot", "-e", f"TIDINGS_LISTEN=127.0.0.1:{port}",
               container, "--"]
        health = lambda: subprocess.run([*run, *check[1:]], capture_output=True, text=True)
        early = health()
        assert early.returncode == 1 and "refused" in early.stderr, early
        ran = Process([*run, *config["Entrypoint"], *config["Cmd"]], start_new_session=True)
        ran.line_with("listening on")
        ready = health()
        assert (ready.returncode, ready.stdout) == (0, "ready\n"), ready
        answer = subprocess.run(["curl", "-sS", "-d", "x", f"http://127.0.0.1:{port}/events/t"],
                                check=True, capture_output=True, text=True).stdout
        assert answer.startswith('{"id":'), answer
        assert pathlib.Path(tree, "data").stat().st_uid == 65532
    finally:
        if ran:
            os.killpg(ran.child.pid, signal.SIGKILL)
            ran.child.wait(timeout=PATIENCE)
            subprocess.run([*buildah, "rm", "--all"], capture_output=True)
        folder.remove()
