#!/usr/bin/env python3
"""Reads frames of AFP/1: an implementation of its own, from the text of docs/protocol.md alone.

Each line of the input is a file of test vectors as that text describes them, in JSON. For each comes a line with a list:
of every case what it says, {"value": ...}, or why it is refused, {"refused": reason}.

Needs Python 3.9 and the packages cryptography and cbor2.
"""

import json
import sys
from urllib.parse import quote

from afp_keys import agent_id, agrees, check_signature, nonce_of, open_sealed, open_shared, public_key_of, read_opening, sha256
from afp_message import read_message, uuid_text
from afp_values import MAX_ITEMS, Refused, decode, encode, is_bytes, is_list, is_name, is_text, is_uint, items, require

MAX_NUMBER = 2**48 - 1
MAX_FRAME = 2**20
MAX_GOSSIP_ITEMS = 512
MAX_WORDS = 2**16 - 1
MAX_BUNDLE = 256
SKEW = 120_000


def is_number(value):
    return is_uint(value, MAX_NUMBER)


def signed(data, count, most=MAX_ITEMS):
    """The body, its items and the signature of what is signed; the signature is not looked at."""
    body, signature = items(decode(data, most), 2)
    require(is_bytes(body) and is_bytes(signature))
    return body, items(decode(body, most), count), signature


# Cards and channels


def read_card(data):
    require(len(data) <= 16_384)
    body, fields, signature = signed(data, 11)
    version, agent, mesh, name, description, capabilities, addresses, instance, seq, expires_at, prekey = fields
    require(version == 1 and is_uint(version) and public_key_of(agent) is not None)
    require(is_text(mesh, 64) and is_name(name) and is_text(description, 256))
    require(is_list(capabilities, 64, lambda item: is_text(item, 128)))
    require(is_list(addresses, 32, lambda item: is_text(item, 512)))
    require(is_text(instance, 32) and is_uint(seq) and is_uint(expires_at))
    shown = None
    if prekey is not None:
        key_id, public_key, not_after = items(prekey, 3)
        require(is_bytes(key_id, 8) and is_bytes(public_key, 32) and is_uint(not_after))
        require(agrees(public_key))
        shown = {"id": key_id.hex(), "publicKey": public_key.hex(), "notAfter": not_after}
    check_signature(agent, "afp/1/card", body, signature)
    return {
        "id": agent,
        "mesh": mesh,
        "name": name,
        "description": description,
        "capabilities": capabilities,
        "addresses": addresses,
        "instance": instance,
        "seq": seq,
        "expiresAt": expires_at,
        "prekey": shown,
    }


def read_hello(frame, case, world):
    require(len(frame) <= 20_480, "too-large")
    require(frame[:1] == b"\0", "no-hello")
    hello = decode(frame[1:])
    require(isinstance(hello, list) and len(hello) >= 2)
    require(is_uint(hello[0]) and hello[0] == 1, "wrong-version")
    require(hello[1] == world["mesh"], "wrong-mesh")
    require(len(hello) == 4 and is_bytes(hello[2]))
    try:
        card = read_card(hello[2])
    except Refused as refused:
        raise Refused("bad-signature" if refused.reason == "bad-signature" else "bad-card") from None
    require(card["id"] == case["peer"], "bad-card")
    require(card["mesh"] == world["mesh"], "wrong-mesh")
    largest = max(hello[3], 65_536) if is_uint(hello[3]) and hello[3] > 0 else 2**20
    return {"card": card, **({"frameBytes": largest} if largest != 2**20 else {})}


def read_channel(data, limit):
    """The frames that are whole; what is left waits for more."""
    frames = []
    at = 0
    while at < len(data):
        length, at = read_length(data, at)
        if length is None:
            break
        require(length <= limit, "too-large")
        if at + length > len(data):
            break
        frames.append({"type": data[at], "body": data[at + 1 : at + length].hex()})
        at += length
    return {"frames": frames}


def read_length(data, at):
    """A length, None where it is not whole, and where it ends."""
    length = 0
    for count, byte in enumerate(data[at : at + 4]):
        length |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            # The shortest form does not end in a zero, and there is no frame without a type.
            require(length > 0 and (byte > 0 or count == 0))
            return length, at + count + 1
    require(len(data) - at < 4, "too-large")
    return None, at


def read_control(frame, sent):
    require(len(frame) > 0)
    kind, body = frame[0], frame[1:]
    require(kind < 16 and len(frame) <= 64, "too-large")
    require(1 <= kind <= 5)
    if kind == 4:
        return {"type": "bye"}
    value = decode(body)
    if kind == 1:
        require(isinstance(value, str))
        return {"type": "refused", "reason": value}
    if kind in (2, 3):
        require(is_uint(value))
        return {"type": "ping" if kind == 2 else "pong", "number": value}
    require(isinstance(value, list) and len(value) >= 3)
    size, frames, held = value[:3]
    require(is_uint(size, sent["bytes"]) and is_uint(frames, sent["frames"]) and isinstance(held, bool))
    return {"type": "reading", "bytes": size, "frames": frames, "held": held}


# Delivery


