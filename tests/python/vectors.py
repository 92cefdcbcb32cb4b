"""Every vector decodes to its value and back to its bytes; what is refused has its code.

    python3 vectors.py FILE
"""

import json
import sys

import wire


def exact(value):
    """Numbers above 2^53 are strings in the file."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return str(value) if value > 1 << 53 else value
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    return value


class Reader:
    """Reads payloads with the keys of the file's seeds."""

    def __init__(self, seeds, root, pin):
        self.keys = {role: wire.private_key(bytes([seed] * 32)) for role, seed in seeds.items()}
        self.root = root
        self.pin = pin

    def public(self, role):
        return wire.public_bytes(self.keys[role])

    def read(self, of, topic, payload):
        if of in ("GroupSpec", "DeviceSpec"):
            return wire.open_sealed(of, [self.public("orchestrator")], topic, payload)[0]
        if of == "ReleaseManifest":
            if payload.startswith(b"HOISTPK1"):
                payload, _ = wire.bundle(payload)
            value, body = wire.open_sealed(of, [self.public("release")], topic, payload)
            if topic:
                assert topic.endswith(wire.content_id(body).hex()), "its id is its hash"
            return value
        if of == "RootDocument" and not topic.endswith("/k/2"):
            return wire.open_root(payload, self.pin)
        if of in ("RootDocument", "RootDocument after it"):
            return wire.open_next_root(self.root, payload, 1_800_000_000)
        if of == "DeviceStatus":
            return wire.open_status(self.public("device"), topic, payload)
        if of == "EnrollRequest":
            return wire.open_request(topic, payload)
        if of == "artifact file":
            return wire.artifact_file(payload)[0]
        return wire.decode(of, payload)

    def write(self, of, topic, value):
        """The payload again, where this side writes it."""
        if of == "DeviceStatus":
            return wire.seal_status(value, self.keys["device"], topic)
        return wire.encode(of, value)


def main(path):
    with open(path) as file:
        vectors = json.load(file)
    documents = [v for v in vectors["vectors"] if v["type"] == "RootDocument"]
    root, body, _ = wire.decode_prefix("RootDocument", bytes.fromhex(documents[0]["payload"]))
    reader = Reader(vectors["seeds"], root, wire.sha256(body))
    for vector in vectors["vectors"]:
        of = "artifact file" if vector["type"] == "ArtifactManifest" else vector["type"]
        topic, payload = vector["topic"], bytes.fromhex(vector["payload"])
        value = reader.read(of, topic, payload)
        assert exact(value) == vector["message"], vector["name"]
        said_now = of in ("DeviceStatus", "Presence", "DeviceInfo")
        if said_now and payload[0] == wire.MESSAGES[of]["newest"]:
            assert reader.write(of, topic, value) == payload, vector["name"]
    by_type = {vector["type"]: vector["message"] for vector in vectors["vectors"]}
    for vector in vectors["vectors"]:
        request, secret = vector["message"], by_type["EnrollText"]["secret"]
        if vector["type"] == "EnrollRequest" and request["claim"]:
            proof = wire.claim_proof(secret, vector["topic"], request)
            assert proof == request["claim"]["proof"], vector["name"]
    for case in vectors["hashes"]:
        assert wire.hash32(case["deployment"], case["device"]) == case["hash32"], case
        assert wire.shard(case["device"]) == case["shard"], case
    for case in vectors["refused"]:
        try:
            reader.read(case["type"], case["topic"], bytes.fromhex(case["payload"]))
        except wire.Refused as refused:
            assert refused.code == case["code"], (case["name"], refused)
        else:
            raise AssertionError(f"{case['name']} was believed")
    counts = {name: len(vectors[name]) for name in ("vectors", "hashes", "refused")}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
