package dev.dyad

import io.grpc.InsecureChannelCredentials
import kotlin.test.assertIs
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** So long that only a hang fails a test. */
internal val PATIENCE = 60.seconds

/** Runs a test that ends its connections itself, or by failing. */
internal fun test(limit: Duration = 180.seconds, act: suspend CoroutineScope.() -> Unit): Unit =
    runBlocking {
        withTimeout(limit) { coroutineScope { act() } }
    }

/** A connection as [sub], over [target] if that is not the server itself. */
internal fun Server.connect(
    scope: CoroutineScope,
    sub: String,
    target: String = "127.0.0.1:$port",
    giveUpAfter: Duration = 60.seconds,
): Connection {
    val jwt = token(sub)
    return Dyad.connect(target, scope, InsecureChannelCredentials.create(), giveUpAfter) { jwt }
}

/** The next event, which has to be one of this kind. */
internal suspend inline fun <reified E : Event> Connection.next(within: Duration = PATIENCE): E =
    assertIs<E>(withTimeout(within) { events.first() })

/** The two of them in one room, with nothing left to hear; gives the room's id. */
internal suspend fun meet(alice: Connection, bob: Connection, resumable: Boolean = true): String {
    val room = alice.create(resumable)
    bob.join(room.roomId, resumable)
    alice.next<PeerJoined>()
    return room.roomId
}
