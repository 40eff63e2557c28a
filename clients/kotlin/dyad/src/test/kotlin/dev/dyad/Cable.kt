package dev.dyad

import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.concurrent.thread
import kotlinx.coroutines.flow.MutableStateFlow

/** A TCP proxy between a client and the server at [serverPort], which a test can cut. */
internal class Cable(private val serverPort: Int) : AutoCloseable {
    private class Line(val near: Socket, val far: Socket, @Volatile var silent: Boolean = false)

    private val lines = CopyOnWriteArrayList<Line>()
    private val entrance = ServerSocket(0, 50, InetAddress.getLoopbackAddress())
    @Volatile private var isCut = false
    @Volatile private var front: Int? = null

    val target: String = "127.0.0.1:${entrance.localPort}"

    init {
        thread(isDaemon = true) {
            try {
                while (true) accept(entrance.accept())
            } catch (_: IOException) {
                // Closed.
            }
        }
    }

    /** How many connections are open. */
    val connections = MutableStateFlow(0)

    /** Break open connections; new connections get through. */
    fun cut(): Unit = lines.forEach(::drop)

    /** Break open connections, and new connections too, until [mend]. */
    fun cutForGood() {
        isCut = true
        cut()
    }

    /** Break open connections. A front answers new ones with this HTTP status, until [mend]. */
    fun answerWith(httpStatus: Int) {
        front = httpStatus
        cut()
    }

    fun mend() {
        isCut = false
        front = null
        cut()
    }

    /** Drop everything on the open connections, without closing them. */
    fun silence(): Unit = lines.forEach { it.silent = true }

    override fun close() {
        entrance.close()
        cut()
    }

    private fun accept(near: Socket) {
        if (isCut) {
            near.close()
            return
        }
        front?.let {
            thread(isDaemon = true) { Front(near, it).answer() }
            return
        }
        val line = Line(near, Socket(InetAddress.getLoopbackAddress(), serverPort))
        near.tcpNoDelay = true
        line.far.tcpNoDelay = true
        lines += line
        connections.value = lines.size
        thread(isDaemon = true) {
            carry(line, line.near.getInputStream(), line.far.getOutputStream())
        }
        thread(isDaemon = true) {
            carry(line, line.far.getInputStream(), line.near.getOutputStream())
        }
    }

    private fun carry(line: Line, from: InputStream, to: OutputStream) {
        val bytes = ByteArray(64 * 1024)
        try {
            while (true) {
                val count = from.read(bytes)
                if (count < 0) break
                if (!line.silent) to.write(bytes, 0, count)
            }
        } catch (_: IOException) {
            // Cut.
        }
        // A silent network does not tell the other side that the connection has ended.
        if (!line.silent) drop(line)
    }

    private fun drop(line: Line) {
        lines -= line
        connections.value = lines.size
        line.near.close()
        line.far.close()
    }
}
