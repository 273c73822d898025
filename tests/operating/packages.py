"""The Debian package, installed and upgraded on a machine with a systemd of its own."""

import os
import subprocess

from machine import Machine
from world import ROOT, TIDINGS, Folder, Publishing, eventually, need, test


def debian_package(folder, version):
    """The package of the program under test, of which only the version is made up."""
    need("cargo-deb")
    need("dpkg-deb")
    subprocess.run(
        ["scripts/package-deb", "--fast", "--deb-version", version, "--output",
         folder.path / f"tidings_{version}.deb"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TIDINGS": TIDINGS},
    )
    return folder.path / f"tidings_{version}.deb"


@test
def the_debian_package_installs_serves_upgrades_unnoticed_and_keeps_the_history():
    folder = Folder()
    machine = watcher = publishing = None
    try:
        packages = [debian_package(folder, version) for version in ["0.1.0-1", "0.1.0-2"]]
        files = subprocess.run(["dpkg-deb", "--contents", packages[0]], check=True, text=True,
                               capture_output=True).stdout
        for file in ["bin/tidings", "man1/tidings-serve.1.gz", "completions/tidings"]:
            assert f"/{file}\n" in files, files
        root = folder.path / "machine"
        root.mkdir()
        machine = Machine(root, *packages)
        run = machine.run
        run("dpkg -i /srv/tidings_0.1.0-1.deb")
        assert not machine.tries("systemctl is-active tidings.socket"), "not before it is asked for"
        run("getent passwd tidings; tidings check /etc/tidings/hub.toml")
        run("systemctl enable --now tidings.socket tidings.service")
        # A key of the operator's that nobody else may read.
        run("printf secret-of-the-publisher > /etc/tidings/publisher.key")
        run("chown root:tidings /etc/tidings/publisher.key; chmod 640 /etc/tidings/publisher.key")
        # For the rest, what the operator wrote is found by its effect.
        run("printf 'retry = \"200ms\"\\ndrain-window = \"100ms\"\\n' >> /etc/tidings/hub.toml")
        run("systemctl restart tidings.service")
        assert run("stat -c '%U %a' /var/lib/tidings").split() == ["tidings", "750"]
        run("systemctl reload tidings.service")
        url = "http://127.0.0.1:3000"
        watcher = machine.program(TIDINGS, "subscribe", "t", "--json", "--url", url)
        eventually("the watcher", lambda: '"subscribers":1' in run(f"curl -sS {url}/stats"))
        publishing = Publishing(url, enter=machine.enter("-n"))
        publishing.more()
        pid = lambda: run("systemctl show --property MainPID --value tidings.service").strip()
        before = pid()
        run("dpkg -i /srv/tidings_0.1.0-2.deb")
        assert pid() not in ["0", before], "the new one serves"
        publishing.more()
        count = publishing.stop_and_compare(watcher)
        assert 'retry = "200ms"' in run("cat /etc/tidings/hub.toml"), "it is the operator's"

        head = run(f"curl -sS {url}/stats").split('"last_id":"')[1].split('"')[0]
        run("dpkg -r tidings")
        assert not machine.tries(f"curl -sS {url}/healthz"), "gone"
        run("dpkg -i /srv/tidings_0.1.0-2.deb; systemctl start tidings.socket tidings.service")
        assert head in run(f"curl -sS {url}/stats"), "the history was kept"
        said = run("dpkg -P tidings")
        assert "/var/lib/tidings is kept" in said and "/etc/tidings is kept" in said, said
        run("test -s /var/lib/tidings/format; test -s /etc/tidings/publisher.key")
        assert not machine.tries("test -e /etc/tidings/hub.toml"), "purged"
        assert not machine.tries("systemctl cat tidings.service"), "purged"
        print(f"        {count} publishes over an upgrade, none refused, none lost")
    finally:
        if publishing:
            publishing.stop()
        if watcher:
            watcher.kill()
        if machine:
            machine.stop()
        folder.remove()
