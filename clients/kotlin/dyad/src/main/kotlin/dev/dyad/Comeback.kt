package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import kotlin.random.Random
import kotlin.time.ComparableTimeMark
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/** The longest wait before the first try, the second …; the last one stands for all after it. */
private val WAITS = listOf(100, 250, 500, 1000, 2000, 4000).map { it.milliseconds }

/** A stream that held so long, or on which anything got on, was no failed try. */
private val STEADY = 5.seconds

private const val NONE = -1L

/** What to do about a connection that broke. */
internal sealed interface Step {
    /** After [wait], on a new stream, ask for the seat. */
    data class TakeUp(val wait: Duration) : Step

    /** After [wait], on a new stream and in a new session, join the room again. */
    data class JoinAgain(val wait: Duration) : Step

    /** There was a hang-up to deliver, and nobody to deliver it to any more. */
    data object HasLeft : Step

    /** It is over. */
    data class Over(val end: Ended) : Step
}

/**
 * Whether, when and how to come back after a connection broke: the table in docs/protocol.md. Plain
 * state, without I/O: time and chance are handed in.
 */
internal class Comeback(
    private val giveUpAfter: Duration,
    private val time: TimeSource.WithComparableMarks = TimeSource.Monotonic,
    private val random: Random = Random.Default,
) {
    private enum class Phase {
        CONNECTED,
        TAKING_UP,
        JOINING_AGAIN,
    }

    private var phase = Phase.CONNECTED
    private var token = ""
    private var cause: Ended? = null
    private var tries = 0
    private var tokenWasRefused = false
    private var progress = NONE
    private var connectedAt = time.markNow()
    private var deadline: ComparableTimeMark = connectedAt

    /** Where the seat is; empty: nowhere. */
    var roomId: String = ""
        private set

    /** Whether there is a seat to come back to. */
    val hasSeat: Boolean
        get() = token.isNotEmpty()

    val takingUp: Boolean
        get() = phase == Phase.TAKING_UP

    val joiningAgain: Boolean
        get() = phase == Phase.JOINING_AGAIN

    val reconnecting: Boolean
        get() = phase != Phase.CONNECTED

    /** The server's `join_room` to this participant: it sits in a room. */
    fun seated(joined: Frame) {
        roomId = joined.roomId
        token = joined.joinRoom.resumeToken
        // A new session counts from 0, and has got on however little that is.
        if (joiningAgain) progress = NONE
        phase = Phase.CONNECTED
        connectedAt = time.markNow()
    }

    /** This participant sits in no room any more. */
    fun left() {
        roomId = ""
        token = ""
        phase = Phase.CONNECTED
    }

    /** The one frame to write when taking the seat up, with what was [takenIn]. */
    fun opening(takenIn: Long): Frame =
        Frame.newBuilder()
            .setRoomId(roomId)
            .setAck(takenIn)
            .setJoinRoom(JoinRoom.newBuilder().setResumable(true).setResumeToken(token))
            .build()

    /**
     * A stream ended with [end].
     *
     * @param progress grows with each frame that got through, either way.
     * @param leaving whether a `leave_room` waited for its answer.
     */
    fun broke(end: Ended, progress: Long, leaving: Boolean): Step {
        val refused = phase == Phase.TAKING_UP && end is TakenOver
        val replaced = end is TakenOver && end.isFinal
        return when {
            leaving && (refused || replaced || phase == Phase.JOINING_AGAIN) -> Step.HasLeft
            !hasSeat || end.isFinal -> Step.Over(end)
            phase == Phase.CONNECTED -> {
                lost(end, progress)
                again(end)
            }
            refused && (cause is Overloaded || cause is TimedOut) -> Step.Over(cause ?: end)
            refused -> {
                phase = Phase.JOINING_AGAIN
                wait(end)
            }
            else -> again(end)
        }
    }

    private fun lost(end: Ended, progress: Long) {
        phase = Phase.TAKING_UP
        cause = end
        if (progress != this.progress || connectedAt.elapsedNow() >= STEADY) {
            tries = 0
            tokenWasRefused = false
            deadline = time.markNow() + giveUpAfter
        }
        this.progress = progress
    }

    private fun again(end: Ended): Step {
        val isOver =
            when (end) {
                is Unavailable,
                is Overloaded,
                is TimedOut -> false
                is Unauthenticated -> tokenWasRefused.also { tokenWasRefused = true }
                else -> true
            }
        return if (isOver) Step.Over(end) else wait(end)
    }

    private fun wait(end: Ended): Step {
        val longest = WAITS[minOf(tries, WAITS.lastIndex)]
        tries += 1
        val wait =
            end.retryAfter?.let { it * (1 + random.nextDouble() / 2) }
                ?: (longest * random.nextDouble())
        return when {
            time.markNow() + wait > deadline -> Step.Over(end)
            joiningAgain -> Step.JoinAgain(wait)
            else -> Step.TakeUp(wait)
        }
    }
}
