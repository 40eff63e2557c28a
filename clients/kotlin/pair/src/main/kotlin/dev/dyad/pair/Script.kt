package dev.dyad.pair

import dev.dyad.Candidate

/** How many candidates each side sends before the end of candidates. */
private const val CANDIDATES = 200
private const val FIRST_PORT = 50_000

/** The SDP that [role] sends. [kind] is offer or answer. */
internal fun sdp(role: String, kind: String): String =
    listOf("v=0", "o=$role 1 1 IN IP4 192.0.2.1", "s=$kind ☎", "t=0 0").joinToString("") {
        "$it\r\n"
    }

/** The candidates that [role] sends, and the end of candidates. */
internal fun candidates(role: String): List<Candidate> =
    (1..CANDIDATES).map { n ->
        val odd = n % 2 == 1
        Candidate(
            "candidate:$n 1 udp 2122260223 192.0.2.1 ${FIRST_PORT + n} typ host",
            sdpMid = if (odd) "0" else null,
            sdpMLineIndex = 0,
            usernameFragment = if (odd) role else null,
        )
    } + Candidate("")
