package dev.dyad

import java.io.DataInputStream
import java.io.IOException
import java.net.Socket

private const val PREFACE_BYTES = 24
private const val HEADERS = 1
private const val SETTINGS = 4
private const val ACK = 1
private const val END_STREAM = 1
private const val END_HEADERS = 4

/** A proxy without a back end: it answers each HTTP/2 request with [status] and a page. */
internal class Front(private val socket: Socket, private val status: Int) {
    private val from = DataInputStream(socket.getInputStream().buffered())
    private val page = "<html>nobody is here</html>".toByteArray()

    fun answer() {
        try {
            socket.use { carry() }
        } catch (_: IOException) {
            // The client has gone.
        }
    }

    private fun carry() {
        from.readFully(ByteArray(PREFACE_BYTES))
        write(SETTINGS, 0, 0, ByteArray(0))
        while (true) {
            val size = from.readUnsignedShort() * 256 + from.readUnsignedByte()
            val type = from.readUnsignedByte()
            val flags = from.readUnsignedByte()
            val stream = from.readInt()
            from.readFully(ByteArray(size))
            if (type == SETTINGS && flags and ACK == 0) write(SETTINGS, ACK, 0, ByteArray(0))
            if (type == HEADERS) respond(stream)
        }
    }

    private fun respond(stream: Int) {
        write(
            HEADERS,
            END_HEADERS,
            stream,
            header(":status", "$status") + header("content-type", "text/html"),
        )
        write(0, END_STREAM, stream, page)
    }

    /** A header as HPACK's literal without indexing, with a name of its own. */
    private fun header(name: String, value: String): ByteArray =
        byteArrayOf(0, name.length.toByte()) +
            name.toByteArray() +
            byteArrayOf(value.length.toByte()) +
            value.toByteArray()

    private fun write(type: Int, flags: Int, stream: Int, payload: ByteArray) {
        val head =
            byteArrayOf(0, 0, payload.size.toByte(), type.toByte(), flags.toByte()) +
                byteArrayOf(0, 0, 0, stream.toByte())
        socket.getOutputStream().write(head + payload)
    }
}
