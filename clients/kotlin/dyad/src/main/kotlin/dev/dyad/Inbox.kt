package dev.dyad

/**
 * If more events than this wait for the app, the connection ends. It cannot stop reading instead,
 * because then heartbeats would go unanswered.
 */
private const val CAPACITY_BYTES = 1024 * 1024

/**
 * The events of one call, for any number of readers.
 *
 * Each reader gets every event from when it began. Events that arrive while there is no reader wait
 * for the next one. It is plain state without I/O, for one thread at a time.
 */
internal class Inbox {
    /** Where a reader is: the number of the event that it gets next. */
    class Reader(internal var next: Long)

    private class Waiting(val event: Event, val bytes: Int)

    private val waiting = ArrayDeque<Waiting>()
    private val readers = mutableSetOf<Reader>()
    private var first = 0L
    private var bytes = 0

    /** Whether the last event has come. */
    var isClosed: Boolean = false
        private set

    val isFull: Boolean
        get() = bytes > CAPACITY_BYTES

    /** Let [event] wait for the readers. */
    fun put(event: Event, size: Int) {
        if (isClosed) return
        waiting += Waiting(event, size)
        bytes += size
    }

    /** Drop the events that wait, and refuse later ones. */
    fun close() {
        isClosed = true
        forget(waiting.size)
    }

    /** Begin to read. */
    fun open(): Reader {
        val start = if (readers.isEmpty()) first else first + waiting.size
        return Reader(start).also { readers += it }
    }

    /** Whether there is an event for [reader]. */
    fun hasNext(reader: Reader): Boolean = reader.next < first + waiting.size

    /** The next event for [reader], or null if there is none at present. */
    fun next(reader: Reader): Event? {
        if (!hasNext(reader)) return null
        val event = waiting[(reader.next++ - first).toInt()].event
        forget((readers.minOf { it.next } - first).toInt())
        return event
    }

    /**
     * Stop reading. What only [reader] has not read waits no longer, unless it was the last one.
     */
    fun leave(reader: Reader) {
        readers -= reader
        readers.minOfOrNull { it.next }?.let { forget((it - first).toInt()) }
    }

    private fun forget(events: Int) {
        repeat(events) { bytes -= waiting.removeFirst().bytes }
        first += events
        readers.forEach { it.next = maxOf(it.next, first) }
    }
}
