package dev.dyad

import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.update

/**
 * A lock. Each change that is made with it wakes the coroutines that wait for one.
 *
 * @param changed is called after each change, without the lock, before anyone else is told.
 */
internal class Monitor(private val changed: () -> Unit) {
    private val lock = Any()
    private val changes = MutableStateFlow(0L)

    /** Grows with each change. */
    val version: Long
        get() = changes.value

    /** Wait for the first change after the [version] was [known]. */
    suspend fun awaitChange(known: Long) {
        changes.first { it != known }
    }

    /** Run [act] with the lock. It changes nothing that anyone waits for. */
    fun <T> read(act: () -> T): T = synchronized(lock) { act() }

    /** Run [act] with the lock, and wake every coroutine that waits for a change. */
    fun <T> change(act: () -> T): T =
        try {
            synchronized(lock) { act() }
        } finally {
            changed()
            changes.update { it + 1 }
        }

    /** Wait until [condition] is true. It is evaluated with the lock. */
    suspend fun await(condition: () -> Boolean) {
        changes.first { read(condition) }
    }
}
