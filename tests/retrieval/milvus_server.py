"""Runs a Milvus server in a network of its own and passes on what comes in at one socket; see conftest.py.

Run inside `unshare --net --pid`: python milvus_server.py SOCKET DATA USERS

SOCKET is the descriptor of a listening socket that was made outside, on 127.0.0.1: a socket belongs to the network
in which it was made, so it is the one door. This process is the first of its own numbering of processes, so
that the server ends with it; and it ends when no process holds a shared lock on the file USERS any more.
"""

import asyncio
import fcntl
import socket
import struct
import sys
from pathlib import Path

from milvus import MilvusServer

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


async def copy(reader, writer):
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(door, port, users):
    async def connected(reader, writer):
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    await asyncio.start_server(connected, sock=door)
    with users.open() as file:
        while True:
            await asyncio.sleep(0.2)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass


def main():
    door, data, users = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
    bring_loopback_up()
    server = MilvusServer(data_dir=str(data))
    server.set_base_dir(str(data))
    server.start()
    (data / "started").touch()
    asyncio.run(serve(door, server.listen_port, users))
    server.stop()


if __name__ == "__main__":
    main()
