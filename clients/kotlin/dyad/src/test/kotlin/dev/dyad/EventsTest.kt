package dev.dyad

import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import kotlin.test.assertEquals
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test

internal class EventsTest {
    @Test
    fun `a collector that is cancelled as it takes an event still gets it`() = test {
        var onChange = {}
        val monitor = Monitor { onChange() }
        val signaling = Signaling(ReconnectPolicy(1.seconds), Pace(Limits()), Limits())
        // It connects only when a stream begins.
        val channel =
            Grpc.newChannelBuilder("localhost:1", InsecureChannelCredentials.create()).build()
        val events = Call(signaling, channel, { "" }, monitor, Log.NONE).ready.taken()
        val sent = listOf(Candidate("1"), Candidate("2"))
        monitor.change { sent.forEach { signaling.inbox.put(it, 1) } }

        val heard = mutableListOf<Event>()
        launch(Dispatchers.Unconfined) {
                onChange = { cancel() }
                events.collect { heard += it }
            }
            .join()
        onChange = {}
        heard += events.first()
        assertEquals<List<Event>>(sent, heard)
        channel.shutdownNow()
    }
}
