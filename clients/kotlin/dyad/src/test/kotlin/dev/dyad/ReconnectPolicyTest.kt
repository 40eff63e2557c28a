package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import io.grpc.Metadata
import io.grpc.Status
import kotlin.random.Random
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertSame
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TestTimeSource
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.EnumSource

internal class ReconnectPolicyTest {
    private val time = TestTimeSource()
    private val policy =
        ReconnectPolicy(60.seconds, time, Always(1.0)).apply { seated(joined("one")) }
    private var progress = 0L

    @Test
    fun `without a resume token there is nothing to resume`() {
        policy.seated(joined(""))
        assertIs<Step.Over>(broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `the opening names the seat and what was taken in and has no number`() {
        val opening = policy.resumeFrame(takenIn = 5)
        assertEquals("room", opening.roomId)
        assertEquals("one", opening.joinRoom.resumeToken)
        assertEquals(true, opening.joinRoom.resumable)
        assertEquals(5, opening.ack)
        assertEquals(0, opening.seq)
    }

    @ParameterizedTest
    @EnumSource(names = ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED"])
    fun `after a broken connection it resumes, and if refused joins again`(code: Status.Code) {
        assertIs<Step.Resume>(broke(code))
        assertIs<Step.Rejoin>(broke(Status.Code.ABORTED))
    }

    @ParameterizedTest
    @EnumSource(names = ["RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
    fun `after a limit it resumes, and if refused that limit is the end`(code: Status.Code) {
        assertIs<Step.Resume>(broke(code))
        assertEquals(code, assertIs<Step.Over>(broke(Status.Code.ABORTED)).end.code)
    }

    @ParameterizedTest
    @EnumSource(names = ["PERMISSION_DENIED", "ABORTED", "NOT_FOUND", "UNIMPLEMENTED", "OK"])
    fun `after another end it does not reconnect`(code: Status.Code) {
        assertEquals(code, assertIs<Step.Over>(broke(code)).end.code)
    }

    @Test
    fun `a token that does not hold is followed by one new one`() {
        assertIs<Step.Resume>(broke(Status.Code.UNAUTHENTICATED))
        assertIs<Step.Over>(broke(Status.Code.UNAUTHENTICATED))
    }

    @Test
    fun `each return has a new token of its own`() {
        repeat(3) {
            assertIs<Step.Resume>(broke(Status.Code.UNAUTHENTICATED))
            back()
        }
    }

    @Test
    fun `the waits grow from 100 ms to 4 s`() {
        assertEquals(
            listOf(100, 250, 500, 1000, 2000, 4000, 4000).map { it.milliseconds },
            List(7) { assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE)).wait },
        )
    }

    @Test
    fun `a wait may be as short as nothing`() {
        val hasty = ReconnectPolicy(60.seconds, time, Always(0.0)).apply { seated(joined("one")) }
        val step = hasty.broke(ended(Status.Code.UNAVAILABLE), progress, leaving = false)
        assertEquals(Step.Resume(Duration.ZERO), step)
    }

    @Test
    fun `where the server said when, it waits that long and up to half as much again`() {
        val waits =
            listOf(0.0, 1.0).map { chance ->
                val told =
                    ReconnectPolicy(60.seconds, time, Always(chance)).apply {
                        seated(joined("one"))
                    }
                val end = ended(Status.Code.UNAVAILABLE, retryAfterMs = "2000")
                assertIs<Step.Resume>(told.broke(end, progress, leaving = false)).wait
            }
        assertEquals(listOf(2.seconds, 3.seconds), waits)
    }

    @Test
    fun `after a return the waits begin anew`() {
        repeat(3) { broke(Status.Code.UNAVAILABLE) }
        back()
        assertEquals(Step.Resume(100.milliseconds), broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `a return on which nothing got on counts as a failed try`() {
        broke(Status.Code.UNAVAILABLE)
        policy.seated(joined("two"))
        assertEquals(Step.Resume(250.milliseconds), broke(Status.Code.UNAVAILABLE))
        policy.seated(joined("three"))
        time += 5.seconds
        assertEquals(Step.Resume(100.milliseconds), broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `a new session is no failed try, however little got on`() {
        broke(Status.Code.UNAVAILABLE)
        broke(Status.Code.ABORTED)
        policy.seated(joined("two"))
        assertEquals(Step.Resume(100.milliseconds), broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `it gives up 60 s after the loss, with what went wrong last`() {
        broke(Status.Code.UNAVAILABLE)
        time += 59.seconds
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE))
        time += 1.seconds
        val last = ended(Status.Code.INTERNAL)
        val step = policy.broke(last, progress, leaving = false)
        assertSame(last, assertIs<Step.Over>(step).end)
    }

    @Test
    fun `joining again goes on after a lost connection and ends after a limit`() {
        broke(Status.Code.UNAVAILABLE)
        broke(Status.Code.ABORTED)
        assertIs<Step.Rejoin>(broke(Status.Code.UNAVAILABLE))
        assertIs<Step.Over>(broke(Status.Code.ABORTED))
    }

    @ParameterizedTest
    @EnumSource(names = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "ABORTED"])
    fun `told not to reconnect it does not, whatever the status`(code: Status.Code) {
        val told = ended(code, retryAfterMs = "-1")
        assertFalse(told.shouldRetry)
        assertSame(told, assertIs<Step.Over>(policy.broke(told, progress, false)).end)
        back()
        broke(Status.Code.RESOURCE_EXHAUSTED)
        assertSame(told, assertIs<Step.Over>(policy.broke(told, progress, false)).end)
    }

    @Test
    fun `a hang-up whose seat the user took with another device has left`() {
        val told = ended(Status.Code.ABORTED, retryAfterMs = "-1")
        assertEquals(Step.HasLeft, policy.broke(told, progress, leaving = true))
    }

    @Test
    fun `it reconnects to deliver a hang-up`() {
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE, leaving = true))
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE, leaving = true))
    }

    @Test
    fun `a hang-up whose seat is gone has left`() {
        broke(Status.Code.UNAVAILABLE, leaving = true)
        assertEquals(Step.HasLeft, broke(Status.Code.ABORTED, leaving = true))
    }

    @Test
    fun `who hangs up while joining again has left at the next break`() {
        broke(Status.Code.UNAVAILABLE)
        broke(Status.Code.ABORTED)
        assertEquals(Step.HasLeft, broke(Status.Code.UNAVAILABLE, leaving = true))
    }

    private fun broke(code: Status.Code, leaving: Boolean = false): Step =
        policy.broke(ended(code), progress, leaving)

    private fun back() {
        policy.seated(joined("another"))
        progress += 1
    }

    private fun joined(token: String): Frame =
        Frame.newBuilder()
            .setRoomId("room")
            .setJoinRoom(JoinRoom.newBuilder().setResumeToken(token))
            .build()

    private fun ended(code: Status.Code, retryAfterMs: String? = null): Ended {
        val trailers = Metadata()
        retryAfterMs?.let {
            trailers.put(Metadata.Key.of("retry-after-ms", Metadata.ASCII_STRING_MARSHALLER), it)
        }
        return Status.fromCode(code).toEnded(trailers)
    }

    private class Always(private val chance: Double) : Random() {
        override fun nextBits(bitCount: Int): Int = error("Only doubles are drawn.")

        override fun nextDouble(): Double = chance
    }
}
