package dev.dyad.peer

import dev.dyad.Candidate
import dev.onvoid.webrtc.CreateSessionDescriptionObserver
import dev.onvoid.webrtc.RTCAnswerOptions
import dev.onvoid.webrtc.RTCIceCandidate
import dev.onvoid.webrtc.RTCOfferOptions
import dev.onvoid.webrtc.RTCPeerConnection
import dev.onvoid.webrtc.RTCSdpType
import dev.onvoid.webrtc.RTCSessionDescription
import dev.onvoid.webrtc.SetSessionDescriptionObserver
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.suspendCancellableCoroutine

/** The peer connection of webrtc-java (`dev.onvoid.webrtc`), for a [Peer]. */
internal class WebRtcJava(private val pc: RTCPeerConnection) : PeerConnection {
    override suspend fun createOffer(restartIce: Boolean): String {
        val options = RTCOfferOptions().also { it.iceRestart = restartIce }
        return suspendCancellableCoroutine { pc.createOffer(options, Created(it)) }
    }

    override suspend fun createAnswer(): String = suspendCancellableCoroutine {
        pc.createAnswer(RTCAnswerOptions(), Created(it))
    }

    override suspend fun setLocal(kind: Kind, sdp: String): Unit = suspendCancellableCoroutine {
        pc.setLocalDescription(description(kind, sdp), Done(it))
    }

    override suspend fun setRemote(kind: Kind, sdp: String): Unit = suspendCancellableCoroutine {
        pc.setRemoteDescription(description(kind, sdp), Done(it))
    }

    override fun addCandidate(candidate: Candidate) {
        // The library has no end of candidates.
        if (candidate.candidate.isEmpty()) return
        pc.addIceCandidate(
            RTCIceCandidate(candidate.sdpMid, candidate.sdpMLineIndex ?: 0, candidate.candidate)
        )
    }

    private fun description(kind: Kind, sdp: String): RTCSessionDescription =
        RTCSessionDescription(if (kind == Kind.OFFER) RTCSdpType.OFFER else RTCSdpType.ANSWER, sdp)

    private class Created(private val to: CancellableContinuation<String>) :
        CreateSessionDescriptionObserver {
        override fun onSuccess(description: RTCSessionDescription) = to.resume(description.sdp)

        override fun onFailure(error: String) = to.resumeWithException(IllegalStateException(error))
    }

    private class Done(private val to: CancellableContinuation<Unit>) :
        SetSessionDescriptionObserver {
        override fun onSuccess() = to.resume(Unit)

        override fun onFailure(error: String) = to.resumeWithException(IllegalStateException(error))
    }
}
