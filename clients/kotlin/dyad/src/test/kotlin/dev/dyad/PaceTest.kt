package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TestTimeSource
import org.junit.jupiter.api.Test

internal class PaceTest {
    private val time = TestTimeSource()
    // 90 frames and 900 bytes a second, and 150 frames or 1500 bytes at once.
    private val pace =
        Pace(Limits(frameBytes = 10_000, framesPerSecond = 100, bytesPerSecond = 1000), time)

    @Test
    fun `a part of what the server accepts at once may be written at once`() {
        assertTrue(pace.allows(150, 1500))
        pace.spend(150, 1500)
        assertFalse(pace.allows(1, 0))
        assertFalse(pace.allows(0, 1))
    }

    @Test
    fun `what was written is available again as time passes`() {
        pace.spend(150, 0)
        assertFalse(pace.allows(9, 0))
        time += 100.milliseconds
        assertTrue(pace.allows(9, 0))
    }

    @Test
    fun `bytes count as well as frames`() {
        pace.spend(1, 1500)
        assertEquals(1.seconds, pace.wait(900))
    }

    @Test
    fun `a frame that is larger than a burst waits for a whole one`() {
        assertEquals(Duration.ZERO, pace.wait(10_000))
        assertFalse(pace.allows(2, 10_000))
        pace.spend(1, 900)
        assertEquals(1.seconds, pace.wait(10_000))
    }

    @Test
    fun `heartbeats do not wait, and are paid for later`() {
        pace.spend(150, 0)
        pace.spend(9, 0)
        time += 100.milliseconds
        assertFalse(pace.allows(1, 0))
        time += 100.milliseconds
        assertTrue(pace.allows(9, 0))
    }

    @Test
    fun `a pause does not allow more at once`() {
        time += 60.seconds
        pace.spend(150, 0)
        assertFalse(pace.allows(1, 0))
    }

    @Test
    fun `the window and what may be written at once fit into what the server accepts at once`() {
        val usual = Pace(Limits(), time)
        assertEquals(256, usual.windowFrames)
        assertEquals(98 * 1024, usual.windowBytes)
        assertTrue(usual.allows(150, 48 * 1024))
        assertFalse(usual.allows(151, 0))
        // One of the largest frames fits even after 32 KiB that are not acknowledged.
        assertEquals(34 * 1024 + 10_000, pace.windowBytes)
        assertEquals(33, Pace(Limits(framesPerSecond = 1), time).windowFrames)
    }

    @Test
    fun `limits must be positive`() {
        assertFailsWith<IllegalArgumentException> { Limits(bytesPerSecond = 0) }
    }
}
