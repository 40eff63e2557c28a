from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignalRequest(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class SignalResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class ListenRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListenResponse(_message.Message):
    __slots__ = ("session_id", "frames")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, session_id: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class SendRequest(_message.Message):
    __slots__ = ("session_id", "frames")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, session_id: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class SendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Frame(_message.Message):
    __slots__ = ("room_id", "sender", "seq", "ack", "reply_to", "join_room", "leave_room", "offer", "answer", "ice_candidate", "error")
    ROOM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    JOIN_ROOM_FIELD_NUMBER: _ClassVar[int]
    LEAVE_ROOM_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    ICE_CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    room_id: str
    sender: Participant
    seq: int
    ack: int
    reply_to: int
    join_room: JoinRoom
    leave_room: LeaveRoom
    offer: SessionDescription
    answer: SessionDescription
    ice_candidate: IceCandidate
    error: Error
    def __init__(self, room_id: _Optional[str] = ..., sender: _Optional[_Union[Participant, _Mapping]] = ..., seq: _Optional[int] = ..., ack: _Optional[int] = ..., reply_to: _Optional[int] = ..., join_room: _Optional[_Union[JoinRoom, _Mapping]] = ..., leave_room: _Optional[_Union[LeaveRoom, _Mapping]] = ..., offer: _Optional[_Union[SessionDescription, _Mapping]] = ..., answer: _Optional[_Union[SessionDescription, _Mapping]] = ..., ice_candidate: _Optional[_Union[IceCandidate, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Participant(_message.Message):
    __slots__ = ("user_id", "email")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    email: str
    def __init__(self, user_id: _Optional[str] = ..., email: _Optional[str] = ...) -> None: ...

class JoinRoom(_message.Message):
    __slots__ = ("resumable", "resume_token", "peer", "polite", "resumed")
    RESUMABLE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    POLITE_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    resumable: bool
    resume_token: str
    peer: Participant
    polite: bool
    resumed: bool
    def __init__(self, resumable: bool = ..., resume_token: _Optional[str] = ..., peer: _Optional[_Union[Participant, _Mapping]] = ..., polite: bool = ..., resumed: bool = ...) -> None: ...

class LeaveRoom(_message.Message):
    __slots__ = ("reason",)
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[LeaveRoom.Reason]
        REASON_LEFT: _ClassVar[LeaveRoom.Reason]
        REASON_DISCONNECTED: _ClassVar[LeaveRoom.Reason]
        REASON_REPLACED: _ClassVar[LeaveRoom.Reason]
    REASON_UNSPECIFIED: LeaveRoom.Reason
    REASON_LEFT: LeaveRoom.Reason
    REASON_DISCONNECTED: LeaveRoom.Reason
    REASON_REPLACED: LeaveRoom.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: LeaveRoom.Reason
    def __init__(self, reason: _Optional[_Union[LeaveRoom.Reason, str]] = ...) -> None: ...

class SessionDescription(_message.Message):
    __slots__ = ("sdp",)
    SDP_FIELD_NUMBER: _ClassVar[int]
    sdp: str
    def __init__(self, sdp: _Optional[str] = ...) -> None: ...

class IceCandidate(_message.Message):
    __slots__ = ("candidate", "sdp_mid", "sdp_m_line_index", "username_fragment")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    SDP_MID_FIELD_NUMBER: _ClassVar[int]
    SDP_M_LINE_INDEX_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    candidate: str
    sdp_mid: str
    sdp_m_line_index: int
    username_fragment: str
    def __init__(self, candidate: _Optional[str] = ..., sdp_mid: _Optional[str] = ..., sdp_m_line_index: _Optional[int] = ..., username_fragment: _Optional[str] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CODE_UNSPECIFIED: _ClassVar[Error.Code]
        CODE_INVALID_FRAME: _ClassVar[Error.Code]
        CODE_ROOM_NOT_FOUND: _ClassVar[Error.Code]
        CODE_ROOM_FULL: _ClassVar[Error.Code]
        CODE_NOT_IN_ROOM: _ClassVar[Error.Code]
        CODE_PEER_ABSENT: _ClassVar[Error.Code]
    CODE_UNSPECIFIED: Error.Code
    CODE_INVALID_FRAME: Error.Code
    CODE_ROOM_NOT_FOUND: Error.Code
    CODE_ROOM_FULL: Error.Code
    CODE_NOT_IN_ROOM: Error.Code
    CODE_PEER_ABSENT: Error.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: Error.Code
    message: str
    def __init__(self, code: _Optional[_Union[Error.Code, str]] = ..., message: _Optional[str] = ...) -> None: ...
