package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.IceCandidate
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.SignalRequest
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TestTimeSource
import org.junit.jupiter.api.Test

internal class SessionTest {
    private val time = TestTimeSource()
    private val limits = Limits(framesPerSecond = 100_000, bytesPerSecond = 1_000_000)
    private var session = Session(Pace(limits, time))

    @Test
    fun `frames are numbered from 1 in the order they were put`() {
        repeat(3) { session.put(candidate()) }
        assertEquals(listOf(1L, 2L, 3L), session.take().numbers())
        assertEquals(4, session.put(candidate()))
    }

    @Test
    fun `frames that wait go out together and once`() {
        repeat(3) { session.put(candidate()) }
        assertEquals(3, session.take().numbers().size)
        assertNull(session.take())
    }

    @Test
    fun `a message has at most 200 KiB and a larger frame is sent alone`() {
        listOf(150, 100, 300).forEach { session.put(candidate("x".repeat(it * 1024))) }
        assertEquals(
            listOf(listOf(1L), listOf(2L), listOf(3L)),
            List(3) { session.take().numbers() },
        )
    }

    @Test
    fun `only the last frame of a message acknowledges`() {
        session.arrive(fromServer(1))
        repeat(2) { session.put(candidate()) }
        assertEquals(listOf(0L, 1L), assertNotNull(session.take()).framesList.map { it.ack })
    }

    @Test
    fun `a duplicate frame is ignored`() {
        assertTrue(session.arrive(fromServer(1)))
        assertFalse(session.arrive(fromServer(1)))
    }

    @Test
    fun `a frame without a number is never a duplicate`() {
        repeat(2) { assertTrue(session.arrive(fromServer(0))) }
    }

    @Test
    fun `a gap in the server's numbers ends the connection`() {
        session.arrive(fromServer(1))
        assertFailsWith<TakenOver> { session.arrive(fromServer(3)) }
    }

    @Test
    fun `a resumable session acknowledges 32 frames without a frame to send`() {
        joinResumably()
        (1L..31).forEach { session.arrive(fromServer(it)) }
        assertNull(session.take())
        session.arrive(fromServer(32))
        val frame = assertNotNull(session.take()).framesList.single()
        assertEquals(Frame.newBuilder().setAck(32).build(), frame)
        assertNull(session.take())
    }

    @Test
    fun `a resumable session acknowledges 32 KiB without a frame to send`() {
        joinResumably()
        session.arrive(fromServer(1, "x".repeat(16 * 1024)))
        assertNull(session.take())
        session.arrive(fromServer(2, "x".repeat(16 * 1024)))
        assertEquals(2, assertNotNull(session.take()).framesList.single().ack)
    }

    @Test
    fun `a session that is not resumable acknowledges nothing without a frame to send`() {
        (1L..100).forEach { session.arrive(fromServer(it)) }
        assertNull(session.take())
    }

    @Test
    fun `a heartbeat is answered once without a frame to send`() {
        session.heartbeat()
        assertEquals(emptyList(), session.take().numbers())
        assertNull(session.take())
    }

    @Test
    fun `a frame that waits or is being written answers a heartbeat`() {
        session.put(candidate())
        session.heartbeat()
        assertEquals(listOf(1L), session.take().numbers())
        session.heartbeat()
        session.wrote()
        assertNull(session.take())
    }

    @Test
    fun `a heartbeat is answered when the window is full`() {
        joinResumably()
        repeat(300) { session.put(candidate()) }
        session.take()
        session.wrote()
        session.heartbeat()
        assertEquals(emptyList(), session.take().numbers())
    }

    @Test
    fun `no more than 256 frames are unacknowledged`() {
        joinResumably()
        repeat(300) { session.put(candidate()) }
        assertEquals((2L..256).toList(), session.take().numbers())
        assertNull(session.take())
        session.arrive(acknowledgement(10))
        assertEquals((257L..266).toList(), session.take().numbers())
    }

    @Test
    fun `no more than 256 KiB are unacknowledged`() {
        joinResumably()
        repeat(4) { session.put(candidate("x".repeat(80 * 1024))) }
        assertEquals(listOf(2L, 3L), session.take().numbers())
        assertEquals(listOf(4L), session.take().numbers())
        assertNull(session.take())
        session.arrive(acknowledgement(2))
        assertEquals(listOf(5L), session.take().numbers())
    }

    @Test
    fun `no frame waits for an acknowledgement that the server need not send`() {
        // 30 frames, which have 32,700 bytes as the server counts, and then one of the largest.
        session = Session(Pace(Limits(), time))
        joinResumably()
        repeat(30) { session.put(candidate("x".repeat(1080))) }
        session.put(candidate("x".repeat(65_500)))
        val written = mutableListOf<Long>()
        repeat(10) {
            time += 60.seconds
            session.take()?.let { written += it.framesList.map(Frame::getSeq) }
        }
        assertEquals((2L..32).toList(), written)
    }

