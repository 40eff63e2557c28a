package dev.dyad

import java.io.File
import java.io.IOException
import java.security.SecureRandom
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Assumptions.assumeTrue

private val DYAD = File(System.getenv("TEST_DYAD") ?: "../../../.venv/bin/dyad")

/** Options that let one user send much at once. */
internal val GENEROUS =
    arrayOf("--max-frames-per-second", "100000", "--max-bytes-per-second", "1000000") +
        arrayOf("--max-waiting-bytes", "8000000")

private val GENEROUS_LIMITS = Limits(framesPerSecond = 100_000, bytesPerSecond = 1_000_000)

// All servers have the same secret. So each token is good for all of them, and is made once:
// `dyad token` takes as long as the start of a server.
private val SECRET =
    ByteArray(32).also(SecureRandom()::nextBytes).joinToString("") { "%02x".format(it) }
private val TOKENS = ConcurrentHashMap<String, String>()

/** `dyad serve` as its user starts it, in a process of its own. */
internal class Server(vararg options: String) : AutoCloseable {
    /** What clients must know of its limits. */
    val limits: Limits =
        if (options.toList().containsAll(GENEROUS.toList())) GENEROUS_LIMITS else Limits()
    private val process: Process = run("serve", "--port", "0", *options)
    private val log = process.errorStream.bufferedReader()
    val port: Int =
        log.lineSequence().firstNotNullOfOrNull { line ->
            Regex("""listening address=\S+:(\d+)""").find(line)?.groupValues?.get(1)?.toInt()
        } ?: error("dyad serve ended before it listened")

    init {
        // Read the log, or the server stops when the pipe is full.
        thread(isDaemon = true) {
            try {
                log.forEachLine {}
            } catch (_: IOException) {
                // The server has ended.
            }
        }
    }

    /** A token that is good for all tests. */
    fun token(sub: String): String = TOKENS.computeIfAbsent(sub) { token(it, ttl = 3600) }

    /** A new token that is good for [ttl] seconds. */
    fun token(sub: String, ttl: Int): String =
        run("token", "--sub", sub, "--email", "$sub@example.com", "--ttl", "$ttl")
            .inputStream
            .bufferedReader()
            .readLine()

    /** Tell the server to drain and stop. Returns at once. */
    fun drain() = process.destroy()

    override fun close() {
        process.destroyForcibly().waitFor(5, TimeUnit.SECONDS)
    }

    private fun run(vararg arguments: String): Process {
        needsServer()
        return ProcessBuilder(DYAD.canonicalPath, *arguments)
            .apply {
                // The server refuses DYAD_ variables that it does not know.
                environment().keys.removeIf { it.startsWith("DYAD_") }
                environment()["DYAD_JWT_SECRET"] = SECRET
            }
            .start()
    }
}

/** Without a server, skip the test and say why, or fail in CI. */
private fun needsServer() {
    if (DYAD.canExecute()) return
    val sentence = "This test needs the server: run `make test`, or set TEST_DYAD to its path."
    if (System.getenv("CI").isNullOrEmpty()) assumeTrue(false, sentence) else fail<Unit>(sentence)
}
