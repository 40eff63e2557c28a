package dev.dyad

import io.grpc.Status
import kotlin.time.Duration

/** The base of all errors of this library. */
public sealed class DyadException(message: String, cause: Throwable? = null) :
    Exception(message, cause)

/** Why a frame was refused; the numbers are the contract's. */
public enum class Refusal(internal val number: Int) {
    /** The server gave no reason, or one that only a newer server knows. */
    UNSPECIFIED(0),

    /** The frame breaks the contract. */
    INVALID_FRAME(1),

    /** The room does not exist, or no longer exists. */
    ROOM_NOT_FOUND(2),

    /** The room has two participants already. */
    ROOM_FULL(3),

    /** This connection is not in that room. */
    NOT_IN_ROOM(4),

    /** There is no peer in the room to receive the frame. */
    PEER_ABSENT(5),
}

/**
 * A frame was refused, and had no effect. A call that is going on continues.
 *
 * `create` and `join` throw it. For `sendOffer`, `sendAnswer` and `sendCandidate`, which wait for
 * no answer, it is an event.
 *
 * @property code for the program.
 * @property sentence for the person who reads the log.
 * @property roomId the room of the refused frame, or empty.
 */
public class Refused(
    public val code: Refusal,
    public val sentence: String,
    override val roomId: String = "",
) : DyadException("$code: $sentence"), Event

/**
 * A frame is larger than the server accepts, and was not sent. The call continues. Sending it again
 * does not help.
 *
 * @property bytes the size of the frame.
 * @property limit the largest size ([Limits.frameBytes]).
 */
public class TooLarge(public val bytes: Int, public val limit: Int) :
    DyadException(
        "The frame has $bytes bytes, and the server accepts $limit. Sending it again does not help."
    )

/**
 * The call is over. The kind of `Ended` says whether to enter the room again.
 *
 * @property code the gRPC status it ended with.
 * @property sentence for the person who reads the log.
 * @property retryAfter how long the server asks to wait before entering again. Add some jitter.
 *   Negative: do not enter again unless the user asks for it.
 */
public open class Ended
internal constructor(
    public val code: Status.Code,
    public val sentence: String,
    shouldRetry: Boolean = false,
    public val retryAfter: Duration? = null,
    cause: Throwable? = null,
) : DyadException("$code: $sentence", cause) {
    /** Whether the client must not reconnect by itself, whatever the code says. */
    internal val isFinal: Boolean = retryAfter?.isNegative() == true

    /** Whether to enter the room again, with nothing else changed. */
    public val shouldRetry: Boolean = shouldRetry && !isFinal
}

/** The token is missing or not valid. Enter again with a new one. */
public class Unauthenticated
internal constructor(sentence: String, retryAfter: Duration? = null, cause: Throwable? = null) :
    Ended(Status.Code.UNAUTHENTICATED, sentence, false, retryAfter, cause)

/** The token is good, but for another room. */
public class Forbidden internal constructor(sentence: String, cause: Throwable? = null) :
    Ended(Status.Code.PERMISSION_DENIED, sentence, cause = cause)

/**
 * The client exceeded a limit: too many connections or frames, or events not read. Enter again, and
 * send less.
 */
public class Overloaded
internal constructor(sentence: String, retryAfter: Duration? = null, cause: Throwable? = null) :
    Ended(Status.Code.RESOURCE_EXHAUSTED, sentence, true, retryAfter, cause)

/** No room was entered in time, or no peer joined in time. */
public class TimedOut
internal constructor(sentence: String, retryAfter: Duration? = null, cause: Throwable? = null) :
    Ended(Status.Code.DEADLINE_EXCEEDED, sentence, false, retryAfter, cause)

/**
 * Another connection of the same user took the seat (`retryAfter` is negative), or client and
 * server are out of sync.
 */
public class TakenOver
internal constructor(sentence: String, retryAfter: Duration? = null, cause: Throwable? = null) :
    Ended(Status.Code.ABORTED, sentence, false, retryAfter, cause)

/** The server is stopping or out of reach. Enter again after `retryAfter`. */
public class Unavailable
internal constructor(
    sentence: String,
    retryAfter: Duration? = null,
    cause: Throwable? = null,
    code: Status.Code = Status.Code.UNAVAILABLE,
) : Ended(code, sentence, true, retryAfter, cause)
