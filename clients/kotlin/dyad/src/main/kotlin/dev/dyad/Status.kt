package dev.dyad

import io.grpc.Metadata
import io.grpc.Status
import kotlin.time.Duration.Companion.milliseconds

private val RETRY_AFTER: Metadata.Key<String> =
    Metadata.Key.of("retry-after-ms", Metadata.ASCII_STRING_MARSHALLER)

/** Dyad sends this trailer with each status, and a proxy on the way does not. */
private val DYAD_STATUS: Metadata.Key<String> =
    Metadata.Key.of("dyad-status", Metadata.ASCII_STRING_MARSHALLER)

/**
 * The end of a connection that a gRPC status and its [trailers] describe.
 *
 * @param seated whether the participant has a seat. Then a status that Dyad did not send, such as a
 *   proxy's 404, is a broken connection.
 */
internal fun Status.toEnded(trailers: Metadata?, seated: Boolean): Ended {
    val sentence = description ?: cause?.message.orEmpty()
    if (seated && trailers?.get(DYAD_STATUS) == null) {
        return Unavailable(sentence, cause = cause, code = code)
    }
    val retryAfter = trailers?.get(RETRY_AFTER)?.toIntOrNull()?.milliseconds
    return when (code) {
        Status.Code.UNAUTHENTICATED -> Unauthenticated(sentence, retryAfter, cause)
        Status.Code.PERMISSION_DENIED -> Forbidden(sentence, cause)
        Status.Code.RESOURCE_EXHAUSTED -> Overloaded(sentence, retryAfter, cause)
        Status.Code.DEADLINE_EXCEEDED -> TimedOut(sentence, retryAfter, cause)
        Status.Code.ABORTED -> TakenOver(sentence, retryAfter, cause)
        Status.Code.UNAVAILABLE,
        // Networks and proxies that drop a connection cause these.
        Status.Code.CANCELLED,
        Status.Code.INTERNAL,
        Status.Code.UNKNOWN -> Unavailable(sentence, retryAfter, cause, code)
        else -> Ended(code, sentence, retryAfter = retryAfter, cause = cause)
    }
}
