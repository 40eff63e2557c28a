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
        ReconnectPolicy(60.seconds, time, Always(1.0)).apply { seated(joined("one"), 0) }
    private var progress = 0L

    @Test
    fun `without a resume token there is nothing to resume`() {
        policy.seated(joined(""), 0)
        assertIs<Step.Over>(broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `the resume frame names the seat and what was received and has no number`() {
        val frame = policy.resumeFrame(received = 5)
        assertEquals("room", frame.roomId)
        assertEquals("one", frame.joinRoom.resumeToken)
        assertEquals(true, frame.joinRoom.resumable)
        assertEquals(5, frame.ack)
        assertEquals(0, frame.seq)
    }

    @ParameterizedTest
    @EnumSource(names = ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED"])
    fun `after a broken connection it resumes, and joins again if refused`(code: Status.Code) {
        assertIs<Step.Resume>(broke(code))
        assertIs<Step.Rejoin>(broke(Status.Code.ABORTED))
    }

    @ParameterizedTest
    @EnumSource(names = ["RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
    fun `after a limit it resumes, and ends with the limit if refused`(code: Status.Code) {
        assertIs<Step.Resume>(broke(code))
        assertEquals(code, assertIs<Step.Over>(broke(Status.Code.ABORTED)).end.code)
    }

    @ParameterizedTest
    @EnumSource(names = ["PERMISSION_DENIED", "ABORTED", "NOT_FOUND", "UNIMPLEMENTED", "OK"])
    fun `after any other status it does not reconnect`(code: Status.Code) {
        assertEquals(code, assertIs<Step.Over>(broke(code)).end.code)
    }

    @Test
    fun `a new token is tried once`() {
        assertIs<Step.Resume>(broke(Status.Code.UNAUTHENTICATED))
        assertIs<Step.Over>(broke(Status.Code.UNAUTHENTICATED))
    }

    @Test
    fun `after each success a new token may be tried again`() {
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
    fun `a wait may be 0`() {
        val hasty =
            ReconnectPolicy(60.seconds, time, Always(0.0)).apply { seated(joined("one"), 0) }
        val step = hasty.broke(ended(Status.Code.UNAVAILABLE), progress, leaving = false)
        assertEquals(Step.Resume(Duration.ZERO), step)
    }

    @Test
    fun `a wait is at least what the server asks for, and at most half as long again`() {
        val waits =
            listOf(0.0, 1.0).map { chance ->
                val told =
                    ReconnectPolicy(60.seconds, time, Always(chance)).apply {
                        seated(joined("one"), 0)
                    }
                val end = ended(Status.Code.UNAVAILABLE, retryAfterMs = "2000")
                assertIs<Step.Resume>(told.broke(end, progress, leaving = false)).wait
            }
        assertEquals(listOf(2.seconds, 3.seconds), waits)
    }

    @Test
    fun `the waits start over after progress`() {
        repeat(3) { broke(Status.Code.UNAVAILABLE) }
        back()
        assertEquals(Step.Resume(100.milliseconds), broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `a stream on which no frame got through was a failed try, unless it lasted 5 s`() {
        broke(Status.Code.UNAVAILABLE)
        policy.seated(joined("two"), progress)
        assertEquals(Step.Resume(250.milliseconds), broke(Status.Code.UNAVAILABLE))
        policy.seated(joined("three"), progress)
        time += 5.seconds
        assertEquals(Step.Resume(100.milliseconds), broke(Status.Code.UNAVAILABLE))
    }

    @Test
    fun `it gives up even if it joins again each time, but nothing else gets through`() {
        broke(Status.Code.UNAVAILABLE)
        progress = 2
        val steps =
            List(16) {
                time += 2.seconds
                val step = broke(Status.Code.ABORTED)
                policy.seated(joined("another"), progress)
                time += 2.seconds
                broke(Status.Code.UNAVAILABLE)
                step
            }
        assertIs<Step.Rejoin>(steps.first())
        assertIs<Step.Over>(steps.last())
    }

    @Test
    fun `it gives up 60 s after the loss, with the last error`() {
        broke(Status.Code.UNAVAILABLE)
        time += 59.seconds
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE))
        time += 1.seconds
        val last = ended(Status.Code.INTERNAL)
        val step = policy.broke(last, progress, leaving = false)
        assertSame(last, assertIs<Step.Over>(step).end)
    }

    @Test
    fun `it tries again to join after a lost connection, but not after ABORTED`() {
        broke(Status.Code.UNAVAILABLE)
        broke(Status.Code.ABORTED)
        assertIs<Step.Rejoin>(broke(Status.Code.UNAVAILABLE))
        assertIs<Step.Over>(broke(Status.Code.ABORTED))
    }

    @ParameterizedTest
    @EnumSource(names = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "ABORTED"])
    fun `after a negative retry-after it does not reconnect`(code: Status.Code) {
        val told = ended(code, retryAfterMs = "-1")
        assertFalse(told.shouldRetry)
        assertSame(told, assertIs<Step.Over>(policy.broke(told, progress, false)).end)
        back()
        broke(Status.Code.RESOURCE_EXHAUSTED)
        assertSame(told, assertIs<Step.Over>(policy.broke(told, progress, false)).end)
    }

    @Test
    fun `a hang-up succeeds if the user took the seat with another device`() {
        val told = ended(Status.Code.ABORTED, retryAfterMs = "-1")
        assertEquals(Step.HasLeft, policy.broke(told, progress, leaving = true))
    }

    @Test
    fun `it reconnects to deliver a hang-up`() {
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE, leaving = true))
        assertIs<Step.Resume>(broke(Status.Code.UNAVAILABLE, leaving = true))
    }

    @Test
    fun `a hang-up succeeds if the seat is gone`() {
        broke(Status.Code.UNAVAILABLE, leaving = true)
        assertEquals(Step.HasLeft, broke(Status.Code.ABORTED, leaving = true))
    }

    @Test
    fun `a hang-up while joining again succeeds at the next break`() {
        broke(Status.Code.UNAVAILABLE)
        broke(Status.Code.ABORTED)
        assertEquals(Step.HasLeft, broke(Status.Code.UNAVAILABLE, leaving = true))
    }

    private fun broke(code: Status.Code, leaving: Boolean = false): Step =
        policy.broke(ended(code), progress, leaving)

    private fun back() {
        policy.seated(joined("another"), progress)
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
        trailers.put(Metadata.Key.of("dyad-status", Metadata.ASCII_STRING_MARSHALLER), "0")
        return Status.fromCode(code).toEnded(trailers, seated = true)
    }

    private class Always(private val chance: Double) : Random() {
        override fun nextBits(bitCount: Int): Int = error("Only doubles are drawn.")

        override fun nextDouble(): Double = chance
    }
}