def body_of(frame, kind):
    require(frame[:1] == bytes([kind]))
    return frame[1:]


def is_epoch(value):
    return is_bytes(value, 16)


def read_opening_case(frame, case, world):
    packet = body_of(frame, 17)
    require(len(packet) <= 2_048)
    body, fields, signature = signed(packet, 11)
    label, version, suite, mesh, author, recipient, prekey, random, not_after, enc, earlier = fields
    require(label == "afp/1/opening" and [version, suite] == [1, 1] and is_uint(version) and is_uint(suite))
    require(is_text(mesh, 64, 1) and is_bytes(author, 32) and is_bytes(recipient, 32))
    require(is_bytes(prekey, 8) and is_bytes(random, 16) and is_uint(not_after) and is_bytes(enc, 32))
    require(is_list(earlier, 64, is_epoch) and len(set(earlier)) == len(earlier) and len(signature) == 64)
    read = read_opening((body, fields, signature), world["prekeys"], case["self"], world["mesh"], world["now"])
    require(read["author"] == case["author"], "wrong-author")
    return read


def read_envelope(frame, case, world, epochs):
    parts = decode(body_of(frame, 16))
    require(isinstance(parts, list) and 2 <= len(parts) <= 3 and all(map(is_bytes, parts)))
    header = items(decode(parts[0]), 10)
    version, mesh, destination, epoch, number, prev, priority, expires_at, numbered, shared = header
    require(is_uint(version) and version == 1, "wrong-version")
    require(is_text(mesh, 64) and is_bytes(destination, 32) and is_epoch(epoch))
    require(is_number(number) and number > 0 and is_number(prev) and prev < number)
    require(is_uint(priority, 9) and is_uint(expires_at))
    require(isinstance(numbered, bool) and isinstance(shared, bool) and shared == (len(parts) == 3))
    require(mesh == world["mesh"], "wrong-mesh")
    require(agent_id(destination) == case["self"], "wrong-recipient")
    require(expires_at >= world["now"], "expired")
    opening = epochs.get(case["opening"])
    require(opening is not None and opening["epoch"] == epoch.hex(), "unknown-epoch")
    plain = open_sealed(bytes.fromhex(opening["key"]), nonce_of(number, numbered), parts[0], parts[1])
    said = {
        "epoch": epoch.hex(),
        "number": number,
        "prev": prev,
        "priority": priority,
        "expiresAt": expires_at,
        "numbered": numbered,
        "shared": shared,
    }
    if not numbered and not shared and is_bundle(plain):
        messages = decode(plain, MAX_BUNDLE + 1)
        require(is_list(messages, MAX_BUNDLE, is_bytes) and len(messages) > 1)
        return {**said, "messages": [read_bundled(message, said, case, world) for message in messages]}
    about = None
    if shared:
        message_id, recipients, content_key = items(decode(plain), 3)
        require(is_bytes(message_id, 16) and is_list(recipients, 64, lambda item: isinstance(item, str)))
        require(len(recipients) > 0 and is_bytes(content_key, 96))
        require(case["self"] in recipients, "undecryptable")
        about = ["afp/1/shared", uuid_text(message_id), mesh, case["author"], recipients]
        plain = open_shared(about, content_key, parts[2])
    message = read_message(plain, None)
    require([message["priority"], message["expiresAt"]] == [priority, expires_at])
    require(about is None or [message["id"], message["recipients"]] == [about[1], about[4]])
    check_reader(message, case, world)
    return {**said, "message": message}


def check_reader(message, case, world):
    require(case["self"] in message["recipients"], "not-for-us")
    require(world["now"] <= message["expiresAt"], "expired")
    require(message["timestamp"] <= world["now"] + SKEW, "clock-skew")


def is_bundle(plain):
    """An array whose first item is a byte string."""
    if plain[:1] < b"\x80" or plain[:1] > b"\x9b":
        return False
    first = 1 if plain[0] < 0x98 else 1 + (1 << plain[0] - 0x98)
    return first < len(plain) and plain[first] >> 5 == 2


def read_bundled(payload, said, case, world):
    """What one of several says, or why it is refused; the others are read all the same."""
    try:
        message = read_message(payload, None)
        require(message["priority"] == said["priority"] and message["expiresAt"] <= said["expiresAt"])
        check_reader(message, case, world)
    except Refused as refused:
        return {"refused": refused.reason}
    return message


def read_ranges(value, most):
    """A set of numbers as [first, last] pairs."""
    floor, gaps = items(value, 2)
    require(is_number(floor) and isinstance(gaps, list) and len(gaps) % 2 == 0 and len(gaps) <= 2 * most)
    pairs = [[1, floor]] if floor else []
    end = floor
    for gap, length in zip(gaps[::2], gaps[1::2]):
        require(is_number(gap) and is_number(length) and gap > 0 and length > 0)
        first = end + gap + 1
        end = first + length - 1
        require(end <= MAX_NUMBER)
        pairs.append([first, end])
    return pairs


def decode_words(body):
    require(len(body) <= MAX_WORDS, "too-large")
    return decode(body, MAX_WORDS)


