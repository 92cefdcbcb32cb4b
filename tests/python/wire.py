"""The messages of docs/wire.md, written from that document alone.

Standard library, and `cryptography` for Ed25519. A type is a pair of functions, read and
write; reading is strict: what is not canonical, out of bounds or left over is refused with
the code of the document.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Refused(Exception):
    """A payload that must not be believed, with its code."""

    def __init__(self, code, why):
        super().__init__(f"{code}: {why}")
        self.code = code


def require(holds, why):
    if not holds:
        raise Refused("E_DECODE", why)


def sha256(data):
    return hashlib.sha256(data).digest()


def content_id(body):
    return sha256(body)[:16]


def content_id_of_hash(digest):
    """The id of an artifact by the hash of its manifest, as its file is called."""
    return bytes(digest)[:16].hex()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(count <= len(self.data) - self.at, "it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]


# --- types: (read(reader) -> value, write(value) -> bytes) ---


def varint(bits):
    def read(reader):
        value = shift = 0
        while True:
            byte = reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            require(shift < bits, "a number too long")
        require(value < 1 << bits, "a number too large")
        return value

    def write(value):
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)

    return read, write


U16, U32, U64 = varint(16), varint(32), varint(64)
U8 = (lambda reader: reader.take(1)[0], lambda value: bytes([value]))


def _read_bool(reader):
    byte = U8[0](reader)
    require(byte < 2, "a bool that is neither")
    return byte == 1


BOOL = (_read_bool, lambda value: bytes([value]))


def _read_bytes(reader):
    return list(reader.take(U64[0](reader)))


def _read_text(reader):
    try:
        return reader.take(U64[0](reader)).decode()
    except UnicodeDecodeError:
        raise Refused("E_DECODE", "not UTF-8") from None


BYTES = (_read_bytes, lambda value: U64[1](len(value)) + bytes(value))
TEXT = (_read_text, lambda value: U64[1](len(value.encode())) + value.encode())


def fixed(count):
    return (lambda reader: list(reader.take(count)), bytes)


def listed(of):
    def read(reader):
        count = U64[0](reader)
        require(count <= len(reader.data) - reader.at, "a list longer than the message")
        return [of[0](reader) for _ in range(count)]

    return read, lambda value: U64[1](len(value)) + b"".join(map(of[1], value))


def option(of):
    def read(reader):
        return of[0](reader) if _read_bool(reader) else None

    return read, lambda value: b"\0" if value is None else b"\1" + of[1](value)


def pair(first, second):
    def read(reader):
        return [first[0](reader), second[0](reader)]

    return read, lambda value: first[1](value[0]) + second[1](value[1])


def record(**fields):
    def read(reader):
        return {name: of[0](reader) for name, of in fields.items()}

    def write(value):
        return b"".join(of[1](value[name]) for name, of in fields.items())

    return read, write


def variants(*cases):
    """An enum: a name, or a pair of a name and the type of its one field."""
    cases = [case if isinstance(case, tuple) else (case, None) for case in cases]
    names = [name for name, _ in cases]

    def read(reader):
        number = U32[0](reader)
        if number >= len(cases):
            raise Refused("E_VERSION", "a variant of a newer version")
        name, of = cases[number]
        return name if of is None else {name: of[0](reader)}

    def write(value):
        name = value if isinstance(value, str) else next(iter(value))
        number = names.index(name)
        of = cases[number][1]
        return U32[1](number) + (b"" if of is None else of[1](value[name]))

    return read, write


ID, HASH = fixed(16), fixed(32)
PAIRS = listed(pair(TEXT, TEXT))

AUDIENCE = variants(("Below", U32), ("Ordered", record(line=U32, order=U32)))
WINDOW = record(start_minute=U16, minutes=U16)
POLICY_START = record(attempts=U32, timeout_s=U32, windows=listed(WINDOW), flags=U8)
# Fields that follow when their flag is set.
POLICY_MORE = {8: "max_overrun_s", 16: "confirm_online_s"}


def _read_policy(reader):
    policy = POLICY_START[0](reader)
    if policy["flags"] > 63:
        raise Refused("E_VERSION", "a flag of a newer version")
    for flag, name in POLICY_MORE.items():
        if policy["flags"] & flag:
            policy[name] = U32[0](reader)
            require(policy[name] > 0, "a flag for nothing")
    return policy


def _write_policy(policy):
    more = [U32[1](policy[name]) for name in POLICY_MORE.values() if name in policy]
    return POLICY_START[1](policy) + b"".join(more)


POLICY = (_read_policy, _write_policy)
DEPLOYMENT_SPEC = record(deployment=U32, release=ID, round=U32, audience=AUDIENCE, policy=POLICY)
REASON = variants(
    "ScriptFailed", "ScriptTimeout", "TimedOut", "Unreachable", "BadSignature", "HashMismatch",
    "LengthMismatch", "BadArchive", "Incompatible", "Downgrade", "MissingDependency", "NoSpace",
    "StorageFailed", "DownloadFailed", "RebootFailed", "Interrupted", "RollbackFailed",
    "Superseded", "StateLost", "Unsupported", "BadRelease", "Unconfirmed",
)  # fmt: skip
SCRIPT_KIND = variants("PreInstall", "Install", "PostInstall", "Verify", "Rollback")
SCRIPT_EXIT = variants(("Code", U8), ("Signal", U8), "Timeout", "NotStarted", "Interrupted")
RETRY_CAUSE = variants(
    ("Http", U16), "NameNotFound", "Unreachable", "Cut", "Silent",
    ("Later", SCRIPT_KIND), ("Failed", REASON), "Window",
)  # fmt: skip
STEP = variants(
    ("Downloading", U8), "Downloaded", "Installing", "Rebooting", "Retrying",
    ("RetryingAfter", RETRY_CAUSE),
)  # fmt: skip
ROLLBACK = variants("NotNeeded", "Succeeded", "Failed")
FAILURE = record(
    reason=REASON,
    artifact=option(U8),
    script=option(record(kind=SCRIPT_KIND, exit=SCRIPT_EXIT)),
    rollback=ROLLBACK,
    output=BYTES,
)
RESULT = variants(("Successful", variants("Installed", "Already")), ("Failed", FAILURE))
OUTCOME = record(deployment=U32, round=U32, attempt=U32, result=RESULT)
PROGRESS = record(deployment=U32, round=U32, attempt=U32, step=STEP)
ENROLL_TEXT = dict(
    namespace=TEXT, mqtt=TEXT, artifacts=TEXT, ca=listed(BYTES), root_sha256=HASH, claim=TEXT,
    secret=HASH,
)  # fmt: skip
INSTALLED = record(name=TEXT, version=TEXT, counter=U64)
PAYLOAD_KIND = variants("File", "Executable", "Script", ("FileMode", U16))
PAYLOAD = record(
    kind=PAYLOAD_KIND, target=TEXT, size=U64, hash=HASH, segment_size=U32, index_hash=HASH
)
SCRIPT = record(kind=SCRIPT_KIND, payload=U8, timeout_s=U32, attempts=U8, idempotent=BOOL)
TROUBLE = variants("RootNotTrusted", "SignerNotTrusted", "KeyNotAccepted", "CannotExecute", "Held")
INFO = dict(
    agent=TEXT, device_type=TEXT, attributes=PAIRS, inventory=listed(INSTALLED), floor=U64,
    public_key=option(HASH), stored_spec=option(BYTES),
)  # fmt: skip


# --- bounds ---


def _short(text, limit=64):
    require(len(text.encode()) <= limit, "a text too long")


def _full(text):
    _short(text)
    require(text and text.isprintable(), "a text empty or not printable")


def _group_spec(spec):
    require(len(spec["entries"]) <= 8, "more than 8 entries")
    _short(spec["source"] or "", 128)
    for entry in spec["entries"]:
        policy = entry["policy"]
        require(policy["attempts"] >= 1, "a policy without attempts")
        require(len(policy["windows"]) <= 7, "more than 7 windows")
        for window in policy["windows"]:
            sound = window["start_minute"] < 10_080 and window["minutes"] >= 1
            require(sound, "a window outside the week")


def _device_spec(spec):
    require(len(spec["labels"]) <= 16, "more than 16 labels")
    for of in ("holds", "rounds", "permits"):
        require(len(spec[of]) <= 8, f"more than 8 {of}")


def _status(status):
    require(len(status["outcomes"]) <= 64, "more than 64 outcomes")
    step = (status["running"] or {}).get("step")
    if isinstance(step, dict) and "Downloading" in step:
        require(step["Downloading"] <= 100, "more than 100 percent")
    for outcome in status["outcomes"]:
        failure = outcome["result"].get("Failed")
        require(not failure or len(failure["output"]) <= 256, "more than 256 bytes of output")


def _info(info):
    _short(info["agent"])
    _short(info["device_type"])
    require(len(info["attributes"]) <= 32 and len(info["inventory"]) <= 32, "a list too long")
    require(len(info["stored_spec"] or []) <= 5_000, "a stored spec too long")


def _release(release):
    _full(release["version"])
    require(1 <= len(release["artifacts"]) <= 16, "no artifact, or more than 16")
    hashes = [tuple(artifact["hash"]) for artifact in release["artifacts"]]
    require(len(set(hashes)) == len(hashes), "an artifact named twice")
    require(release["floor"] <= release["counter"], "a floor above the counter")


def _artifact(artifact):
    _full(artifact["version"])
    payloads, scripts = artifact["payloads"], artifact["scripts"]
    require(len(payloads) <= 128, "more than 128 payloads")
    seen = []
    for payload in payloads:
        target = payload["target"]
        inside = target and not any(part in ("", ".", "..") for part in target.split("/"))
        require(inside and not set(target) & set("\\:"), "a path that leads outside")
        require(payload["segment_size"] >= 1, "segments of no size")
        path = target.lower() + "/"
        clash = any(path.startswith(other) or other.startswith(path) for other in seen)
        require(not clash, "paths that collide")
        seen.append(path)
    kinds = [script["kind"] for script in scripts]
    require(len(set(kinds)) == len(kinds), "two scripts of one kind")
    require({"Install", "Rollback"} <= set(kinds), "no install or no rollback")


def _root(root):
    require(root["number"] >= 1 and root["threshold"] >= 1, "numbers and threshold begin at 1")


# --- messages: versions, largest size, fields, bounds ---


def message(limit, fields, bounds=lambda _: None, newest=1, older=None):
    return dict(limit=limit, fields=fields, bounds=bounds, newest=newest, older=older)


MESSAGES = {
    "GroupSpec": message(
        1_500,
        record(
            generation=U64, valid_for_s=U32, resync=U32, spread_s=U32,
            source=option(TEXT), entries=listed(DEPLOYMENT_SPEC),
        ),
        _group_spec,
    ),
    "DeviceSpec": message(
        5_000,
        record(
            generation=U64, group=TEXT, labels=PAIRS, resync=U32, holds=listed(U32),
            rounds=listed(pair(U32, U32)), permits=listed(pair(U32, U32)),
            public_key=option(HASH),
        ),
        _device_spec,
    ),
    "DeviceStatus": message(
        4_096,
        record(seq=U64, ended=U32, running=option(PROGRESS), outcomes=listed(OUTCOME)),
        _status,
    ),
    "Presence": message(16, record(state=variants("Offline", "Online"), session=U64)),
    "DeviceInfo": message(
        16_384,
        record(**INFO, trouble=option(TROUBLE)),
        _info,
        newest=2,
        older=(record(**INFO), {"trouble": None}),
    ),
    "ReleaseManifest": message(
        8_192,
        record(
            name=TEXT, version=TEXT, counter=U64, floor=U64, device_types=listed(TEXT),
            attributes=PAIRS, artifacts=listed(record(size=U64, hash=HASH)),
        ),
        _release,
    ),
    "ArtifactManifest": message(
        65_536,
        record(
            name=TEXT, version=TEXT, artifact_type=TEXT, provides=PAIRS, depends=PAIRS,
            payloads=listed(PAYLOAD), scripts=listed(SCRIPT), reboot=BOOL, disk_need=U64,
        ),
        _artifact,
    ),
    "RootDocument": message(
        4_096,
        record(
            number=U32, namespace=TEXT, issued=U64, expires_s=U64, threshold=U8,
            keys=listed(record(role=variants("Root", "Release", "Orchestrator"), key=HASH)),
        ),
        _root,
    ),
    "EnrollRequest": message(
        512,
        record(
            device=TEXT, key=HASH, nonce=ID, device_type=TEXT,
            claim=option(record(claim=TEXT, proof=HASH)),
        ),
        lambda request: _short(request["device_type"]),
    ),
    "EnrollAnswer": message(
        16_384,
        record(
            nonce=ID,
            result=variants(
                ("Certificate", listed(BYTES)),
                ("Refused", record(code=TEXT, detail=TEXT, hint=TEXT, waits=BOOL)),
            ),
        ),
    ),
    "EnrollText": message(
        16_384,
        record(**ENROLL_TEXT, root_number=U32),
        newest=2,
        older=(record(**ENROLL_TEXT), {"root_number": 1}),
    ),
}  # fmt: skip


def encode(of, value):
    spec = MESSAGES[of]
    return bytes([spec["newest"]]) + spec["fields"][1](value)


def decode_prefix(of, data):
    """A message at the start of the bytes, its body, and what follows it."""
    spec = MESSAGES[of]
    require(data, "nothing")
    require(len(data) <= spec["limit"], "too large")
    fields, more = spec["fields"], {}
    if spec["older"] and data[0] == spec["newest"] - 1:
        fields, more = spec["older"]
    elif data[0] != spec["newest"]:
        raise Refused("E_VERSION", f"version {data[0]}")
    reader = Reader(data[1:])
    value = fields[0](reader)
    body = data[: 1 + reader.at]
    require(fields[1](value) == body[1:], "not canonical")
    value |= more
    spec["bounds"](value)
    return value, body, data[len(body) :]


def decode(of, data):
    value, _, rest = decode_prefix(of, data)
    require(not rest, "bytes after the message")
    return value


# --- signatures ---

KINDS = {
    "GroupSpec": 1, "DeviceSpec": 2, "ReleaseManifest": 3, "RootDocument": 4, "DeviceStatus": 5,
    "EnrollRequest": 6,
}  # fmt: skip


def signed_bytes(of, scope, body):
    return b"hoist/v1" + bytes([KINDS[of]]) + scope.encode() + b"\0" + body


def private_key(seed):
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_bytes(key):
    return key.public_key().public_bytes_raw()


def verify(key, of, scope, body, signature):
    try:
        Ed25519PublicKey.from_public_bytes(bytes(key)).verify(
            bytes(signature), signed_bytes(of, scope, body)
        )
    except InvalidSignature:
        raise Refused("E_SIG", "the signature does not verify") from None


def open_sealed(of, keys, topic, data):
    """A sealed message by one of the trusted keys, and its body."""
    value, body, rest = decode_prefix(of, data)
    require(len(rest) == 68, "no seal")
    trusted = [key for key in keys if sha256(bytes(key))[:4] == rest[:4]]
    if not trusted:
        raise Refused("E_SIG", "signed by a key that is not trusted for this")
    scope = "" if of == "ReleaseManifest" else topic
    verify(trusted[0], of, scope, body, rest[4:])
    return value, body


def root_signers(roots, body, seals, others):
    """The keys among these that signed a root document, each once."""
    require(seals and len(seals) % 68 == 0, "no seal")
    signers = set()
    for at in range(0, len(seals), 68):
        seal = seals[at : at + 68]
        trusted = [key for key in roots if sha256(bytes(key))[:4] == seal[:4]]
        if trusted:
            verify(trusted[0], "RootDocument", "", body, seal[4:])
            signers.add(bytes(trusted[0]))
        elif others == "refused":
            raise Refused("E_SIG", "signed by a key that is no root key")
    return signers


def has_enough(root, signers):
    roots = {bytes(key) for key in keys_of(root, "Root")}
    return len(roots & signers) >= root["threshold"]


def open_root(data, pin):
    """The first root document, by the pinned hash of its body."""
    value, body, rest = decode_prefix("RootDocument", data)
    if sha256(body) != pin:
        raise Refused("E_SIG", "not the pinned root document")
    signers = root_signers(keys_of(value, "Root"), body, rest, "passed over")
    if not has_enough(value, signers):
        raise Refused("E_SIG", "too few signatures")
    return value


def open_next_root(root, data, now_s):
    """The root document after a trusted one, signed by the keys of both."""
    value, body, rest = decode_prefix("RootDocument", data)
    if value["namespace"] != root["namespace"]:
        raise Refused("E_ROOT_NAMESPACE", "of another namespace")
    if value["number"] <= root["number"]:
        raise Refused("E_ROOT_OLD", "not newer")
    if value["number"] != root["number"] + 1:
        raise Refused("E_ROOT_SKIPPED", "one between is missing")
    roots = keys_of(root, "Root") + keys_of(value, "Root")
    signers = root_signers(roots, body, rest, "refused")
    if not (has_enough(root, signers) and has_enough(value, signers)):
        raise Refused("E_ROOT_SIGNATURES", "too few root keys of one of the two signed")
    if 0 < value["expires_s"] <= now_s:
        raise Refused("E_ROOT_EXPIRED", "it is over")
    return value


def keys_of(root, role):
    return [entry["key"] for entry in root["keys"] if entry["role"] == role]


def seal_status(status, key, topic):
    body = encode("DeviceStatus", status)
    if not status["outcomes"]:
        return body
    return body + key.sign(signed_bytes("DeviceStatus", topic, body))


def open_status(key, topic, data):
    status, body, rest = decode_prefix("DeviceStatus", data)
    if rest:
        require(status["outcomes"] and len(rest) == 64, "bytes after the status")
        verify(key, "DeviceStatus", topic, body, rest)
    elif status["outcomes"]:
        raise Refused("E_SIG", "an outcome without signature")
    return status


def open_request(topic, data):
    request, body, rest = decode_prefix("EnrollRequest", data)
    require(len(rest) == 64, "no signature")
    verify(request["key"], "EnrollRequest", topic, body, rest)
    return request


def claim_proof(secret, topic, request):
    """The proof that somebody who has the claim wants a certificate for this key."""
    said = b"request\0" + topic.encode() + b"\0" + bytes(request["key"]) + bytes(request["nonce"])
    return list(hmac.digest(bytes(secret), said, "sha256"))


# --- files ---


def segments_of(payload):
    return -(-payload["size"] // payload["segment_size"])


def artifact_file(data, expected=None):
    """Manifest of an artifact file and the proven content of each payload, where it is all
    there; only the start may be given. `expected` is the hash in the release manifest."""

    def part(start, count):
        if start + count > len(data):
            raise Refused("E_LENGTH", "the file ends too early")
        return data[start : start + count]

    (length,) = struct.unpack("<I", part(0, 4))
    body = part(4, length)
    if expected is not None and sha256(body) != bytes(expected):
        raise Refused("E_HASH", "another artifact manifest")
    manifest = decode("ArtifactManifest", body)
    at = 4 + length
    index = []
    for payload in manifest["payloads"]:
        entries = []
        for number in range(segments_of(payload)):
            stored, encoding = struct.unpack("<IB", part(at, 5))
            if encoding != 0:
                raise Refused("E_VERSION", "an encoding of a newer version")
            entries.append((stored, part(at + 5, 32)))
            at += 37
        if sha256(b"".join(entry for _, entry in entries)) != bytes(payload["index_hash"]):
            raise Refused("E_HASH", "another segment index")
        for number, (stored, _) in enumerate(entries):
            left = payload["size"] - number * payload["segment_size"]
            if stored != min(left, payload["segment_size"]):
                raise Refused("E_LENGTH", "a raw segment of another length")
        index.append(entries)
    contents = []
    for payload, entries in zip(manifest["payloads"], index):
        content = b""
        for stored, expected_hash in entries:
            segment = part(at, stored)
            at += stored
            if sha256(segment) != expected_hash:
                raise Refused("E_HASH", "a segment that is not as signed")
            content += segment
        if sha256(content) != bytes(payload["hash"]):
            raise Refused("E_HASH", "a payload that is not as signed")
        contents.append(content)
    return manifest, contents


def bundle(data):
    """The sealed release manifest at the start of a .hoist file, and what follows it."""
    require(data[:8] == b"HOISTPK1", "not a .hoist file")
    (length,) = struct.unpack("<I", data[8:12])
    return data[12 : 12 + length], data[12 + length :]


# --- topics and order ---


def shard(device):
    return sha256(device.encode())[:1].hex()


def hash32(deployment, device):
    return int.from_bytes(sha256(deployment.to_bytes(4, "big") + device.encode())[:4], "big")


def round_of(own, entry):
    """The round in which the device of this spec is to carry an entry out."""
    rounds = [round for deployment, round in own["rounds"] if deployment == entry["deployment"]]
    return max([entry["round"], *rounds])


def admits(entry, own, device):
    """True if the entry admits the device of this spec, which no hold keeps from it."""
    if {0, entry["deployment"]} & set(own["holds"]):
        return False
    if any(
        deployment == entry["deployment"] and up_to >= round_of(own, entry)
        for deployment, up_to in own["permits"]
    ):
        return True
    audience = entry["audience"]
    order = entry["deployment"]
    line = audience.get("Below")
    if line is None:
        line, order = audience["Ordered"]["line"], audience["Ordered"]["order"]
    return line == 0xFFFF_FFFF or hash32(order, device) < line
