"""What is measured. Each scenario runs its servers in turns, each fresh, and returns one row for
each: the middle of the rounds, for single runs here differ by a fifth and more."""

import functools
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time

from .peers import BENCH, OUT, Running

NDJSON = ["--publish-header", "Content-Type: application/x-ndjson"]


class Generator:
    """`tidings bench`, with what all scenarios share."""

    def __init__(self, binary, quick, rounds):
        self.binary = binary
        self.quick = quick
        self.seconds = 4 if quick else 10
        self.rounds = rounds

    def command(self, running, *flags):
        flags = [str(flag) for flag in flags]
        for flag, default in (("--duration", self.seconds), ("--warmup", 1)):
            if flag not in flags:
                flags += [flag, str(default)]
        pid = ["--pid", str(running.pid)]
        where = [] if "--url" in flags else running.peer.flags()
        return [str(self.binary), "bench", "--json", *where, *pid, *flags]

    def run(self, running, *flags):
        command = self.command(running, *flags)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"{running.peer.title}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)


def fan_out(generator, peers):
    """10,000 subscribers of one topic, 100 bytes: the server's CPU time per delivery."""
    rates = (5, 10)

    def measure(peer):
        row = {"faults": 0}
        for rate in rates:
            with Running(peer) as running:
                report = generator.run(running, "-n", 10_000, "--rate", rate)
            row[f"us_{rate}"] = report["process"]["cpu_us_per_delivery"]
            row["faults"] += faults(report)
        return row

    rows = repeat(generator, each(peers, measure))
    for row in rows.values():
        for rate in rates:
            floor = rows.get("floor", {}).get(f"us_{rate}")
            row[f"floors_{rate}"] = row[f"us_{rate}"] / floor if floor else None
    return rows


def flat_out(generator, peers):
    """1,000 subscribers of one topic, 100 bytes, one publisher that sends the next event when
    the last is answered."""
    def measure(peer):
        with Running(peer) as running:
            # One reading thread would be what holds the events back.
            report = generator.run(running, "-n", 1000, "--rate", "max", "--threads", 2)
        seen = report["deliveries"]
        return {
            "deliveries_per_second": seen["per_second"],
            "p50_ms": seen["ms"]["p50"],
            "p99_ms": seen["ms"]["p99"],
            "publishes_per_second": report["publish"]["events_per_second"],
            "us": report["process"]["cpu_us_per_delivery"],
            "lost": seen["losses"],
            "lost_share": seen["losses"] / max(seen["expected"], 1),
            "faults": faults(report),
        }

    return repeat(generator, each(peers, measure))


def latency(generator, peers):
    """1,000 subscribers of one topic, 100 bytes, 50 events a second: from the intended time to
    arrival."""
    def measure(peer):
        with Running(peer) as running:
            report = generator.run(running, "-n", 1000, "--rate", 50)
        milliseconds = report["deliveries"]["ms"]
        names = ("p50", "p99", "p999", "max")
        return {f"{name}_ms": milliseconds[name] for name in names} | {"faults": faults(report)}

    # The disk has its turn in every round, because its bad moments come and go.
    disk = {"fdatasync alone": lambda: sync_alone(generator.seconds)}
    return repeat(generator, each(peers, measure) | disk)


def sync_alone(seconds):
    """What the disk itself adds for those who answer when the event is on it: 50 appends of 1,000
    bytes a second, each with fdatasync(2), and nothing else."""
    taken = []
    with tempfile.TemporaryFile(dir=OUT) as file:
        # The servers too write into space that is there already.
        file.write(bytes(1000 * 50 * seconds))
        os.fsync(file.fileno())
        for number in range(50 * seconds):
            time.sleep(0.02)
            began = time.monotonic()
            os.pwrite(file.fileno(), bytes([number % 256]) * 1000, number * 1000)
            os.fdatasync(file.fileno())
            taken.append((time.monotonic() - began) * 1000)
    taken.sort()
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": taken[-1]}


