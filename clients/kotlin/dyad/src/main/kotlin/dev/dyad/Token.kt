package dev.dyad

import io.grpc.Metadata
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive

private val AUTHORIZATION: Metadata.Key<String> =
    Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)

/**
 * The headers of a stream, with the JWT that the app gives.
 *
 * @throws Unavailable the app gave none.
 * @throws Unauthenticated no header may carry it.
 */
internal suspend fun headersWith(token: suspend () -> String): Metadata {
    val jwt =
        try {
            token()
        } catch (failure: Exception) {
            currentCoroutineContext().ensureActive()
            throw Unavailable("The app gave no token.", cause = failure)
        }
    if (jwt.any { it !in ' '..'~' }) {
        throw Unauthenticated("The token has characters that no header may have.")
    }
    return Metadata().apply { put(AUTHORIZATION, "Bearer $jwt") }
}
