"""A TURN server on loopback (RFC 8656, UDP only), as much of it as a browser uses."""

import asyncio
import hashlib
import secrets
import struct
from typing import Any, Self

from aioice import stun
from aioice.stun import Class, Message, Method

_REALM = "test"
_LIFETIME = 600
_CHANNEL_HEADER = struct.Struct("!HH")
_FIRST_CHANNEL = 0x40
"""The first byte of a STUN message is smaller, that of channel data is not."""

Address = tuple[str, int]


class TurnServer:
    """It starts with `async with`. Its user and password are random.

    Attributes:
        port: its port on 127.0.0.1.
        carried: the number of packets that it has passed on between peers.
    """

    def __init__(self) -> None:
        self.port = 0
        self.carried = 0
        self.user = secrets.token_hex(4)
        self.password = secrets.token_hex(8)
        self._key = hashlib.md5(f"{self.user}:{_REALM}:{self.password}".encode()).digest()
        self._nonce = secrets.token_hex(8).encode()
        self._clients: dict[Address, _Allocation] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def fragment(self) -> str:
        """The settings of the call page that use this server, and nothing else."""
        return (
            f"turn=turn:127.0.0.1:{self.port}&turn-user={self.user}"
            f"&turn-password={self.password}&relay"
        )

    async def __aenter__(self) -> Self:
        self._transport = await _listen(self._received)
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.forget()
        if self._transport is not None:
            self._transport.close()

    def forget(self) -> None:
        """Drop every allocation without a word, as a network does that a device has left."""
        for allocation in self._clients.values():
            allocation.close()
        self._clients.clear()

    def send(self, data: bytes, client: Address) -> None:
        assert self._transport is not None
        self._transport.sendto(data, client)

    def _received(self, data: bytes, client: Address) -> None:
        if data[0] >= _FIRST_CHANNEL:
            if (allocation := self._clients.get(client)) is not None:
                number, length = _CHANNEL_HEADER.unpack_from(data)
                allocation.send(data[4 : 4 + length], allocation.peers[number])
            return
        request = stun.parse_message(data)
        if request.message_method == Method.BINDING:
            self._answer(request, client, {"XOR-MAPPED-ADDRESS": client})
        elif request.message_class == Class.INDICATION:
            if (allocation := self._clients.get(client)) is not None:
                allocation.send(request.attributes["DATA"], request.attributes["XOR-PEER-ADDRESS"])
        elif not request.check_message_integrity(self._key):
            challenge = {"REALM": _REALM, "NONCE": self._nonce}
            self._refuse(request, client, 401, challenge)
        elif request.message_method == Method.ALLOCATE:
            task = asyncio.ensure_future(self._allocate(request, client))
            task.add_done_callback(lambda done: done.result())
        elif (allocation := self._clients.get(client)) is None:
            self._refuse(request, client, 437, {})
        else:
            self._change(request, client, allocation)

    async def _allocate(self, request: Message, client: Address) -> None:
        if client not in self._clients:
            allocation = _Allocation(self, client)
            self._clients[client] = allocation
            await allocation.open()
        relayed = self._clients[client].address
        about = {"XOR-RELAYED-ADDRESS": relayed, "XOR-MAPPED-ADDRESS": client}
        self._answer(request, client, about | {"LIFETIME": _LIFETIME})

    def _change(self, request: Message, client: Address, allocation: "_Allocation") -> None:
        about: dict[str, Any] = {}
        if request.message_method == Method.REFRESH:
            about["LIFETIME"] = request.attributes.get("LIFETIME", _LIFETIME)
            if about["LIFETIME"] == 0:
                self._clients.pop(client).close()
        elif request.message_method == Method.CHANNEL_BIND:
            allocation.bind(
                request.attributes["CHANNEL-NUMBER"], request.attributes["XOR-PEER-ADDRESS"]
            )
        self._answer(request, client, about)

    def _answer(self, request: Message, client: Address, about: dict[str, Any]) -> None:
        answer = Message(request.message_method, Class.RESPONSE, request.transaction_id, about)
        if request.message_method != Method.BINDING:
            answer.add_message_integrity(self._key)
        self.send(bytes(answer), client)

    def _refuse(self, request: Message, client: Address, code: int, about: dict[str, Any]) -> None:
        about = {"ERROR-CODE": (code, "refused")} | about
        answer = Message(request.message_method, Class.ERROR, request.transaction_id, about)
        self.send(bytes(answer), client)


class _Allocation:
    """A port that passes on what its peers send to one client, and back.

    Attributes:
        peers: the peer of each channel.
    """

    def __init__(self, server: TurnServer, client: Address) -> None:
        self.peers: dict[int, Address] = {}
        self._channels: dict[Address, int] = {}
        self._server = server
        self._client = client
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        self._transport = await _listen(self._received)

    @property
    def address(self) -> Address:
        assert self._transport is not None
        address: Address = self._transport.get_extra_info("sockname")
        return address

    def bind(self, number: int, peer: Address) -> None:
        self.peers[number] = peer
        self._channels[peer] = number

    def send(self, data: bytes, peer: Address) -> None:
        assert self._transport is not None
        self._server.carried += 1
        self._transport.sendto(data, peer)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _received(self, data: bytes, peer: Address) -> None:
        if (number := self._channels.get(peer)) is not None:
            self._server.send(_CHANNEL_HEADER.pack(number, len(data)) + data, self._client)
            return
        about = {"XOR-PEER-ADDRESS": peer, "DATA": data}
        self._server.send(bytes(Message(Method.DATA, Class.INDICATION, None, about)), self._client)


async def _listen(received: Any) -> asyncio.DatagramTransport:
    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Address) -> None:
            received(data, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    return transport
