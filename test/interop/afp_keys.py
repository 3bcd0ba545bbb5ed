"""Ids, signatures, HPKE and seals of AFP/1, as docs/protocol.md tells them."""

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from afp_values import Refused, encode, require

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ID_PREFIX = bytes.fromhex("002408011220")


def sha256(data):
    return hashlib.sha256(data).digest()


def agent_id(public_key):
    number = int.from_bytes(ID_PREFIX + public_key, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = ALPHABET[digit] + digits
    # Each zero byte in front is a 1.
    return "1" + digits


def public_key_of(agent):
    """The public key in an agent id, or None."""
    if not isinstance(agent, str) or len(agent) != 52 or any(digit not in ALPHABET for digit in agent):
        return None
    number = 0
    for digit in agent:
        number = number * 58 + ALPHABET.index(digit)
    if number >= 1 << 8 * 38:
        return None
    data = number.to_bytes(38, "big")
    return data[6:] if data[:6] == ID_PREFIX and agent_id(data[6:]) == agent else None


P = 2**255 - 19
# The y-coordinates of the points of small order.
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, P - 1, ORDER_8, P - ORDER_8}


def may_be_point(data):
    y = int.from_bytes(data, "little") & (2**255 - 1)
    return y < P and y not in SMALL_ORDER


def check_signature(agent, label, data, signature):
    public_key = public_key_of(agent)
    try:
        require(public_key is not None, "bad-signature")
        require(may_be_point(public_key) and may_be_point(signature[:32]), "bad-signature")
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, label.encode() + b"\0" + data)
    except (InvalidSignature, ValueError):
        raise Refused("bad-signature") from None


def agrees(public_key):
    """Whether X25519 with it comes to anything but zero: with one private key, as with each."""
    try:
        X25519PrivateKey.from_private_bytes(bytes(32)).exchange(X25519PublicKey.from_public_bytes(public_key))
        return True
    except ValueError:
        return False


# HPKE in base mode (RFC 9180), as far as the exported secret

KEM = b"KEM" + bytes.fromhex("0020")
SUITE = b"HPKE" + bytes.fromhex("002000010002")


def labeled_extract(suite, salt, label, secret):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def labeled_expand(suite, key, label, info):
    """32 bytes: one block of HKDF-Expand."""
    return hmac.digest(key, (32).to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\1", "sha256")


def exported(enc, prekey, info, context):
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(prekey["privateKey"]))
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:
        raise Refused("malformed") from None
    eae = labeled_extract(KEM, b"", b"eae_prk", shared)
    secret = labeled_expand(KEM, eae, b"shared_secret", enc + bytes.fromhex(prekey["publicKey"]))
    hashes = labeled_extract(SUITE, b"", b"psk_id_hash", b"") + labeled_extract(SUITE, b"", b"info_hash", info)
    exporter = labeled_expand(SUITE, labeled_extract(SUITE, secret, b"secret", b""), b"exp", b"\0" + hashes)
    return labeled_expand(SUITE, exporter, b"sec", context)


def read_opening(packet, prekeys, self, mesh, now):
    """The epoch that an opening begins, with its key; the packet is of the right form already."""
    body, fields, signature = packet
    _, _, _, to_mesh, author, recipient, prekey_id, _, not_after, enc, earlier = fields
    require(to_mesh == mesh, "wrong-mesh")
    require(agent_id(recipient) == self, "wrong-recipient")
    check_signature(agent_id(author), "afp/1/opening", body, signature)
    require(now <= not_after + 14 * 86_400_000 + 120_000, "expired")
    prekey = next((key for key in prekeys.values() if key["id"] == prekey_id.hex()), None)
    require(prekey is not None, "lost-key")
    key = exported(enc, prekey, encode(fields[:9] + [earlier]), b"afp/1/feed-key")
    return {
        "epoch": sha256(encode([body, signature]))[:16].hex(),
        "author": agent_id(author),
        "key": key.hex(),
        "prekey": prekey_id.hex(),
        "notAfter": min(not_after, prekey["notAfter"]),
        "earlier": [epoch.hex() for epoch in earlier],
    }


# Seals


def open_sealed(key, nonce, about, sealed):
    """What was sealed, without its padding."""
    try:
        padded = AESGCM(key).decrypt(nonce, sealed, about)
    except (InvalidTag, ValueError):
        raise Refused("undecryptable") from None
    return unpad(padded)


def unpad(padded):
    plain = padded.rstrip(b"\0")
    require(plain[-1:] == b"\x80" and len(padded) == padded_length(len(plain)), "undecryptable")
    return plain[:-1]


def padded_length(length):
    """The size that so many bytes, the 0x80 among them, are padded to."""
    if length <= 256:
        return 256
    step = 1 << ((length - 1).bit_length() - 1 - 3)
    return -(-length // step) * step


def nonce_of(number, numbered):
    return (b"\x00" if numbered else b"\x80") + bytes(5) + number.to_bytes(6, "big")


def open_shared(about, content_key, shared):
    """Content for several recipients; `about` is what its author says of it."""
    head = encode(about)
    key, signature = content_key[:32], content_key[32:]
    try:
        check_signature(about[3], "afp/1/shared", encode([head, sha256(key + shared)]), signature)
    except Refused:
        raise Refused("undecryptable") from None
    return open_sealed(key, bytes(12), head, shared)
