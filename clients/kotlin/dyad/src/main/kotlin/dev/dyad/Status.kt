package dev.dyad

import io.grpc.Metadata
import io.grpc.Status
import kotlin.time.Duration.Companion.milliseconds

private val RETRY_AFTER: Metadata.Key<String> =
    Metadata.Key.of("retry-after-ms", Metadata.ASCII_STRING_MARSHALLER)

/** The end of a connection that a gRPC status and its [trailers] describe. */
internal fun Status.toEnded(trailers: Metadata?): Ended {
    val sentence = description ?: cause?.message.orEmpty()
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
