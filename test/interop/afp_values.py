"""Deterministic CBOR and embedded JSON of AFP/1, as docs/protocol.md tells them; every refusal has a reason."""

import json
import re
import struct
import unicodedata

import cbor2

MAX_DOCUMENT = 2**20
MAX_DEPTH = 32
MAX_ITEMS = 256
MAX_JSON_DEPTH = 64
MAX_UINT = 2**53 - 1
TAG_JSON = 262


class Refused(Exception):
    """Something that must not be taken."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def require(holds, reason="malformed"):
    if not holds:
        raise Refused(reason)


# Deterministic CBOR


def decode(data, most=MAX_ITEMS):
    """The value of a document: whoever encodes it again has the same bytes, or it is refused."""
    require(len(data) <= MAX_DOCUMENT, "too-large")
    require(end_of_item(data, 0, 0, [most - 1]) == len(data))
    try:
        value = cbor2.loads(data)
    # The library has many ways to say that bytes are no CBOR.
    except Exception:
        raise Refused("malformed") from None
    require(encode(value) == data)
    return value


def end_of_item(data, at, depth, left):
    """Walks the heads before the library sees any of it: it believes lengths, and some hostile ones end its process."""
    require(at < len(data))
    major, info = data[at] >> 5, data[at] & 31
    require(info < 28)
    start = at + 1
    at = start + (0 if info < 24 else 1 << info - 24)
    require(at <= len(data))
    argument = info if info < 24 else int.from_bytes(data[start:at], "big")
    if major in (2, 3):
        require(argument <= len(data) - at)
        return at + argument
    if major in (4, 5, 6):
        require(depth < MAX_DEPTH, "too-deep")
        require(major != 6 or argument == TAG_JSON)
        count = {4: argument, 5: 2 * argument, 6: 1}[major]
        require(count <= len(data) - at)
        left[0] -= count
        require(left[0] >= 0)
        for _ in range(count):
            at = end_of_item(data, at, depth + 1, left)
    return at


def encode(value):
    """Deterministic CBOR (RFC 8949, section 4.2.1); refuses what the profile has not."""
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return encode_float(value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        require(all(isinstance(key, (int, str, bytes)) and not isinstance(key, bool) for key in value))
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    require(isinstance(value, cbor2.CBORTag) and value.tag == TAG_JSON)
    return head(6, TAG_JSON) + encode(value.value)


def head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise Refused("malformed")


def encode_float(value):
    require(value - value == 0)
    if value.is_integer() and abs(value) <= MAX_UINT:
        return encode(int(value))
    for initial, form in ((0xF9, ">e"), (0xFA, ">f")):
        try:
            short = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, short)[0] == value:
            return bytes([initial]) + short
    return b"\xfb" + struct.pack(">d", value)


# Fields


def is_uint(value, most=MAX_UINT):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def is_bytes(value, size=None):
    return isinstance(value, bytes) and size in (None, len(value))


def is_text(value, most, least=0):
    """Text of so many UTF-16 code units."""
    return isinstance(value, str) and least <= len(value.encode("utf-16-le")) // 2 <= most


def is_list(value, most, of):
    return isinstance(value, list) and len(value) <= most and all(map(of, value))


def items(value, count):
    require(isinstance(value, list) and len(value) == count)
    return value


# Embedded JSON


def read_json(value, most):
    require(isinstance(value, cbor2.CBORTag) and value.tag == TAG_JSON and is_bytes(value.value))
    require(len(value.value) <= most, "too-large")
    try:
        text = value.value.decode()
        check_depth(text)
        read = json.loads(
            text, object_pairs_hook=whole_object, parse_float=double, parse_int=double, parse_constant=no_number
        )
        check_text(read)
    except ValueError:
        raise Refused("malformed") from None
    return read


def check_depth(text):
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    open_now = 0
    for bracket in re.findall(r"[\[\]{}]", outside):
        open_now += 1 if bracket in "[{" else -1
        require(open_now <= MAX_JSON_DEPTH, "too-deep")


def check_text(value):
    """Python takes halves of surrogate pairs, which UTF-8 cannot say: encoding them raises a ValueError."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, (list, dict)):
        for part in value:
            check_text(part)
        if isinstance(value, dict):
            check_text(list(value.values()))


def whole_object(pairs):
    made = dict(pairs)
    require(len(made) == len(pairs) and "__proto__" not in made)
    return made


def double(text):
    value = float(text)
    require(value - value == 0)
    return int(value) if value.is_integer() and abs(value) <= MAX_UINT and value != 0 else value


def no_number(_text):
    raise Refused("malformed")


def count_keys(value):
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    return sum(map(count_keys, value)) if isinstance(value, list) else 0


def canonical(value):
    """JSON in the form of RFC 8785, but for the order of keys."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(key) + ":" + canonical(item) for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return canonical_number(float(value))
    return json.dumps(value, ensure_ascii=False)


def canonical_number(value):
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, exponent = digits_of(abs(value))
    point = exponent + 1
    if len(mantissa) <= point <= 21:
        return sign + mantissa + "0" * (point - len(mantissa))
    if 0 < point <= 21:
        return sign + mantissa[:point] + "." + mantissa[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + mantissa
    rest = "." + mantissa[1:] if len(mantissa) > 1 else ""
    return f"{sign}{mantissa[0]}{rest}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def digits_of(value):
    """The shortest digits of a positive double, and the power of ten of the first."""
    digits, _, exponent = repr(value).partition("e")
    whole, _, fraction = digits.partition(".")
    stripped = (whole + fraction).lstrip("0")
    power = int(exponent or 0) + len(whole) - 1 - (len(whole + fraction) - len(stripped))
    return stripped.rstrip("0"), power


# Names

SCRIPTS = {
    "LATIN": "Latn", "CJK": "Hani", "HIRAGANA": "Hira", "KATAKANA": "Kana", "HANGUL": "Hang", "BOPOMOFO": "Bopo",
    "ARABIC": "Arab", "ARMENIAN": "Armn", "BENGALI": "Beng", "CYRILLIC": "Cyrl", "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi", "GEORGIAN": "Geor", "GREEK": "Grek", "GUJARATI": "Gujr", "GURMUKHI": "Guru",
    "HEBREW": "Hebr", "KANNADA": "Knda", "KHMER": "Khmr", "LAO": "Laoo", "MALAYALAM": "Mlym", "MONGOLIAN": "Mong",
    "MYANMAR": "Mymr", "SINHALA": "Sinh", "TAMIL": "Taml", "TELUGU": "Telu", "THAANA": "Thaa", "THAI": "Thai",
    "TIBETAN": "Tibt",
}  # fmt: skip
TOGETHER = ({"Latn", "Hani", "Hira", "Kana"}, {"Latn", "Hani", "Hang"}, {"Latn", "Hani", "Bopo"})


def script_of(character):
    """The script of a character by its Unicode name, which is as near as the standard library comes."""
    kind = unicodedata.category(character)
    first = unicodedata.name(character, "").split(" ")[0]
    if kind[0] in "LMN" and first in SCRIPTS:
        return SCRIPTS[first]
    if kind[0] == "L" and kind != "Lm":
        return "another"
    return None


def is_name(value):
    if not is_text(value, 64, 1) or value != value.strip() or value != unicodedata.normalize("NFC", value):
        return False
    kinds = {unicodedata.category(character) for character in value}
    if "*" in value or any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds):
        return False
    scripts = {script_of(character) for character in value} - {None}
    return "another" not in scripts and (len(scripts) <= 1 or any(scripts <= allowed for allowed in TOGETHER))
