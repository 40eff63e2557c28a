package dev.dyad.testing

import dev.dyad.v1.Error
import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.LeaveRoom
import dev.dyad.v1.Participant
import dev.dyad.v1.SignalResponse
import io.grpc.Status
import java.util.UUID
import kotlinx.coroutines.channels.SendChannel

private const val SEATS = 2

/** The rooms of a [FakeServer]. One lock guards everything. */
internal class FakeRooms {
    private val rooms = mutableMapOf<String, MutableList<Session>>()
    private val streams = mutableSetOf<Stream>()

    /** What one participant and the server have told each other. It may outlive its stream. */
    private class Session(val userId: String) {
        var stream: Stream? = null
        var roomId = ""
        var polite = false
        var resumeToken = ""
        var received = 0L
        var sent = 0L
        val unacknowledged = ArrayDeque<Frame>()
        val participant: Participant = Participant.newBuilder().setUserId(userId).build()
    }

    /** One stream of a user. */
    inner class Stream(val userId: String, val to: SendChannel<SignalResponse>) {
        private var session = Session(userId).also { it.stream = this }

        /** Process a frame from the client. */
        fun receive(frame: Frame): Unit =
            synchronized(this@FakeRooms) {
                val token = frame.joinRoom.resumeToken
                if (token.isNotEmpty()) return resume(frame, token)
                session.unacknowledged.removeAll { it.seq <= frame.ack }
                if (frame.seq in 1..session.received) return
                session.received = maxOf(session.received, frame.seq)
                when (frame.eventCase) {
                    Frame.EventCase.JOIN_ROOM -> join(session, frame)
                    Frame.EventCase.LEAVE_ROOM -> leave(session, frame)
                    Frame.EventCase.OFFER,
                    Frame.EventCase.ANSWER,
                    Frame.EventCase.ICE_CANDIDATE -> forward(session, frame)
                    else -> Unit
                }
            }

        /** The stream is over. The seat is reserved if the client asked for that. */
        fun close(): Unit =
            synchronized(this@FakeRooms) {
                streams -= this
                if (session.stream !== this) return
                session.stream = null
                if (session.resumeToken.isEmpty()) {
                    remove(session, LeaveRoom.Reason.REASON_DISCONNECTED)
                }
            }

        fun end(status: Status, isFinal: Boolean = false) {
            to.close(ended(status, isFinal))
        }

        private fun resume(frame: Frame, token: String) {
            val lost =
                rooms.values.flatten().find { it.userId == userId && it.resumeToken == token }
                    ?: return end(Status.ABORTED.withDescription("The seat is not reserved."))
            lost.stream?.end(Status.ABORTED.withDescription("The session was resumed."), true)
            session = lost
            lost.stream = this
            lost.unacknowledged.removeAll { it.seq <= frame.ack }
            lost.resumeToken = UUID.randomUUID().toString()
            val joined = joined(lost).setResumed(true)
            write(this, frame(lost).setAck(lost.received).setJoinRoom(joined).build())
            lost.unacknowledged.forEach { write(this, it) }
        }
    }

    /** A user has opened a stream, which is written [to]. */
    @Synchronized
    fun open(userId: String, to: SendChannel<SignalResponse>): Stream =
        Stream(userId, to).also { streams += it }

    @Synchronized
    fun disconnect(userId: String): Unit =
        streams
            .filter { it.userId == userId }
            .forEach { it.end(Status.UNAVAILABLE.withDescription("The connection broke.")) }

    @Synchronized
    fun forget(userId: String) {
        rooms.values
            .flatten()
            .filter { it.userId == userId }
            .forEach { remove(it, LeaveRoom.Reason.REASON_DISCONNECTED) }
        disconnect(userId)
    }

    private fun join(session: Session, frame: Frame) {
        val roomId = frame.roomId.lowercase().ifEmpty { UUID.randomUUID().toString() }
        if (frame.roomId.isEmpty()) rooms[roomId] = mutableListOf()
        val room = rooms[roomId] ?: return refuse(session, frame, Error.Code.CODE_ROOM_NOT_FOUND)
        room.find { it.userId == session.userId }?.let { replace(it) }
        if (room.size == SEATS) return refuse(session, frame, Error.Code.CODE_ROOM_FULL)
        session.roomId = roomId
        session.polite = if (room.isEmpty()) frame.roomId.isNotEmpty() else !room.single().polite
        if (frame.joinRoom.resumable) session.resumeToken = UUID.randomUUID().toString()
        room += session
        rooms[roomId] = room
        tell(session, frame(session).setReplyTo(frame.seq).setJoinRoom(joined(session)))
        peer(session)?.let { peer ->
            val joined = JoinRoom.getDefaultInstance()
            tell(peer, frame(peer).setSender(session.participant).setJoinRoom(joined))
        }
    }

    private fun joined(session: Session): JoinRoom.Builder =
        JoinRoom.newBuilder().setPolite(session.polite).setResumeToken(session.resumeToken).also {
            peer(session)?.let { peer -> it.setPeer(peer.participant) }
        }

    private fun replace(older: Session) {
        val stream = older.stream
        older.stream = null
        remove(older, LeaveRoom.Reason.REASON_REPLACED)
        stream?.end(Status.ABORTED.withDescription("The user joined again."), isFinal = true)
    }

    private fun leave(session: Session, frame: Frame) {
        if (session.roomId.isEmpty()) return refuse(session, frame, Error.Code.CODE_NOT_IN_ROOM)
        val left = LeaveRoom.getDefaultInstance()
        tell(session, frame(session).setReplyTo(frame.seq).setLeaveRoom(left))
        remove(session, LeaveRoom.Reason.REASON_LEFT)
    }

    private fun forward(session: Session, frame: Frame) {
        if (session.roomId.isEmpty()) return refuse(session, frame, Error.Code.CODE_NOT_IN_ROOM)
        val peer = peer(session) ?: return refuse(session, frame, Error.Code.CODE_PEER_ABSENT)
        tell(peer, frame.toBuilder().setSender(session.participant).clearAck())
    }

    private fun refuse(session: Session, frame: Frame, code: Error.Code) {
        val error = Error.newBuilder().setCode(code).setMessage("The fake server refused it.")
        tell(session, frame(session).setReplyTo(frame.seq).setError(error))
    }

    /** Free the seat of [session], and tell its peer. */
    private fun remove(session: Session, reason: LeaveRoom.Reason) {
        val peer = peer(session)
        val room = rooms[session.roomId] ?: return
        room -= session
        // A room that its user enters again is kept.
        if (room.isEmpty() && reason != LeaveRoom.Reason.REASON_REPLACED) rooms -= session.roomId
        session.roomId = ""
        session.resumeToken = ""
        peer?.let {
            val left = LeaveRoom.newBuilder().setReason(reason)
            tell(it, frame(it).setSender(session.participant).setLeaveRoom(left))
        }
    }

    private fun peer(session: Session): Session? = rooms[session.roomId]?.find { it !== session }

    private fun frame(session: Session): Frame.Builder =
        Frame.newBuilder().setRoomId(session.roomId)

    /** Number [frame], and write it now or after a resume. */
    private fun tell(session: Session, frame: Frame.Builder) {
        val numbered = frame.setSeq(++session.sent).setAck(session.received).build()
        if (session.resumeToken.isNotEmpty()) session.unacknowledged += numbered
        session.stream?.let { write(it, numbered) }
    }

    private fun write(stream: Stream, frame: Frame) {
        stream.to.trySend(SignalResponse.newBuilder().addFrames(frame).build())
    }
}
