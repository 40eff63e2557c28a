package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.jupiter.api.Test

internal class InboxTest {
    private val inbox = Inbox()

    @Test
    fun `what arrives while there is no reader waits for the next one`() {
        put("1", "2", "3")
        val first = inbox.open()
        assertEquals("1", read(first))
        inbox.leave(first)
        assertEquals(listOf("2", "3"), readAll(inbox.open()))
    }

    @Test
    fun `each reader gets every event from when it began`() {
        val early = inbox.open()
        put("1")
        val late = inbox.open()
        put("2")
        assertEquals(listOf("2"), readAll(late))
        assertEquals(listOf("1", "2"), readAll(early))
    }

    @Test
    fun `an event counts until the last reader has it`() {
        val fast = inbox.open()
        val slow = inbox.open()
        inbox.put(event("large"), 2_000_000)
        assertEquals("large", read(fast))
        assertTrue(inbox.isFull)
        assertEquals("large", read(slow))
        assertFalse(inbox.isFull)
    }

    @Test
    fun `a reader that leaves holds up nothing`() {
        val fast = inbox.open()
        val slow = inbox.open()
        inbox.put(event("large"), 2_000_000)
        read(fast)
        inbox.leave(slow)
        assertFalse(inbox.isFull)
        put("2")
        assertEquals("2", read(fast))
    }

    @Test
    fun `closing drops what waits, and what comes later`() {
        val reader = inbox.open()
        put("1", "2")
        inbox.close()
        put("3")
        assertFalse(inbox.hasNext(reader))
        assertNull(inbox.next(reader))
        assertFalse(inbox.isFull)
    }

    private fun event(text: String) = Candidate(text)

    private fun put(vararg texts: String) = texts.forEach { inbox.put(event(it), 1) }

    private fun read(reader: Inbox.Reader): String? = (inbox.next(reader) as Candidate?)?.candidate

    private fun readAll(reader: Inbox.Reader): List<String> =
        generateSequence { read(reader) }.toList()
}
