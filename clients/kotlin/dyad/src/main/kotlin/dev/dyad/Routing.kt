package dev.dyad

import kotlin.io.encoding.Base64
import kotlin.random.Random

internal val ROOM_ID: Regex = Regex("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

private const val KEY_DIGITS = 8
private val ROOM_CLAIM = Regex(""""room"\s*:\s*"($ROOM_ID)"""")
private val BASE64 = Base64.UrlSafe.withPadding(Base64.PaddingOption.ABSENT_OPTIONAL)

/**
 * The routing key to connect with: the last digits of the room's id. A proxy sends both
 * participants of a room to the same node by it.
 *
 * @param roomId the room, or empty for the one that the token names, or for a new one. For a new
 *   room the key is random, and the server makes an id that ends with it.
 */
internal fun routingKey(roomId: String, token: String): String =
    roomId
        .ifEmpty { roomOf(token) }
        .takeLast(KEY_DIGITS)
        .lowercase()
        .ifEmpty { Random.nextBytes(KEY_DIGITS / 2).toHexString() }

/** The room that a token names, or nothing. The server is what checks tokens. */
private fun roomOf(token: String): String {
    val payload = token.split('.').getOrElse(1) { "" }
    val claims =
        try {
            BASE64.decode(payload).decodeToString()
        } catch (_: IllegalArgumentException) {
            return ""
        }
    // This client has no JSON parser. A key of the wrong room would do no harm.
    return ROOM_CLAIM.find(claims)?.groupValues?.get(1).orEmpty()
}
