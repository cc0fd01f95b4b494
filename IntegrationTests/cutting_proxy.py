#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A line that breaks: cutting_proxy.py HOST PORT TARGET_PORT SEED CUTS LEAST MOST

Listens on PORT of HOST and passes every connection on to TARGET_PORT there. CUTS times for each direction it cuts
one that has carried a number of bytes between LEAST and MOST, drawn at random, in that direction: there and then, or, if they
were a request's, when the answer to it begins; with an end or with a reset. It prints a line for each.
"""

import asyncio
import random
import socket
import struct
import sys


class Line:
    """One connection, and when it is to break."""

    def __init__(self, proxy, client):
        self.proxy, self.writers = proxy, [client]
        self.limit = proxy.random.randint(proxy.least, proxy.most)
        self.loses_answer = proxy.random.random() < 0.3
        self.resets = proxy.random.random() < 0.5
        self.carried = {"up": 0, "down": 0}
        self.is_cut = False

    def room(self, count, direction):
        """How many of these bytes still pass."""
        if self.is_cut:
            return 0
        if direction == "down" and self.loses_answer and self.proxy.cuts["up"] and self.carried["up"] >= self.limit:
            return 0
        if not self.proxy.cuts[direction] or direction == "up" and self.loses_answer:
            return count
        return max(0, min(count, self.limit - self.carried[direction]))

    def cut(self):
        if self.is_cut:
            return
        self.is_cut = True
        direction = "up" if self.carried["up"] >= self.limit else "down"
        self.proxy.cuts[direction] -= 1
        print("cut {} after {up} up and {down} down".format(direction, **self.carried), flush=True)
        for writer in self.writers:
            if self.resets:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()

    async def pump(self, reader, writer, direction):
        try:
            while data := await reader.read(16384):
                room = self.room(len(data), direction)
                writer.write(data[:room])
                self.carried[direction] += room
                await writer.drain()
                if room < len(data):
                    return self.cut()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            for each in self.writers:
                each.close()


class Proxy:
    def __init__(self, host, port, target, seed, cuts, least, most):
        self.host = host
        self.port, self.target, self.least, self.most = port, target, least, most
        self.cuts = {"up": cuts, "down": cuts}
        self.random = random.Random(seed)
        self.tasks = set()

    async def serve(self, reader, writer):
        # The loop itself holds on to no task.
        task = asyncio.current_task()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        line = Line(self, writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.target)
        except OSError:
            return writer.close()
        line.writers.append(server_writer)
        await asyncio.gather(line.pump(reader, server_writer, "up"), line.pump(server_reader, writer, "down"))
        for each in line.writers:
            each.close()

    async def run(self):
        server = await asyncio.start_server(self.serve, self.host, self.port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(Proxy(sys.argv[1], *map(int, sys.argv[2:])).run())
