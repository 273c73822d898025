"""The samples of packaging/proxies, as they are, before a real hub."""

import re
import subprocess

from world import (
    PATIENCE, ROOT, TIDINGS, Folder, Hub, Process, curl, eventually, free_port, need, test,
)


class Proxy:
    """One of the programs, with a certificate for localhost that it signed itself."""

    def __init__(self, name, hub_port, folder):
        self.name, self.folder = name, folder
        self.port = free_port()
        self.key, self.certificate = folder.path / "key.pem", folder.path / "cert.pem"
        if not self.key.exists():
            subprocess.run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-addext",
                "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth",
                "-keyout", self.key, "-out", self.certificate,
            ], check=True, capture_output=True)
        file = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}[name]
        text = (ROOT / "packaging/proxies" / file).read_text()
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{hub_port}")
        self.command = getattr(self, name)(text)
        self.start()

    def nginx(self, text):
        text = text.replace("443", f"127.0.0.1:{self.port}").replace("hub.example.org;", "localhost;")
        text = re.sub(r"/etc/ssl/\S+\.pem", str(self.certificate), text)
        text = re.sub(r"/etc/ssl/\S+\.key", str(self.key), text)
        text = text.replace("/var/log/nginx/tidings.log", str(self.folder.path / "access.log"))
        return self.nginx_around(text)

    def nginx_around(self, text):
        self.folder.file("site.conf", text)
        place = self.folder.path
        main = self.folder.file("nginx.conf", f"""
            pid {place}/nginx.pid; error_log stderr; worker_processes 1; daemon off;
            events {{ worker_connections 256; }}
            http {{
                access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
                fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
                include {place}/site.conf;
            }}""")
        return ["nginx", "-p", place, "-e", "stderr", "-c", main]

    def haproxy(self, text):
        both = self.folder.path / "both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        text = text.replace(":443", f"127.0.0.1:{self.port}")
        # As many as a process may have open files for, here.
        text = text.replace("maxconn 40000", "maxconn 400")
        text = re.sub(r"/etc/haproxy/\S+", str(both), text)
        return ["haproxy", "-db", "-f", self.folder.file("haproxy.cfg", text)]

    def caddy(self, text):
        text = text.replace("grace_period 5s", """grace_period 5s
            admin off
            auto_https disable_redirects
            skip_install_trust""")
        text = text.replace("hub.example.org {", f"""https://localhost:{self.port} {{
            bind 127.0.0.1
            tls {self.certificate} {self.key}""")
        file = self.folder.file("Caddyfile", text)
        return ["caddy", "run", "--adapter", "caddyfile", "--config", file]

    def start(self):
        home = {"HOME": str(self.folder.path), "XDG_DATA_HOME": str(self.folder.path)}
        self.process = Process(self.command, env=home)
        def is_ready():
            assert self.process.child.poll() is None, self.process.said
            ready = subprocess.run([*self.curl(), f"{self.url}/readyz"], capture_output=True)
            return b'"ready"' in ready.stdout
        eventually(f"{self.name} is ready: {self.process.said}", is_ready)

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def curl(self):
        return ["curl", "--silent", "--cacert", str(self.certificate), "--max-time", "60"]


def the_way_through(name):
    need(name)
    need("openssl")
    folder = Folder()
    processes = []
    try:
        hub = Hub(folder.path / "data")
        processes.append(hub.process)
        proxy = Proxy(name, hub.port, folder)

        # HTTP/2 to the client, and each event while the stream is open: nothing gathers them.
        stream = Process([*proxy.curl(), "--no-buffer", "--http2", "-i", f"{proxy.url}/events/t"])
        processes.append(stream)
        stream.line_with("HTTP/2 200")
        stream.line_with("content-type: text/event-stream")
        stream.line_with("event: tidings.open")
        for data in ["one", "two", "three"]:
            hub.publish("t", data)
            stream.line_with(f"data: {data}")

        # A publisher's stream goes through, line by line.
        lines = Process(
            [*proxy.curl(), "--http1.1", "-T", "-", "-X", "POST", "-H",
             "content-type: application/x-ndjson", f"{proxy.url}/events/t"],
            stdin=subprocess.PIPE,
        )
        processes.append(lines)
        for data in ["four", "five"]:
            lines.child.stdin.write(b'{"data":"%s"}\n' % data.encode())
            lines.child.stdin.flush()
            stream.line_with(f"data: {data}")
        lines.child.stdin.close()
        lines.line_with("{")

        # The proxy restarts; who listens comes back by itself and misses nothing.
        listener = Process(
            [TIDINGS, "subscribe", "t", "--url", proxy.url],
            env={"SSL_CERT_FILE": str(proxy.certificate)},
        )
        processes.append(listener)
        eventually("the listener is there", lambda: hub.get("/stats")["subscribers"] == 2)
        before = hub.publish("t", "six")
        eventually("six", lambda: any("six" in line for line in listener.said))
        proxy.process.stop()
        stream.kill()
        for data in ["seven", "eight"]:
            hub.publish("t", data)
        proxy.start()
        hub.publish("t", "nine")
        eventually("nine", lambda: any("nine" in line for line in listener.said))
        words = ["six", "seven", "eight", "nine"]
        got = [word for line in listener.said for word in words if word in line.split()]
        assert got == words, (before, listener.said)
        processes.append(proxy.process)
    finally:
        for process in processes:
            process.kill()
        folder.remove()


@test
def nginx_passes_streams_on_at_once_and_its_restart_loses_nothing():
    the_way_through("nginx")


@test
def haproxy_passes_streams_on_at_once_and_its_restart_loses_nothing():
    the_way_through("haproxy")


