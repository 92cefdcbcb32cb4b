"""A device in another language: one session against a real server, as docs/wire.md has it.

    python3 device.py --config agent.toml --deployment N [--fail]

It has no scripts and no disk: it fetches and proves the release of deployment N, says so
step by step, and ends when its outcome is acknowledged. One line of JSON says what it did.
"""

import argparse
import json
import os
import socket
import struct
import sys
import tomllib
import urllib.request
from urllib.parse import urlsplit

import wire


class Mqtt:
    """MQTT 3.1.1, as much of it as a device needs."""

    def __init__(self, url, device, token, will):
        address = urlsplit(url)
        self.stream = socket.create_connection((address.hostname, address.port or 1883), 30)
        self.packet = 0
        self.waiting = []
        topic, payload = will
        # User name, password, retained will at QoS 1, clean session.
        flags, keep_alive = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02, 60
        spec = self.text(b"MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive)
        texts = [device.encode(), topic.encode(), payload, device.encode(), token.encode()]
        self.send(0x10, spec + b"".join(map(self.text, texts)))
        kind, answer = self.receive()
        if kind != 0x20 or answer[1] != 0:
            raise SystemExit(f"the server refuses the connection: {answer.hex()}")

    @staticmethod
    def text(data):
        return struct.pack(">H", len(data)) + data

    def send(self, kind, body):
        self.stream.sendall(bytes([kind]) + wire.U32[1](len(body)) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.stream.recv(count - len(data))
            if not part:
                raise SystemExit("the server closed the connection")
            data += part
        return data

    def receive(self):
        kind = self.exactly(1)[0]
        length = shift = 0
        while True:
            byte = self.exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, self.exactly(length)

    def next_packet(self):
        self.packet += 1
        return struct.pack(">H", self.packet)

    def subscribe(self, topic):
        number = self.next_packet()
        self.send(0x82, number + self.text(topic.encode()) + b"\1")
        answer = self.until(lambda kind, body: kind == 0x90 and body[:2] == number)
        if answer[2] & 0x80:
            raise SystemExit(f"the server refuses a subscription to {topic}")

    def publish(self, topic, payload):
        """Retained, and acknowledged when this returns."""
        number = self.next_packet()
        self.send(0x33, self.text(topic.encode()) + number + payload)
        self.until(lambda kind, body: kind == 0x40 and body == number)

    def until(self, wanted):
        while True:
            kind, body = self.receive()
            if kind >> 4 == 3:
                self.arrived(kind, body)
            elif wanted(kind, body):
                return body

    def arrived(self, kind, body):
        (length,) = struct.unpack(">H", body[:2])
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if kind & 0x06:
            self.send(0x40, rest[:2])
            rest = rest[2:]
        self.waiting.append((topic, rest))

    def message(self, topic):
        """The next message on a topic that is not a deletion."""
        while True:
            for at, (arrived, payload) in enumerate(self.waiting):
                if arrived == topic and payload:
                    del self.waiting[at]
                    return payload
            kind, body = self.receive()
            if kind >> 4 == 3:
                self.arrived(kind, body)


class Device:
    def __init__(self, config):
        self.config = config
        self.id = config["device"]
        self.base = config.get("namespace", "hoist")
        # It lives for one session, so its numbers begin where nobody was before.
        self.session = self.seq = 1
        self.ended = 0
        # The device makes its key; the first that the server hears of is pinned.
        self.key = wire.private_key(os.urandom(32))
        self.public = list(wire.public_bytes(self.key))

    def topic(self, letter):
        return f"{self.base}/{letter}/{wire.shard(self.id)}/{self.id}"

    def presence(self, state):
        return wire.encode("Presence", {"state": state, "session": self.session})

    def connect(self):
        will = (self.topic("p"), self.presence("Offline"))
        self.mqtt = Mqtt(self.config["broker"], self.id, self.config["token"], will)
        self.mqtt.publish(self.topic("p"), self.presence("Online"))
        root = f"{self.base}/k/{self.config.get('root_number', 1)}"
        self.mqtt.subscribe(root)
        pin = bytes.fromhex(self.config["root_sha256"])
        self.root = wire.open_root(self.mqtt.message(root), pin)

    def spec(self, of, topic):
        keys = wire.keys_of(self.root, "Orchestrator")
        return wire.open_sealed(of, keys, topic, self.mqtt.message(topic))[0]

    def join(self):
        """Waits for a DeviceSpec that names this device's key; says it until one does."""
        own = f"{self.base}/d/{self.id}"
        self.mqtt.subscribe(own)
        spec = self.spec("DeviceSpec", own)
        self.say_info(spec)
        while spec["public_key"] != self.public:
            spec = self.spec("DeviceSpec", own)
        return spec

    def say_info(self, spec, inventory=()):
        info = {
            "agent": "python",
            "device_type": self.config.get("type", ""),
            "attributes": [],
            "inventory": list(inventory),
            "floor": 0,
            "public_key": None if spec["public_key"] == self.public else self.public,
            "stored_spec": None,
            "trouble": None,
        }
        self.mqtt.publish(self.topic("i"), wire.encode("DeviceInfo", info))

    def entry(self, own, deployment):
        """Waits until the spec of the group lists the deployment and admits this device."""
        topic = f"{self.base}/g/{own['group']}"
        self.mqtt.subscribe(topic)
        while True:
            spec = self.spec("GroupSpec", topic)
            for entry in spec["entries"]:
                wanted = entry["deployment"] == deployment
                if wanted and wire.admits(entry, own, self.id):
                    return entry, spec["source"] or self.config["artifacts"]

    def say(self, entry, step=None, outcomes=()):
        place = {"deployment": entry["deployment"], "round": entry["round"], "attempt": 1}
        status = {
            "seq": self.seq,
            "ended": self.ended,
            "running": None if step is None else place | {"step": step},
            "outcomes": [place | {"result": result} for result in outcomes],
        }
        self.seq += 1
        topic = self.topic("s")
        self.mqtt.publish(topic, wire.seal_status(status, self.key, topic))

    def fetch(self, entry, source):
        release_id = bytes(entry["release"])
        topic = f"{self.base}/r/{release_id.hex()}"
        self.mqtt.subscribe(topic)
        keys = wire.keys_of(self.root, "Release")
        sealed = self.mqtt.message(topic)
        release, body = wire.open_sealed("ReleaseManifest", keys, topic, sealed)
        assert wire.content_id(body) == release_id, "its id is its hash"
        artifacts = []
        for reference in release["artifacts"]:
            name = wire.content_id_of_hash(reference["hash"])
            with urllib.request.urlopen(f"{source}/{name}", timeout=30) as answer:
                data = answer.read()
            assert len(data) == reference["size"], "as long as the release says"
            artifacts.append(wire.artifact_file(data, reference["hash"]))
        return release, artifacts


def run(arguments):
    with open(arguments.config, "rb") as file:
        device = Device(tomllib.load(file))
    device.connect()
    own = device.join()
    entry, source = device.entry(own, arguments.deployment)
    device.say(entry, {"Downloading": 0})
    release, artifacts = device.fetch(entry, source)
    device.say(entry, "Downloaded")
    device.say(entry, "Installing")
    failure = {
        "reason": "ScriptFailed",
        "artifact": 0,
        "script": {"kind": "Verify", "exit": {"Code": 7}},
        "rollback": "Succeeded",
        "output": list(b"it did not work"),
    }
    result = {"Failed": failure} if arguments.fail else {"Successful": "Installed"}
    device.ended = 1
    device.say(entry, outcomes=[result])
    if not arguments.fail:
        installed = [
            {"name": manifest["name"], "version": manifest["version"], "counter": release["counter"]}
            for manifest, _ in artifacts
        ]
        device.say_info(own, installed)
    contents = [content for _, contents in artifacts for content in contents]
    done = {
        "device": device.id,
        "release": f"{release['name']}@{release['version']}",
        "payloads": len(contents),
        "bytes": sum(map(len, contents)),
    }
    print(json.dumps(done))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--deployment", type=int, required=True)
    parser.add_argument("--fail", action="store_true", help="say that verify failed")
    run(parser.parse_args(sys.argv[1:]))
