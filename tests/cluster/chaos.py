"""Three hubs on three NATS servers under kills and stops, and a checker over what was read.

Publishers repeat an event with its id until a hub acknowledges it. Subscribers move from hub to hub
every one to three seconds and continue after the last id they have. At the end every one of them
must have every acknowledged event once, in the order of the log, and none may have seen a reset.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PUBLISHERS = 3
SUBSCRIBERS = 30
PUBLISH_PAUSE = 0.05


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Process:
    """A program that can be killed, stopped, and started again."""

    def __init__(self, command, log):
        self.command, self.log = command, log
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self):
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child = None

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)


class World:
    """The servers and the hubs."""

    def __init__(self, args, folder):
        ports = free_ports(9)
        self.clients, routes, self.monitors = ports[:3], ports[3:6], ports[6:]
        self.hub_ports = free_ports(3)
        version = subprocess.run([args.nats, "--version"], capture_output=True, text=True).stdout
        is_old = "v2.9." in version
        self.servers = []
        for number in range(3):
            peers = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
            sync = "" if is_old else "sync_interval: always"
            config = os.path.join(folder, f"n{number}.conf")
            with open(config, "w") as file:
                file.write(
                    f"server_name: n{number}\n"
                    f"listen: 127.0.0.1:{self.clients[number]}\n"
                    f"http: 127.0.0.1:{self.monitors[number]}\n"
                    "max_payload: 8MB\n"
                    f'jetstream {{ store_dir: "{folder}/n{number}"\n {sync} }}\n'
                    f"cluster {{ name: c, listen: 127.0.0.1:{routes[number]}, "
                    f"no_advertise: true\n routes: [{peers}] }}\n"
                )
            self.servers.append(Process([args.nats, "-c", config], f"{folder}/n{number}.log"))
        urls = ",".join(f"nats://127.0.0.1:{port}" for port in self.clients)
        self.hubs = []
        for number, port in enumerate(self.hub_ports):
            command = [args.tidings, "serve", "--listen", f"127.0.0.1:{port}"]
            command += ["--data", f"{folder}/hub{number}", "--store", "nats", "--store-url", urls]
            command += ["--cluster-create", "--log", "info"]
            if is_old:
                command.append("--store-unsafe")
            self.hubs.append(Process(command, f"{folder}/hub{number}.log"))

    def start(self):
        for process in self.servers:
            process.start()
        time.sleep(5)
        for number, process in enumerate(self.hubs):
            process.start()
            wait_for(lambda: self.is_ready(number), f"hub {number} is ready", 60)

    def stop(self):
        for process in self.hubs + self.servers:
            process.kill()

    def is_ready(self, number, query=""):
        try:
            return request(self.hub_ports[number], "GET", "/readyz" + query)[0] == 200
        except OSError:
            return False

    def leader(self):
        """The server that leads the stream."""
        for port in self.monitors:
            try:
                body = request(port, "GET", "/jsz?streams=1")[1]
            except OSError:
                continue
            for account in json.loads(body).get("account_details", []):
                for stream in account.get("stream_detail", []):
                    name = stream.get("cluster", {}).get("leader", "")
                    if name:
                        return self.servers[int(name[1:])]
        return random.choice(self.servers)


def wait_for(holds, what, seconds):
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            sys.exit(f"it does not happen within {seconds} s: {what}")
        time.sleep(0.2)


def request(port, method, path, body=None, timeout=15):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, {"accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class Publisher(threading.Thread):
    """Publishes until it is told to stop; each event is repeated until it is acknowledged."""

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number = world, number
        self.acknowledged = []
        self.longest = 0.0
        self.stopping = threading.Event()

    def run(self):
        count = 0
        hub = self.number
        while not self.stopping.is_set():
            name = f"p{self.number}-{count}"
            began = time.monotonic()
            while True:
                try:
                    port = self.world.hub_ports[hub % 3]
                    if request(port, "POST", f"/events/t?id={name}", name)[0] == 200:
                        break
                except OSError:
                    pass
                hub += 1
                time.sleep(0.1)
            self.longest = max(self.longest, time.monotonic() - began)
            self.acknowledged.append(name)
            count += 1
            time.sleep(PUBLISH_PAUSE)


class Subscriber(threading.Thread):
    """Reads the stream, and moves to another hub again and again."""

    def __init__(self, world, seed):
        super().__init__(daemon=True)
        self.world, self.random = world, random.Random(seed)
        self.read, self.resets = [], []
        self.last_id, self.moves = None, 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.connect(self.random.choice(self.world.hub_ports))
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)

    def connect(self, port):
        until = time.monotonic() + self.random.uniform(1, 3)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
        headers = {"accept": "text/event-stream"}
        path = "/events/t?from=start"
        if self.last_id:
            headers["last-event-id"] = self.last_id
            path = "/events/t"
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if connection.sock is None:
                # It was asked to come back: the hub is behind, or shuts down.
                time.sleep(0.2)
                return
            connection.sock.settimeout(0.5)
            self.moves += 1
            event = {}
            while time.monotonic() < until and not self.stopping.is_set():
                try:
                    line = answer.fp.readline()
                except TimeoutError:
                    return
                if not line:
                    return
                # The sizes of the chunks are lines of their own, and name no field.
                line = line.decode().rstrip("\r\n")
                field, _, value = line.partition(": ")
                if line == "" and event:
                    self.take(event)
                    event = {}
                elif field in ("id", "data", "event"):
                    event[field] = value
        finally:
            connection.close()

    def take(self, event):
        if event.get("event") == "tidings.reset":
            self.resets.append(event)
        elif "data" in event and "event" not in event:
            self.read.append(event["data"])
        if "id" in event:
            self.last_id = event["id"]


def chaos(world, seconds):
    """Kills and stops, until the time is over."""
    until = time.monotonic() + seconds
    turn = 0
    counts = {"leader killed": 0, "hub killed": 0, "leader stopped 10 s": 0}
    while time.monotonic() < until:
        time.sleep(3)
        turn += 1
        if turn % 3 == 1:
            server = world.leader()
            server.kill()
            time.sleep(4)
            server.start()
            counts["leader killed"] += 1
        elif turn % 3 == 2:
            number = turn % 3
            hub = world.hubs[number]
            hub.kill()
            time.sleep(2)
            hub.start()
            counts["hub killed"] += 1
        else:
            server = world.leader()
            server.pause()
            time.sleep(10)
            server.resume()
            counts["leader stopped 10 s"] += 1
        # All are there again before the next: two of three must be.
        time.sleep(8)
    return counts


def log_of(world):
    """Everything in the log, in its order."""
    found, after = [], None
    while True:
        path = "/events/t?limit=1000" + (f"&after={after}" if after else "")
        page = json.loads(request(world.hub_ports[0], "GET", path)[1])
        if not page["events"]:
            return found
        found += [event["data"] for event in page["events"]]
        after = page["next"]


def check(world, publishers, subscribers):
    """What is wrong; empty if nothing is."""
    wrong = []
    log = log_of(world)
    acknowledged = [name for publisher in publishers for name in publisher.acknowledged]
    if len(set(log)) != len(log):
        wrong.append("the log has an event twice")
    if missing := set(acknowledged) - set(log):
        wrong.append(f"{len(missing)} acknowledged events are not in the log")
    for number, one in enumerate(subscribers):
        if one.resets:
            wrong.append(f"subscriber {number} got {one.resets}")
        if one.read != log:
            lost, odd = len(set(log) - set(one.read)), len(one.read) - len(set(one.read))
            wrong.append(f"subscriber {number}: {lost} lost, {odd} twice, or another order")
    return log, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nats", required=True)
    parser.add_argument("--tidings", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="tidings-cluster-")
    world = World(args, folder)
    try:
        world.start()
        publishers = [Publisher(world, number) for number in range(PUBLISHERS)]
        subscribers = [Subscriber(world, number) for number in range(SUBSCRIBERS)]
        for thread in publishers + subscribers:
            thread.start()
        counts = chaos(world, args.seconds)
        for publisher in publishers:
            publisher.stopping.set()
            publisher.join(60)
            if publisher.is_alive():
                sys.exit("a publisher gets no answer a minute after all is well again")
        total = sum(len(publisher.acknowledged) for publisher in publishers)
        began = time.monotonic()
        while any(len(one.read) < total for one in subscribers) and time.monotonic() - began < 30:
            time.sleep(0.2)
        for one in subscribers:
            one.stopping.set()
            one.join(10)
        log, wrong = check(world, publishers, subscribers)
        moves = sum(one.moves for one in subscribers)
        longest = max(publisher.longest for publisher in publishers)
        print(f"{counts}; {total} acknowledged, {len(log)} in the log, {moves} moves of "
              f"{SUBSCRIBERS} subscribers, longest publish {longest:.1f} s")
        if wrong:
            print("\n".join(wrong))
            print(f"logs: {folder}")
            sys.exit(1)
        print("every acknowledged event once, in one order, without a reset")
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        world.stop()


if __name__ == "__main__":
    main()
