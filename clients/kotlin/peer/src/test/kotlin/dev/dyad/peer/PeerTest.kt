package dev.dyad.peer

import dev.dyad.Candidate
import dev.dyad.Connection
import dev.dyad.Dyad
import dev.dyad.Offer
import dev.dyad.testing.FakeServer
import dev.onvoid.webrtc.PeerConnectionFactory
import dev.onvoid.webrtc.PeerConnectionObserver
import dev.onvoid.webrtc.RTCConfiguration
import dev.onvoid.webrtc.RTCIceCandidate
import dev.onvoid.webrtc.RTCPeerConnection
import dev.onvoid.webrtc.RTCRtpTransceiver
import dev.onvoid.webrtc.media.audio.HeadlessAudioDeviceModule
import dev.onvoid.webrtc.media.video.CustomVideoSource
import dev.onvoid.webrtc.media.video.NativeI420Buffer
import dev.onvoid.webrtc.media.video.VideoFrame
import dev.onvoid.webrtc.media.video.VideoTrack
import kotlin.test.assertEquals
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelChildren
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Test

private const val HEIGHT = 120
private val FRAME_EVERY = 50.milliseconds
private val PATIENCE = 120.seconds

/** One end of a call: it shows a picture of its own width, and tells the width that it receives. */
private class End(
    private val scope: CoroutineScope,
    factory: PeerConnectionFactory,
    private val connection: Connection,
    polite: Boolean,
    width: Int,
) : PeerConnectionObserver {
    private val source = CustomVideoSource()
    private val ready = CompletableDeferred<Peer>()
    val widths = Channel<Int>(Channel.CONFLATED)
    val pc: RTCPeerConnection = factory.createPeerConnection(RTCConfiguration(), this)
    val peer = Peer(connection, polite, WebRtcJava(pc), scope) { throw it }

    init {
        ready.complete(peer)
        scope.launch { connection.events.collect(peer::take) }
        pc.addTrack(factory.createVideoTrack("video", source), listOf("stream"))
        scope.launch(Dispatchers.Default) {
            while (true) {
                val frame = VideoFrame(NativeI420Buffer.allocate(width, HEIGHT), System.nanoTime())
                source.pushFrame(frame)
                frame.release()
                delay(FRAME_EVERY)
            }
        }
    }

    override fun onRenegotiationNeeded() {
        scope.launch { ready.await().negotiationNeeded() }
    }

    override fun onIceCandidate(candidate: RTCIceCandidate) {
        val found = Candidate(candidate.sdp, candidate.sdpMid, candidate.sdpMLineIndex)
        scope.launch { ready.await().found(found) }
    }

    override fun onTrack(transceiver: RTCRtpTransceiver) {
        (transceiver.receiver.track as VideoTrack).addSink { frame ->
            widths.trySend(frame.buffer.width)
            frame.release()
        }
    }

    /** Wait until a picture arrives. */
    suspend fun sees(): Int = withTimeout(PATIENCE) { widths.receive() }
}

internal class PeerTest {
    @Test
    fun `two ends that both offer see each other, also after an ICE restart`() = runBlocking {
        FakeServer().use { server ->
            coroutineScope {
                val alice = Dyad.connect(server.channel, this) { "alice" }
                val bob = Dyad.connect(server.channel, this) { "bob" }
                val room = alice.create()
                val joined = bob.join(room.roomId)
                alice.events.first()
                val factory = PeerConnectionFactory(HeadlessAudioDeviceModule())
                // Each adds a track at once, so the two offers cross.
                val alices = End(this, factory, alice, room.polite, width = 160)
                val bobs = End(this, factory, bob, joined.polite, width = 320)
                assertEquals(320, alices.sees())
                assertEquals(160, bobs.sees())

                val path = path(bobs)
                alices.peer.restartIce()
                bobs.peer.restartIce()
                withTimeout(PATIENCE) { while (path(bobs) == path) delay(FRAME_EVERY) }
                // What arrived before the restart is not counted.
                alices.widths.tryReceive()
                bobs.widths.tryReceive()
                assertEquals(320, alices.sees())
                assertEquals(160, bobs.sees())
                coroutineContext.cancelChildren()
                alices.pc.close()
                bobs.pc.close()
            }
        }
    }

    /** What an ICE restart changes. */
    private fun path(end: End): String? =
        end.pc.currentRemoteDescription?.sdp?.lineSequence()?.find { "ice-ufrag" in it }

    @Test
    fun `a description that WebRTC refuses is told, and the next one is used`() = runBlocking {
        FakeServer().use { server ->
            coroutineScope {
                val alice = Dyad.connect(server.channel, this) { "alice" }
                val bob = Dyad.connect(server.channel, this) { "bob" }
                bob.join(alice.create().roomId)
                val set = Channel<String>(Channel.UNLIMITED)
                val failures = Channel<Exception>(Channel.UNLIMITED)
                val peer = Peer(bob, polite = true, Strict(set), this) { failures.trySend(it) }
                launch { bob.events.collect(peer::take) }
                alice.sendOffer("nonsense")
                assertEquals("It is nonsense.", failures.receive().message)
                alice.sendOffer("good")
                assertEquals("good", set.receive())
                assertEquals("the answer", set.receive())
                coroutineContext.cancelChildren()
            }
        }
    }

    @Test
    fun `an impolite side ignores an offer that crosses its own, and a polite one drops its own`() =
        runBlocking {
            FakeServer().use { server ->
                coroutineScope {
                    val alice = Dyad.connect(server.channel, this) { "alice" }
                    val bob = Dyad.connect(server.channel, this) { "bob" }
                    bob.join(alice.create().roomId)
                    val set = Channel<String>(Channel.UNLIMITED)
                    val peer = Peer(bob, polite = true, Strict(set), this) { throw it }
                    launch { bob.events.collect(peer::take) }
                    peer.negotiationNeeded()
                    alice.events.first { it is Offer }
                    alice.sendOffer("crossing")
                    assertEquals("crossing", set.receive())
                    assertEquals("the answer", set.receive())
                    // Then the polite side offers again.
                    alice.events.first { it is Offer }
                    coroutineContext.cancelChildren()
                }
            }
        }

    /** A peer connection that refuses nonsense, and tells what is set. */
    private class Strict(private val set: Channel<String>) : PeerConnection {
        override suspend fun createOffer(restartIce: Boolean): String = "the offer"

        override suspend fun createAnswer(): String = "the answer"

        override suspend fun setLocal(kind: Kind, sdp: String) = set.send(sdp)

        override suspend fun setRemote(kind: Kind, sdp: String) {
            check(sdp != "nonsense") { "It is nonsense." }
            set.send(sdp)
        }

        override fun addCandidate(candidate: Candidate): Unit = error("There are none.")
    }
}