@test
def caddy_passes_streams_on_at_once_and_its_restart_loses_nothing():
    the_way_through("caddy")


def the_compressed_way_through(name):
    """What the hub compresses is passed on as it is, and at once."""
    need(name)
    need("openssl")
    folder = Folder()
    processes = []
    try:
        hub = Hub(folder.path / "data", options=["--compression", "public"])
        processes.append(hub.process)
        proxy = Proxy(name, hub.port, folder)
        processes.append(proxy.process)
        words = ["--no-buffer", "--compressed", "--http2", "-i", "-w", "received %{size_download}"]
        stream = Process([*proxy.curl(), *words, f"{proxy.url}/events/t"])
        processes.append(stream)
        stream.line_with("HTTP/2 200")
        stream.line_with("content-encoding: gzip")
        stream.line_with("event: tidings.open")
        # The next event is not published before this one is here.
        text = "data: {} to be or not to be, that is the question"
        for number in range(100):
            hub.publish("t", text.format(number).removeprefix("data: "))
            stream.line_with(text.format(number))
        hub.end("t")
        received = int(stream.line_with("received").split()[1])
        assert stream.child.wait(timeout=PATIENCE) == 0, stream.said
        assert received < 100 * len(text), f"{received} bytes"
    finally:
        for process in processes:
            process.kill()
        folder.remove()


@test
def nginx_passes_compressed_streams_on_at_once_as_they_are():
    the_compressed_way_through("nginx")


@test
def haproxy_passes_compressed_streams_on_at_once_as_they_are():
    the_compressed_way_through("haproxy")


@test
def caddy_passes_compressed_streams_on_at_once_as_they_are():
    the_compressed_way_through("caddy")


@test
def nginx_logs_no_credential_of_a_stream_and_the_hub_neither():
    need("nginx")
    need("openssl")
    folder = Folder()
    processes = []
    try:
        secret = folder.file("jwt.secret", "a-secret-of-thirty-two-bytes-or-more")
        link_key = folder.file("link.key", "0123456789abcdef0123456789abcdef")
        config = folder.file("hub.toml", f"""
            jwt-secret-file = "{secret}"
            mercure-anonymous = true
            [[keys]]
            name = "k"
            key = "key-0123456789abcdef"
            subscribe = ["t"]
            [[link-keys]]
            id = "a"
            secret-file = "{link_key}"
            topics = ["t"]
            """)
        hub = Hub(folder.path / "data", options=["--config", config], log="trace")
        processes.append(hub.process)
        proxy = Proxy("nginx", hub.port, folder)
        processes.append(proxy.process)

        def said(*words):
            done = subprocess.run([TIDINGS, *map(str, words)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        token = said("token", "--subscribe", "t", "--secret-file", secret)
        link = said("sign", "--topic", "t", "--for", "10m", "--config", config,
                    "--url", proxy.url)
        sig = link.split("sig=")[1].split("&")[0]
        stream = ["-H", "accept: text/event-stream", "--max-time", "1"]
        key, mercure = "key-0123456789abcdef", f"{proxy.url}/.well-known/mercure?topic=t"
        requests = [
            [f"{proxy.url}/events/t?token={token}"],
            [f"{proxy.url}/events/t?token={key}"],
            [f"{proxy.url}/events/t?token={key}x"],
            [link],
            [f"{link}&topic=u"],
            [f"{mercure}&authorization={token}"],
            [mercure, "-H", f"cookie: mercureAuthorization={token}"],
            [f"{proxy.url}/events/t", "-H", f"authorization: Bearer {token}"],
            [f"{proxy.url}/events/u", "-H", f"authorization: Bearer {key}"],
        ]
        statuses = []
        for arguments in requests:
            command = [*proxy.curl(), "-o", "/dev/null", "-w", "%{http_code}", *stream, *arguments]
            statuses.append(subprocess.run(command, capture_output=True, text=True).stdout)
        assert statuses == ["200", "200", "401", "200", "401", "200", "200", "200", "403"], statuses

        log = folder.path / "access.log"
        lines = lambda: [line for line in log.read_text().splitlines() if "readyz" not in line]
        eventually("a line for each", lambda: len(lines()) == len(requests))
        assert '"GET /events/t HTTP/2.0" 200' in lines()[0], lines()[0]
        for program, text in [("nginx", log.read_text()), ("the hub", "\n".join(hub.process.said))]:
            for credential in [token, key, sig, token.split(".")[2]]:
                assert credential not in text, f"{program}: {credential}"
        assert any("request rejected" in line for line in hub.process.said), "it logs at all"
    finally:
        for process in processes:
            process.kill()
        folder.remove()


@test
def nginx_with_its_defaults_does_not_buffer_what_the_hub_sends():
    """No `proxy_buffering off`, no `proxy_http_version`: the hub's own header must do."""
    need("nginx")
    folder = Folder()
    hub = Hub(folder.path / "data")
    port = free_port()
    proxy = Proxy.__new__(Proxy)
    proxy.folder = folder
    site = f"server {{ listen 127.0.0.1:{port};" \
        f" location / {{ proxy_pass http://127.0.0.1:{hub.port}; }} }}"
    nginx = Process(proxy.nginx_around(site))
    stream = None
    try:
        eventually("nginx", lambda: subprocess.run(
            ["curl", "-sf", f"http://127.0.0.1:{port}/readyz"], capture_output=True,
        ).returncode == 0)
        stream = curl(f"http://127.0.0.1:{port}/events/t")
        stream.line_with("event: tidings.open")
        for data in ["one", "two", "three"]:
            hub.publish("t", data)
            stream.line_with(f"data: {data}")
    finally:
        for process in [stream, nginx, hub.process]:
            if process:
                process.kill()
        folder.remove()
