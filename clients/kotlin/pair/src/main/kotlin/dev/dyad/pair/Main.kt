/** The pair program of clients/INTEROP.md: one side of a scripted call. */
package dev.dyad.pair

import dev.dyad.Connection
import dev.dyad.Dyad
import dev.dyad.DyadException
import dev.dyad.Ended
import dev.dyad.Refusal
import dev.dyad.Refused
import dev.dyad.TakenOver
import io.grpc.InsecureChannelCredentials
import io.grpc.Status
import java.io.File
import java.io.FileDescriptor
import java.io.FileOutputStream
import java.io.PrintStream
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.runInterruptible
import kotlinx.coroutines.withTimeout

private const val USAGE =
    "dyad-pair --role caller|callee --target HOST:PORT (--token TOKEN | --token-file PATH) " +
        "[--room ID] --scenario NAME"
private const val DEVIATED = 1
private const val MISUSED = 2
private val PATIENCE = 100.seconds
private val CUT_PAUSE = 10.milliseconds

private class CommandLine(arguments: Array<String>) {
    private val values =
        arguments.toList().chunked(2).associate { pair ->
            require(pair.size == 2 && pair[0] in NAMES) {
                "Unknown, or without a value: ${pair[0]}"
            }
            pair[0] to pair[1]
        }
    val isCaller = needed("--role").also { require(it == "caller" || it == "callee") } == "caller"
    val target = needed("--target")
    val tokenFile = values["--token-file"]?.let(::File)
    val token = if (tokenFile == null) needed("--token") else ""
    val scenario =
        needed("--scenario").also { require(it in SCENARIOS) { "Unknown scenario: $it" } }
    val room = if (isCaller) "" else needed("--room")

    init {
        require(!isCaller || "--room" !in values) { "Only a callee may have --room." }
        require(!isCaller || scenario !in SCENARIOS_OF_ONE) { "Only a callee may play $scenario." }
    }

    private fun needed(name: String): String = requireNotNull(values[name]) { "$name is missing." }

    private companion object {
        val NAMES = setOf("--role", "--target", "--token", "--token-file", "--room", "--scenario")
        val SCENARIOS_OF_ONE =
            setOf("full", "unknown", "badtoken", "taken_over", "too_large", "again", "detach")
        val SCENARIOS = setOf("call", "cut", "glare", "closing", "expiry") + SCENARIOS_OF_ONE
    }
}

public fun main(arguments: Array<String>) {
    val commandLine =
        try {
            CommandLine(arguments)
        } catch (misuse: IllegalArgumentException) {
            System.err.println("${misuse.message}\n$USAGE")
            exitProcess(MISUSED)
        }
    val deviation = runBlocking {
        try {
            withTimeout(PATIENCE) { play(commandLine) }
            null
        } catch (deviation: Deviation) {
            deviation.message
        } catch (_: TimeoutCancellationException) {
            "The scenario was not over after $PATIENCE."
        }
    }
    deviation?.let(System.err::println)
    exitProcess(if (deviation == null) 0 else DEVIATED)
}

private suspend fun play(commandLine: CommandLine): Unit = coroutineScope {
    val connection =
        Dyad.connect(commandLine.target, this, InsecureChannelCredentials.create()) {
            commandLine.tokenFile?.let { freshToken(it) } ?: commandLine.token
        }
    val side = Side(connection, PrintStream(FileOutputStream(FileDescriptor.out), false, "UTF-8"))
    val outcome =
        try {
            act(commandLine, connection, side)
            null
        } catch (refused: Refused) {
            refused.also(side::show)
        } catch (ended: Ended) {
            ended.also(side::show)
        }
    connection.close()
    if (!isAsWritten(commandLine.scenario, outcome)) {
        throw Deviation("Unexpected outcome: ${outcome ?: "the server refused nothing"}")
    }
}

/** Read the next token. The file may be a pipe, so it must be read only when one is needed. */
private suspend fun freshToken(file: File): String =
    runInterruptible(Dispatchers.IO) { file.readText().trim() }

private suspend fun act(commandLine: CommandLine, connection: Connection, side: Side) {
    val pause = if (commandLine.scenario == "cut") CUT_PAUSE else Duration.ZERO
    val room = commandLine.room
    when (commandLine.scenario) {
        "call",
        "cut" ->
            if (commandLine.isCaller) placeCall(connection, side, pause)
            else takeCall(connection, side, room, pause)
        "glare" ->
            if (commandLine.isCaller) placeGlare(connection, side)
            else takeGlare(connection, side, room)
        "closing" -> if (commandLine.isCaller) placeClosing(side) else takeClosing(side, room)
        "expiry" ->
            if (commandLine.isCaller) placeExpiry(connection, side)
            else takeExpiry(connection, side, room)
        "taken_over" -> takenOver(side, room)
        "too_large" -> tooLarge(connection, side, room)
        "again" -> again(side, room)
        "detach" -> detach(connection, side, room)
        else -> side.join(room)
    }
}

private fun isAsWritten(scenario: String, outcome: DyadException?): Boolean =
    when (scenario) {
        "full" -> outcome is Refused && outcome.code == Refusal.ROOM_FULL
        "unknown" -> outcome is Refused && outcome.code == Refusal.ROOM_NOT_FOUND
        "badtoken" -> outcome is Ended && outcome.code == Status.Code.UNAUTHENTICATED
        "taken_over" -> outcome is TakenOver && !outcome.shouldRetry
        else -> outcome == null
    }
