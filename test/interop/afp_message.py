"""Messages of AFP/1 as they are inside of seals and signatures, as docs/protocol.md tells them."""

import math
import re

from afp_values import canonical, count_keys, decode, is_bytes, is_list, is_text, is_uint, items, read_json, require

MAX_MESSAGE = 2**18

TOKEN = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
PART = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
MEDIA_TYPE = re.compile(rf"{PART}/{PART}(?:[ \t]*;[ \t]*{TOKEN}=(?:{TOKEN}|{QUOTED}))*")


def is_agent_name(value):
    return is_text(value, 128, 1)


def uuid_text(data):
    digits = data.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def read_message(data, topic):
    require(len(data) <= MAX_MESSAGE, "too-large")
    fields = items(decode(data), 15)
    version, kind, message_id, recipients, content_type, content, metadata, parent_id = fields[:8]
    timestamp, ttl, guarantee, priority, schema, trace_path, extensions = fields[8:]
    require(is_uint(version) and version == 1 and is_uint(kind, 3) and is_bytes(message_id, 16))
    require(is_list(recipients, 64, is_agent_name) and len(set(recipients)) == len(recipients))
    require((topic is None) == (len(recipients) > 0) and (len(recipients) == 1 or "*" not in recipients))
    require(is_text(content_type, 255) and MEDIA_TYPE.fullmatch(content_type) is not None)
    require(parent_id is None or is_bytes(parent_id, 16))
    require(kind < 2 or parent_id is not None)
    require(is_uint(timestamp))
    require(isinstance(ttl, (int, float)) and not isinstance(ttl, bool) and 0 < ttl <= 2_592_000)
    require(is_uint(guarantee, 2) and is_uint(priority, 9) and (schema is None or is_agent_name(schema)))
    require(is_list(trace_path, 64, is_agent_name))
    check_extensions(extensions)
    said = read_metadata(metadata)
    return {
        "kind": ("message", "request", "reply", "failure")[kind],
        "id": uuid_text(message_id),
        "recipients": recipients,
        "contentType": content_type,
        "content": read_content(content),
        "metadata": said,
        "parentId": None if parent_id is None else uuid_text(parent_id),
        "timestamp": timestamp,
        "ttl": ttl,
        "guarantee": ("at-most-once", "at-least-once", "exactly-once")[guarantee],
        "priority": priority,
        "schema": schema,
        "tracePath": trace_path,
        "expiresAt": math.floor(float(timestamp) + ttl * 1000.0),
    }


def read_content(content):
    if isinstance(content, str):
        return {"text": content}
    return {"bytes": content.hex()} if is_bytes(content) else {"json": read_json(content, MAX_MESSAGE)}


def read_metadata(metadata):
    said = read_json(metadata, 2**14)
    require(isinstance(said, dict) and count_keys(said) <= 1_024 and len(canonical(said).encode()) <= 2**14)
    return said


def check_extensions(extensions):
    require(isinstance(extensions, list) and len(extensions) <= 16)
    before = -1
    for number, critical, value in (items(extension, 3) for extension in extensions):
        require(is_uint(number, 65_535) and number > before and isinstance(critical, bool) and is_bytes(value))
        require(not critical)
        before = number
