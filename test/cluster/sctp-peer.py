"""Opens SCTP associations by hand: kernels without SCTP sockets carry the packets all the same.

serve PORT NAME       answers each INIT with an INIT ACK whose cookie is "NAME CLIENT"
ask HOST PORT TIMES   sends so many INITs, each from another port; prints the cookies, once each

Packets of which the checksum is wrong count as not there.
"""

import ipaddress
import os
import random
import select
import socket
import struct
import sys
import time

SCTP = 132
INIT, INIT_ACK, COOKIE = 1, 2, 7


def table():
    entries = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        entries.append(value)
    return entries


TABLE = table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def packet(source, destination, verification, chunk_type, tag, cookie=b""):
    body = struct.pack("!IIHHI", tag, 65536, 1, 1, 1)
    if cookie:
        padding = b"\0" * (-len(cookie) % 4)
        body += struct.pack("!HH", COOKIE, 4 + len(cookie)) + cookie + padding
    chunk = struct.pack("!BBH", chunk_type, 0, 4 + len(body)) + body
    header = struct.pack("!HHI", source, destination, verification)
    checksum = struct.pack("<I", crc32c(header + b"\0\0\0\0" + chunk))
    return header + checksum + chunk


def parse(data):
    """Ports, verification tag, type, the sender's tag and cookie; None for what is damaged."""
    if len(data) < 32 or struct.unpack("<I", data[8:12])[0] != crc32c(data[:8] + b"\0" * 4 + data[12:]):
        return None
    source, destination, verification = struct.unpack("!HHI", data[:8])
    (tag,) = struct.unpack("!I", data[16:20])
    cookie = b""
    if len(data) > 36:
        _, length = struct.unpack("!HH", data[32:36])
        cookie = data[36 : 32 + length]
    return source, destination, verification, data[12], tag, cookie


def receive(sock):
    data, address = sock.recvfrom(65536)
    if sock.family == socket.AF_INET:
        data = data[(data[0] & 15) * 4 :]
    return parse(data), address[0]


def sockets():
    opened = [socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)]
    try:
        opened.append(socket.socket(socket.AF_INET6, socket.SOCK_RAW, SCTP))
    except OSError:
        pass
    return opened


def serve(port, name):
    listening = sockets()
    parent = os.getppid()
    print("ready", flush=True)
    while os.getppid() == parent:
        for sock in select.select(listening, [], [], 1)[0]:
            found, client = receive(sock)
            if found is None or found[1] != port or found[3] != INIT:
                continue
            cookie = f"{name} {client}".encode()
            answer = packet(port, found[0], found[4], INIT_ACK, random.getrandbits(32) | 1, cookie)
            sock.sendto(answer, (client, 0))


def ask_once(sock, host, port, deadline):
    own = random.randint(20000, 60000)
    tag = random.getrandbits(32) | 1
    while time.monotonic() < deadline:
        try:
            sock.sendto(packet(own, port, 0, INIT, tag), (host, 0))
        except (ConnectionRefusedError, PermissionError):
            continue
        until = time.monotonic() + 1
        while (left := until - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                break
            found, sender = receive(sock)
            if found is None or found[:4] != (port, own, tag, INIT_ACK):
                continue
            if ipaddress.ip_address(sender) == ipaddress.ip_address(host):
                return found[5].decode()
    return "nobody"


def ask(host, port, times):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_RAW, SCTP)
    deadline = time.monotonic() + 15
    print("\n".join(sorted({ask_once(sock, host, port, deadline) for _ in range(times)})))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3])
else:
    ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
