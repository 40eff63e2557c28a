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

/** Long enough that only a hang fails a test. */
internal val PATIENCE = 60.seconds

/** Runs a test. It must end its calls, or fail. */
internal fun test(limit: Duration = 180.seconds, act: suspend CoroutineScope.() -> Unit): Unit =
    runBlocking {
        withTimeout(limit) { coroutineScope { act() } }
    }

/** A connection of the user [sub] to [target], by default the server itself. */
internal fun Server.connect(
    scope: CoroutineScope,
    sub: String,
    target: String = "127.0.0.1:$port",
    giveUpAfter: Duration = 60.seconds,
    limits: Limits = this.limits,
    log: Log = Log.NONE,
): Connection {
    val jwt = token(sub)
    return Dyad.connect(
        target,
        scope,
        InsecureChannelCredentials.create(),
        giveUpAfter,
        limits,
        log,
    ) {
        jwt
    }
}

/** The next event, which must be an [E]. */
internal suspend inline fun <reified E : Event> Connection.next(within: Duration = PATIENCE): E =
    assertIs<E>(withTimeout(within) { events.first() })

/** Lets the two enter one room. No event is left. Returns the room's id. */
internal suspend fun meet(alice: Connection, bob: Connection, resumable: Boolean = true): String {
    val room = alice.create(resumable)
    bob.join(room.roomId, resumable)
    alice.next<PeerJoined>()
    return room.roomId
}
