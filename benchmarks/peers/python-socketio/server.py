"""A signaling server on python-socketio, as its documentation shows one."""

# socketio has no types, and only the benchmark's own environment has it.
# mypy: disallow_untyped_decorators=False

import os
import uuid
from typing import Any

import jwt
import socketio
import uvicorn

sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(sio)
rooms: dict[str, set[str]] = {}


@sio.event
async def connect(sid: str, _environ: dict[str, Any], auth: dict[str, str]) -> None:
    """Check the token, and remember whose it is."""
    try:
        claims = jwt.decode(auth["token"], os.environ["SECRET"], algorithms=["HS256"])
    except (jwt.InvalidTokenError, KeyError, TypeError) as error:
        raise socketio.exceptions.ConnectionRefusedError("unauthorized") from error
    user = {"id": claims["sub"], "email": claims["email"]}
    await sio.save_session(sid, {"user": user, "room": None})


async def tell(sid: str, event: str, body: dict[str, Any]) -> None:
    """Emit to the other one in the room."""
    session = await sio.get_session(sid)
    for peer in tuple(rooms.get(session["room"], ())):
        if peer != sid:
            await sio.emit(event, {**body, "sender": session["user"]}, to=peer)


@sio.event
async def join_room(sid: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create a room, or enter it."""
    room = body.get("room_id") or str(uuid.uuid4())
    members = rooms.setdefault(room, set())
    if len(members) >= 2:  # noqa: PLR2004 - a call has two ends
        return {"error": "room full"}
    members.add(sid)
    async with sio.session(sid) as session:
        session["room"] = room
    await tell(sid, "join_room", {"room_id": room})
    return {"room_id": room}


async def leave(sid: str) -> None:
    """Leave the room that this participant is in."""
    session = await sio.get_session(sid)
    room = session["room"]
    if room is None:
        return
    await tell(sid, "leave_room", {"room_id": room})
    rooms[room].discard(sid)
    if not rooms[room]:
        del rooms[room]
    async with sio.session(sid) as kept:
        kept["room"] = None


@sio.event
async def leave_room(sid: str, _body: dict[str, Any]) -> None:
    """Hang up."""
    await leave(sid)


@sio.event
async def offer(sid: str, body: dict[str, Any]) -> None:
    """Forward an offer."""
    await tell(sid, "offer", body)


@sio.event
async def answer(sid: str, body: dict[str, Any]) -> None:
    """Forward an answer."""
    await tell(sid, "answer", body)


@sio.event
async def ice_candidate(sid: str, body: dict[str, Any]) -> None:
    """Forward a candidate."""
    await tell(sid, "ice_candidate", body)


@sio.event
async def disconnect(sid: str, _reason: str) -> None:
    """Leave, whatever ended the connection."""
    await leave(sid)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