    @Test
    fun `a frame that is larger than the window waits for no acknowledgement that is not due`() {
        joinResumably()
        session.put(candidate())
        session.put(candidate("x".repeat(300 * 1024)))
        assertEquals(listOf(2L), session.take().numbers())
        assertEquals(listOf(3L), session.take().numbers())
        session.put(candidate())
        assertNull(session.take())
    }

    @Test
    fun `what is too fast waits, and acknowledgements do not`() {
        session = Session(Pace(Limits(framesPerSecond = 10), time))
        joinResumably()
        repeat(50) { session.put(candidate()) }
        assertEquals((2L..15).toList(), session.take().numbers())
        assertNull(session.take())
        assertTrue(session.paceWait.isFinite() && session.paceWait.isPositive())
        (1L..32).forEach { session.arrive(fromServer(it)) }
        assertEquals(listOf(0L), session.take().numbers())
        time += session.paceWait
        assertEquals(listOf(16L), session.take().numbers())
    }

    @Test
    fun `after a pause no more than a burst is written at once`() {
        session = Session(Pace(Limits(), time))
        joinResumably()
        time += 60.seconds
        repeat(12) { session.put(candidate("x".repeat(20_000))) }
        assertEquals(listOf(2L, 3L), session.take().numbers())
        assertNull(session.take())
    }

    @Test
    fun `frames are written at once if the pace allows it, also before the last one`() {
        joinResumably()
        repeat(3) { session.put(candidate()) }
        assertEquals(5, session.putLast(candidate()))
        assertEquals(listOf(2L, 3L, 4L, 5L), session.take().numbers())
    }

    @Test
    fun `the last frame replaces those that the pace would delay`() {
        session = Session(Pace(Limits(framesPerSecond = 2), time))
        joinResumably()
        repeat(30) { session.put(candidate()) }
        session.take()
        val last = session.putLast(candidate())
        time += session.paceWait
        assertEquals(listOf(last), session.take().numbers())
        assertEquals(4, last)
    }

    @Test
    fun `a session that is not resumable does not wait for acknowledgements`() {
        repeat(300) { session.put(candidate()) }
        assertEquals(300, session.take().numbers().size)
    }

    @Test
    fun `on a new stream only the resume is written until it is answered`() {
        joinResumably()
        session.put(candidate())
        val opening = Frame.newBuilder().setAck(7).build()
        session.interrupt(opening)
        assertEquals(listOf(opening), assertNotNull(session.take()).framesList)
        assertNull(session.take())
    }

    @Test
    fun `frames that the server lacks are sent again with their numbers, before new ones`() {
        joinResumably()
        repeat(3) { session.put(candidate()) }
        session.take()
        session.interrupt(Frame.getDefaultInstance())
        session.put(candidate())
        session.take()
        session.resume(acknowledged = 2)
        assertEquals(listOf(3L, 4L, 5L), session.take().numbers())
    }

    @Test
    fun `a resume is acknowledged without a frame to send`() {
        joinResumably()
        session.arrive(fromServer(1))
        session.interrupt(Frame.getDefaultInstance())
        session.take()
        session.resume(acknowledged = 1)
        val frame = assertNotNull(session.take()).framesList.single()
        assertEquals(Frame.newBuilder().setAck(1).build(), frame)
        assertNull(session.take())
    }

    @Test
    fun `frames count as waiting until they are written, and again after a resume`() {
        joinResumably()
        session.put(candidate("x".repeat(1000)))
        val waiting = session.waitingBytes
        assertTrue(waiting > 1000)
        session.take()
        assertEquals(0, session.waitingBytes)
        session.interrupt(Frame.getDefaultInstance())
        session.resume(acknowledged = 1)
        assertEquals(waiting, session.waitingBytes)
    }

    private fun joinResumably() {
        session.put(Frame.newBuilder().setJoinRoom(JoinRoom.newBuilder().setResumable(true)))
        session.take()
    }

    private fun candidate(text: String = "candidate"): Frame.Builder =
        Frame.newBuilder().setIceCandidate(IceCandidate.newBuilder().setCandidate(text))

    private fun fromServer(seq: Long, text: String = ""): Frame =
        candidate(text).setSeq(seq).build()

    private fun acknowledgement(seq: Long): Frame = Frame.newBuilder().setAck(seq).build()

    private fun SignalRequest?.numbers(): List<Long> = assertNotNull(this).framesList.map { it.seq }
}
