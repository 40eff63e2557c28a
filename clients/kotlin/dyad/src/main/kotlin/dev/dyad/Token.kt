package dev.dyad

import io.grpc.Metadata
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive

private val AUTHORIZATION: Metadata.Key<String> =
    Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)
private val ROUTING_KEY: Metadata.Key<String> =
    Metadata.Key.of("dyad-routing-key", Metadata.ASCII_STRING_MARSHALLER)

/**
 * The headers of a stream, with the app's JWT.
 *
 * @param roomId the room that the stream is to enter, or empty for a new one.
 * @throws Unavailable the app's function threw something.
 * @throws Unauthenticated the token is empty, because the app has none, or has characters that a
 *   header must not have.
 */
internal suspend fun headersWith(token: suspend () -> String, roomId: String): Metadata {
    val jwt =
        try {
            token()
        } catch (failure: Throwable) {
            // An Error of the app's code must end neither the call nor the app's scope.
            currentCoroutineContext().ensureActive()
            throw Unavailable("The app's token function failed: see the cause.", cause = failure)
        }
    if (jwt.isEmpty()) throw Unauthenticated("The app's token is empty: it has none.")
    if (jwt.any { it !in ' '..'~' }) {
        throw Unauthenticated("The token has characters that a header must not have.")
    }
    return Metadata().apply {
        put(AUTHORIZATION, "Bearer $jwt")
        put(ROUTING_KEY, routingKey(roomId, jwt))
    }
}
