package dev.dyad

/** How important a line of the log is. */
public enum class LogLevel {
    /** Each stream that opens, each wait. */
    DEBUG,

    /** A call begins or ends, a connection breaks or is back. */
    INFO,

    /** The app or the user may have to act. */
    WARNING,
}

/**
 * Receives what the client does, line by line.
 *
 * No line has a token, an e-mail address, SDP or a candidate. Any thread may call it. It must
 * return soon.
 */
public fun interface Log {
    /** Log [message]. */
    public fun log(level: LogLevel, message: String)

    public companion object {
        /** Logs nothing. */
        public val NONE: Log = Log { _, _ -> }
    }
}

/** Log [message]. A log that fails must not end a call. */
internal fun Log.line(level: LogLevel, message: String) {
    try {
        log(level, message)
    } catch (_: Exception) {
        // There is no other place to report it.
    }
}

/** The code and the first line of the sentence: a proxy may have sent a whole page. */
internal val DyadException.brief: String
    get() = message.orEmpty().lineSequence().first()