def read_acks(frame):
    credit, acks = items(decode_words(body_of(frame, 18)), 2)
    require(is_number(credit) and isinstance(acks, list) and len(acks) <= 128)
    return {"credit": credit, "acks": each_once([read_ack(items(ack, 5)) for ack in acks])}


def each_once(words):
    require(len({word["epoch"] for word in words}) == len(words))
    return words


def read_ack(ack):
    epoch, delivered, processed, refused, skipped = ack
    require(is_epoch(epoch) and isinstance(refused, list) and len(refused) <= 1_024)
    before = 0
    for number, reason in (items(refusal, 2) for refusal in refused):
        require(is_number(number) and number > before and is_text(reason, 64, 1))
        before = number
    return {
        "epoch": epoch.hex(),
        "delivered": read_ranges(delivered, 2_048),
        "processed": read_ranges(processed, 2_048),
        "refused": refused,
        "skipped": read_ranges(skipped, 2_048),
    }


def read_states(frame):
    states = decode_words(body_of(frame, 19))
    require(isinstance(states, list) and len(states) <= 128)
    return {"states": each_once([read_state(items(state, 4)) for state in states])}


def read_state(state):
    epoch, base, last, skips = state
    require(is_epoch(epoch) and is_number(base) and is_number(last) and base <= last)
    pairs = read_ranges(skips, 1_024)
    require(not pairs or pairs[-1][1] <= last)
    return {"epoch": epoch.hex(), "base": base, "last": last, "skips": pairs}


def read_epochs(value):
    require(is_list(value, 128, is_epoch) and len(set(value)) == len(value))
    return {"epochs": [epoch.hex() for epoch in value]}


def read_lost_key(frame, case, world):
    epochs, signature = items(decode(body_of(frame, 21)), 2)
    read = read_epochs(epochs)
    require(is_bytes(signature, 64))
    check_signature(case["self"], "afp/1/lost-key", encode([world["mesh"], case["author"], epochs]), signature)
    return read


# Gossip


def read_gossip(data, topic, now):
    require(len(data) <= MAX_FRAME, "too-large")
    body, fields, signature = signed(data, 6, MAX_GOSSIP_ITEMS)
    version, author, named, time, nonce, payloads = fields
    require(is_uint(version) and version == 1, "wrong-version")
    require(public_key_of(author) is not None)
    require(named == topic, "not-for-us")
    require(is_uint(time) and is_bytes(nonce, 8) and is_list(payloads, 256, is_bytes) and len(payloads) > 0)
    require(abs(now - time) <= SKEW, "clock-skew")
    check_signature(author, "afp/1/gossip", body, signature)
    return {
        "author": author,
        "time": time,
        "payloads": [payload.hex() for payload in payloads],
        "id": sha256(topic.encode() + b"\0" + data).hex(),
    }


def read_presence(payload, author):
    value = decode(payload)
    require(isinstance(value, list) and len(value) >= 2 and is_uint(value[0], 1))
    if value[0] == 1:
        require(is_uint(value[1]))
        return {"type": "bye", "seq": value[1]}
    require(len(value) >= 4)
    card, hidden, count = value[1:4]
    require(is_bytes(card) and isinstance(hidden, bool) and is_uint(count))
    try:
        read = read_card(card)
    except Refused:
        raise Refused("malformed") from None
    require(read["id"] == author)
    return {"type": "announce", "card": read, "hidden": hidden, "n": count}


def topic_of(mesh, name):
    kept = "-_.!~*'()"
    prefix = f"/afp/1/{quote(mesh, safe=kept)}"
    return {"topic": f"{prefix}/presence" if name is None else f"{prefix}/topic/{quote(name, safe=kept)}"}


# Files


def read_case(case, world, epochs):
    frame = bytes.fromhex(case["bytes"]) + bytes(case.get("zeros", 0))
    readers = {
        "card": lambda: read_card(frame),
        "hello": lambda: read_hello(frame, case, world),
        "channel": lambda: read_channel(frame, case["limit"]),
        "control": lambda: read_control(frame, case["sent"]),
        "opening": lambda: read_opening_case(frame, case, world),
        "envelope": lambda: read_envelope(frame, case, world, epochs),
        "acks": lambda: read_acks(frame),
        "states": lambda: read_states(frame),
        "unknown": lambda: read_epochs(decode(body_of(frame, 20))),
        "lost-key": lambda: read_lost_key(frame, case, world),
        "message": lambda: read_message(frame, case.get("topic")),
        "gossip": lambda: read_gossip(frame, case["topic"], world["now"]),
        "presence": lambda: read_presence(frame, case["author"]),
        "topic": lambda: topic_of(world["mesh"], case.get("topicName")),
    }
    try:
        value = readers[case["kind"]]()
    except Refused as refused:
        return {"refused": refused.reason}
    if case["kind"] == "opening":
        epochs[case["name"]] = value
    return {"value": value}


def main():
    for line in sys.stdin:
        world = json.loads(line)
        epochs = {}
        results = [read_case(case, world, epochs) for case in world["cases"]]
        print(json.dumps(results, allow_nan=False), flush=True)


if __name__ == "__main__":
    main()
