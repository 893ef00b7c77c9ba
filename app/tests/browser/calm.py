"""Calm water for the browser.

Chromium drops whatever is in flight when a network interface comes or goes (ERR_NETWORK_CHANGED), and every start of a
container is one that comes. So, where we may, the browser lives in a network namespace that holds a loopback interface
and nothing else, and what it sends to the stack's port there is handed on to the same port here.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def shelter(port: int) -> str:
    """Opens the namespace for the rest of the process; answers its path."""
    opened: dict = {}
    ready = threading.Event()

    def inside():  # a namespace is a thread's own, and lasts as long as the thread
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            opened["path"] = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
            opened["listener"] = listener = socket.socket()
            fcntl.ioctl(listener, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            opened["error"] = error
        ready.set()
        threading.Event().wait()

    threading.Thread(target=inside, daemon=True).start()
    ready.wait()
    if "error" in opened:
        raise opened["error"]
    threading.Thread(target=lambda: asyncio.run(hand_on(opened["listener"], port)), daemon=True).start()
    return opened["path"]


async def hand_on(listener: socket.socket, port: int):
    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def joined(reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.close()
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async with await asyncio.start_server(joined, sock=listener) as server:
        await server.serve_forever()
