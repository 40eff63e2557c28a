"""A participant in its own process, which a test can kill or freeze. It joins and stays."""

import asyncio
import signal
import sys

import dyad


async def main(target: str, token: str, room_id: str) -> None:
    async with dyad.connect(target, token, plaintext=True) as connection:
        await connection.join(room_id, resumable=False)
        print("joined", flush=True)
        async for _ in connection:
            pass


# Where tests run in the background of a shell, this process would ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(main(*sys.argv[1:]))
