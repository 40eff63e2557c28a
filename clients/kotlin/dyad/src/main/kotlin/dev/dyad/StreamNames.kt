package dev.dyad

import io.grpc.CallOptions
import io.grpc.Channel
import io.grpc.ClientCall
import io.grpc.ClientInterceptor
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener
import io.grpc.Metadata
import io.grpc.MethodDescriptor

private val STREAM_ID: Metadata.Key<String> =
    Metadata.Key.of("dyad-stream-id", Metadata.ASCII_STRING_MARSHALLER)

/** Tells [named] the name that each stream has in the server's log. */
internal class StreamNames(private val named: (String) -> Unit) : ClientInterceptor {
    override fun <Q, R> interceptCall(
        method: MethodDescriptor<Q, R>,
        options: CallOptions,
        next: Channel,
    ): ClientCall<Q, R> =
        object : SimpleForwardingClientCall<Q, R>(next.newCall(method, options)) {
            override fun start(responses: Listener<R>, headers: Metadata) {
                super.start(Named(responses), headers)
            }
        }

    private inner class Named<R>(responses: ClientCall.Listener<R>) :
        SimpleForwardingClientCallListener<R>(responses) {
        override fun onHeaders(headers: Metadata) {
            headers.get(STREAM_ID)?.let(named)
            super.onHeaders(headers)
        }
    }
}