def sync_in_turn(seconds):
    """Appends of 256 bytes with fdatasync(2), one after the other."""
    taken, size = [], 256
    with tempfile.TemporaryFile(dir=OUT) as file:
        file.write(bytes(size * 20_000 * seconds))
        os.fsync(file.fileno())
        deadline = time.monotonic() + seconds
        while (began := time.monotonic()) < deadline:
            os.pwrite(file.fileno(), bytes([len(taken) % 256]) * size, len(taken) * size)
            os.fdatasync(file.fileno())
            taken.append((time.monotonic() - began) * 1000)
    taken.sort()
    return {"p50_ms": taken[len(taken) // 2], "p99_ms": taken[len(taken) * 99 // 100]}


def memory(generator, peers):
    """Idle subscribers of one topic, HTTP/1.1: the server's own memory, files not counted,
    before and after."""
    def measure(peer):
        bytes_at, row = {}, {}
        for subscribers in (1000, 18_000):
            with Running(peer) as running:
                flags = ("-n", subscribers, "--rate", 0, "--duration", 0.1)
                settle = ("--settle", generator.seconds / 4)
                process = generator.run(running, *flags, *settle)["process"]
            bytes_at[subscribers] = process["memory_connected_bytes"]
            row[f"bytes_{subscribers}"] = process["memory_per_subscriber_bytes"]
        # What one more costs: the slope, which start-up costs do not blur.
        row["bytes"] = (bytes_at[18_000] - bytes_at[1000]) / 17_000
        return row

    return repeat(generator, each(peers, measure))


def topics(generator, peers):
    """18,000 subscribers, each of a topic of its own, 32 publishers that send the next event
    when the last is answered."""
    def measure(peer):
        count = 18_000
        with Running(peer, topics=count) as running:
            flags = ("-n", count, "--topics", count, "--publishers", 32, "--rate", "max")
            report = generator.run(running, *flags)
        return {
            "publishes_per_second": report["publish"]["events_per_second"],
            "p99_ms": report["deliveries"]["ms"]["p99"],
            "us": report["process"]["cpu_us_per_event"],
            "durability": peer.durability,
            "faults": faults(report),
        }

    return repeat(generator, each(peers, measure))


def publish_to(subscribers, whom, rate="max"):
    """The scenario in which 64 publishers send to one topic with this number of subscribers. Flat
    out, a server that takes more events is not ahead if its subscribers get fewer of them: so both
    are counted. At a rate that all of them hold, nothing is left over."""
    def publish(generator, peers):
        def measure(peer):
            with Running(peer, topics=1) as running:
                flags = ("--publishers", 64, "--payload-bytes", 200, "--rate", rate)
                report = generator.run(running, "-n", subscribers, *flags)
            deliveries = report["deliveries"] or {"per_second": 0, "losses": 0, "expected": 0}
            return {
                "publishes_per_second": report["publish"]["events_per_second"],
                "p50_ms": report["publish"]["ms"]["p50"],
                "p99_ms": report["publish"]["ms"]["p99"],
                "us": report["process"]["cpu_us_per_event"],
                "deliveries_per_second": deliveries["per_second"],
                "lost_share": deliveries["losses"] / max(1, deliveries["expected"]),
                "durability": peer.durability,
                "faults": faults(report),
            }

        return repeat(generator, each(peers, measure))

    pace = "" if rate == "max" else f", {rate:,} events/s"
    publish.__doc__ = f"64 connections, 200 bytes, one event per request, {whom}{pace}."
    return publish


def sequential(generator, peers):
    """One connection, 200 bytes, no subscribers, the next event when the last is answered. Beside
    it what a durable publish cannot do without: a request that is only answered (the floor), and
    fdatasync(2) of as many bytes."""
    def measure(peer):
        with Running(peer) as running:
            report = generator.run(running, "-n", 0, "--payload-bytes", 200, "--rate", "max")
        answers = report["publish"]["ms"]
        return {"p50_ms": answers["p50"], "p99_ms": answers["p99"], "faults": faults(report)}

    disk = {"fdatasync alone": lambda: sync_in_turn(generator.seconds)}
    return repeat(generator, each(peers, measure) | disk)


def stream(generator, peers):
    """One connection, requests of 2,000 lines of NDJSON with 200 bytes of data each, each on
    disk before it is answered."""
    def measure(peer):
        with Running(peer) as running:
            body = ("--publish-body", '{"data":"{data}"}', "--batch", 2000, "--payload-bytes", 200)
            flags = ("-n", 0, "--rate", "max", *NDJSON, *body)
            report = generator.run(running, *flags)
        published = report["publish"]
        rates = {"events_per_second": published["events_per_second"]}
        return rates | {"us": report["process"]["cpu_us_per_event"], "faults": faults(report)}

    return repeat(generator, each(peers, measure))


def independence(generator, peers):
    """The cost of a publish on a topic with one subscriber, while others subscribe to other
    topics or patterns."""
    (peer,) = peers.values()
    address = f"http://127.0.0.1:{peer.port}/events"
    # Subscribers to patterns have a topic as well, because one of them must get the publisher's
    # events.
    plain, patterns = f"{address}/{{topic}}", f"{address}?topic=x{{n}}/**&topic={{topic}}"

    def measure(count, url):
        flags = ("-n", count, "--topics", count, "--publish-topics", 1, "--rate", "max")
        with Running(peer) as running:
            report = generator.run(running, *flags, "--publish-url", plain, "--url", url)
        return {
            "us": report["process"]["cpu_us_per_event"],
            "publishes_per_second": report["publish"]["events_per_second"],
            "p99_ms": report["deliveries"]["ms"]["p99"],
            "faults": faults(report),
        }

    cases = {
        "1,000 others": (1001, plain),
        "18,000 others": (18_001, plain),
        "10,000 patterns": (10_001, patterns),
    }
    turns = {name: functools.partial(measure, *case) for name, case in cases.items()}
    return repeat(generator, turns)


def resume(generator, peers):
    """1,000,000 stored events on 1,000 topics; a subscriber of one resumes from the middle:
    time until its first event."""
    (peer,) = peers.values()
    events, count = 1_000_000, 1000

    def measure(share):
        with Running(peer) as running:
            fill(running, events, count)
            head = publish_one(peer.port, "bench-0")
            epoch, position = head.rsplit(":", 1)
            last = f"{epoch}:{int(int(position) * share)}"
            flags = ("-n", 200, "--connects", 1, "--topics", count, "--last-event-id", last)
            report = generator.run(running, *flags, "--rate", 0, "--duration", 1)
        return {f"{key}_ms": report["first_event_ms"][key] for key in ("p50", "p99", "max")}

    shares = {"from the middle": 0.5, "from the last thousandth": 0.999}
    turns = {name: functools.partial(measure, share) for name, share in shares.items()}
    return repeat(generator, turns)


def fill(running, events, topics):
    """Publishes NDJSON: the topics in turn."""
    connection = http.client.HTTPConnection("127.0.0.1", running.peer.port, timeout=60)
    lines, padding = 10_000, "x" * 100
    for first in range(0, events, lines):
        numbers = range(first, first + lines)
        # The payload is what the generator takes for an event of another run.
        made = (f'{{"topic":"bench-{n % topics}","data":"~1-0-{n}-0~{padding}"}}' for n in numbers)
        headers = {"Content-Type": "application/x-ndjson"}
        connection.request("POST", "/events", "\n".join(made) + "\n", headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"filling: status {answer.status}: {text[:300]}")
    connection.close()


def publish_one(port, topic):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", f"/events/{topic}", "~1-0-0-0~")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["id"]


def restart(generator, peers):
    """The server is restarted under its subscribers, with 20 events a second: all subscribers
    must reconnect and miss nothing."""
    subscribers = 2000 if generator.quick else 10_000

    def measure(peer):
        with Running(peer) as running:
            flags = ("-n", subscribers, "--rate", 20, "--duration", 25)
            command = generator.command(running, *flags, "--reconnect", "--grace", 15)
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            bench = subprocess.Popen(command, **pipes)
            failed = []

            def again():
                try:
                    time.sleep(6 + subscribers / 5000)
                    running.stop()
                    running.start()
                except RuntimeError as error:
                    failed.append(error)

            thread = threading.Thread(target=again)
            thread.start()
            out, error = bench.communicate(timeout=300)
            thread.join()
        if failed or not out:
            raise RuntimeError(str(failed or error[-500:]))
        report = json.loads(out)
        seen, returns = report["deliveries"], report["returns"]
        return {
            "subscribers": subscribers,
            "returned": returns["returned"],
            "resumed": returns["resumed"],
            "seconds": returns["seconds"],
            "lost": seen["losses"],
            "twice": seen["duplicates"],
            "out_of_order": seen["order_faults"],
            "expected": seen["expected"],
        }

    return repeat(generator, each(peers, measure))


def stalled(generator, peers):
    """1,000 subscribers alone, and beside 1,000 that never read; 50 events a second of 1,000
    bytes: the effect on those that read."""
    def measure(peer):
        # A stalled reader is written to until its socket is full, which takes some seconds.
        flags = ("--rate", 50, "--payload-bytes", 1000, "--warmup", 5)
        with Running(peer) as running:
            alone = generator.run(running, "-n", 1000, *flags)
        with Running(peer) as running:
            report = generator.run(running, "-n", 2000, "--stalled", 1000, *flags)
        process, p99_ms = report["process"], report["deliveries"]["ms"]["p99"]
        grown = process["memory_end_bytes"] - process["memory_connected_bytes"]
        return {
            "alone_p99_ms": alone["deliveries"]["ms"]["p99"],
            "p99_ms": p99_ms,
            "ratio": p99_ms / alone["deliveries"]["ms"]["p99"],
            "memory_growth_mib": grown / 2**20,
            "lost": report["deliveries"]["losses"],
            "faults": faults(report),
        }

    return repeat(generator, each(peers, measure))


def cuts(generator, peers):
    """One subscriber whose connection is reset every 2 s for a minute, 20 events a second: what
    has reached it 15 s after the last cut."""
    seconds = 20 if generator.quick else 60

    def measure(peer):
        row = {"twice": 0}
        for column, client in zip(("npm", "chromium"), peer.clients, strict=True):
            with Running(peer) as running:
                flags = (*running.peer.flags(), "--client", client, "--seconds", str(seconds))
                command = ["node", str(BENCH / "cuts/measure.js"), *flags]
                done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                raise RuntimeError(f"{peer.title}: {client}: {done.stderr.strip()[-500:]}")
            report = json.loads(done.stdout)
            row[f"{column}_percent"] = 100 * report["share"]
            row["twice"] += report["twice"]
        return row

    return repeat(generator, each(peers, measure))


def each(peers, measure):
    """The turn of each server in a round."""
    return {name: functools.partial(measure, peer) for name, peer in peers.items()}


def repeat(generator, turns):
    """The middle of the rounds. A round is all turns, so that all get the same weather."""
    rounds = [{name: turn() for name, turn in turns.items()} for _ in range(generator.rounds)]
    rows = {}
    for name in turns:
        found = [one[name] for one in rounds]
        rows[name] = {key: middle([row[key] for row in found]) for key in found[0]}
        # Of these the sum.
        rows[name]["faults"] = sum(row.get("faults", 0) for row in found)
    return rows


def middle(values):
    if not all(isinstance(value, (int, float)) for value in values):
        return values[0]
    return statistics.median(values)


def faults(report):
    """Everything that should not have happened, over the whole run."""
    total = (report["publish"] or {}).get("unknown", 0)
    if report["deliveries"]:
        names = ("losses", "duplicates", "order_faults", "strays")
        total += sum(report["deliveries"][name] for name in names)
    return total


# Name: what does it, for which servers, and the measures: key, title, unit, which way is better.
OURS = ("tidings",)
ALL = ("floor", "tidings", "nchan", "durable-streams", "express", "mercure", "centrifugo")
HUBS = ALL[1:]
PUBLISHING = [
    ("publishes_per_second", "Publishes, 64 connections", "per second", "more"),
    ("p50_ms", "Answer p50", "ms", "less"),
    ("p99_ms", "Answer p99", "ms", "less"),
    ("us", "CPU per publish", "µs", "less"),
    ("durability", "Durability", "", ""),
]
DELIVERED = [
    *PUBLISHING[:-1],
    ("deliveries_per_second", "Deliveries meanwhile", "per second", "more"),
    ("lost_share", "Share of the deliveries that never came", "", "less"),
    PUBLISHING[-1],
]
SCENARIOS = {
    "fan-out": (fan_out, ALL, [
        ("floors_5", "CPU per delivery, 5 events/s", "× the floor", "less"),
        ("floors_10", "CPU per delivery, 10 events/s", "× the floor", "less"),
        ("us_10", "CPU per delivery, 10 events/s", "µs", "less"),
    ]),
    "flat-out": (flat_out, ALL, [
        ("deliveries_per_second", "Deliveries, one publisher flat out", "per second", "more"),
        ("p99_ms", "Latency p99, one publisher flat out", "ms", "less"),
        ("lost_share", "Share of the events lost", "", "less"),
    ]),
    "latency": (latency, ALL, [
        ("p50_ms", "Latency p50, 50 events/s", "ms", "less"),
        ("p99_ms", "Latency p99, 50 events/s", "ms", "less"),
    ]),
    "memory": (memory, HUBS, [("bytes", "Memory per idle subscriber", "bytes", "less")]),
    # Not Durable Streams: a file for each stream and one for each socket are more than the 20,000
    # of a process here.
    "topics": (topics, ("tidings", "nchan", "mercure", "centrifugo"), [
        ("publishes_per_second", "Publishes over 18,000 topics", "per second", "more"),
        ("p99_ms", "Latency p99 over 18,000 topics", "ms", "less"),
        ("durability", "Durability", "", ""),
    ]),
    "publish": (publish_to(0, "no subscribers"), HUBS, PUBLISHING),
    "publish-one": (publish_to(1, "one subscriber of the topic"), HUBS, PUBLISHING),
    "publish-many": (publish_to(1000, "1,000 subscribers of the topic"), HUBS, DELIVERED),
    "publish-many-paced": (
        publish_to(1000, "1,000 subscribers of the topic", 1000), HUBS, DELIVERED),
    "sequential": (sequential, ("floor", *HUBS), [
        ("p50_ms", "Answer p50, one connection", "ms", "less"),
        ("p99_ms", "Answer p99, one connection", "ms", "less"),
    ]),
    "stream": (stream, OURS, [
        ("events_per_second", "Durable events as NDJSON", "per second", "more"),
    ]),
    "independence": (independence, OURS, [
        ("us", "CPU per publish beside others", "µs", "less"),
        ("publishes_per_second", "Publishes beside others", "per second", "more"),
    ]),
    "resume": (resume, OURS, [
        ("p50_ms", "First missed event p50", "ms", "less"),
        ("p99_ms", "First missed event p99", "ms", "less"),
    ]),
    "restart": (restart, OURS, [
        ("subscribers", "Subscribers", "", ""),
        ("returned", "Came back", "", "more"),
        ("seconds", "All back within", "s", "less"),
        ("lost", "Events lost", "", "less"),
        ("twice", "Events twice", "", "less"),
    ]),
    "stalled": (stalled, ("tidings", "nchan", "durable-streams", "express"), [
        ("alone_p99_ms", "Latency p99 without stalled readers", "ms", "less"),
        ("p99_ms", "Latency p99 beside stalled readers", "ms", "less"),
        ("memory_growth_mib", "Memory growth beside stalled readers", "MiB", "less"),
        ("lost", "Events lost", "", "less"),
    ]),
    "cuts": (cuts, ("tidings", "nchan", "express", "socketio", "mercure", "centrifugo"), [
        ("npm_percent", "Delivered, npm's client", "%", "more"),
        ("chromium_percent", "Delivered, in Chromium", "%", "more"),
        ("twice", "Events twice", "", "less"),
    ]),
}  # fmt: skip
