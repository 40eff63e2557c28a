"""A participant in its own process, to be killed or frozen: joins, says so, stays."""

import asyncio
import sys

import dyad


async def main(target: str, token: str, room_id: str) -> None:
    async with dyad.connect(target, token) as connection:
        await connection.join(room_id, resumable=False)
        print("joined", flush=True)
        async for _ in connection:
            pass


asyncio.run(main(*sys.argv[1:]))
