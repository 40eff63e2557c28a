package dev.dyad

import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource

internal class FrontTest {
    private val server = Server()
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @ParameterizedTest
    @ValueSource(ints = [200, 401, 403, 404, 405, 502])
    fun `a front that answers for the server while it is away does not end a call`(status: Int) =
        test {
            val alice = server.connect(this, "alice")
            val bob = server.connect(this, "bob", cable.target)
            meet(alice, bob)
            cable.answerWith(status)
            bob.next<Reconnecting>()
            // At least two attempts meet the front.
            bob.state.first { it is ConnectionState.Reconnecting && it.attempt > 2 }
            cable.mend()
            assertTrue(bob.next<Reconnected>().resumed)
            alice.close()
            bob.close()
        }

    @Test
    fun `before a call begins, the answer of a front is told at once`() = test {
        cable.answerWith(404)
        val bob = server.connect(this, "bob", cable.target)
        assertTrue("404" in assertFailsWith<Ended> { bob.create() }.sentence)
    }

    @Test
    fun `the client gives up on a front that never goes away`() = test {
        val bob = server.connect(this, "bob", cable.target, giveUpAfter = 1.seconds)
        bob.create()
        cable.answerWith(403)
        bob.next<Reconnecting>()
        val ended = assertFailsWith<Unavailable> { bob.events.toList() }
        assertTrue("403" in ended.sentence, ended.sentence)
        assertTrue(ended.shouldRetry)
        assertIs<ConnectionState.Ended>(bob.state.value)
        // The app may try again.
        cable.mend()
        bob.create()
        bob.close()
    }
}
