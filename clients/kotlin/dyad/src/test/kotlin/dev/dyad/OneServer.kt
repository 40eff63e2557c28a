package dev.dyad

import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.TestInstance

/** Tests that share one server. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
internal abstract class OneServer {
    protected lateinit var server: Server
    protected val alicesName = Participant("alice", "alice@example.com")
    protected val bobsName = Participant("bob", "bob@example.com")

    @BeforeAll
    fun serve() {
        // Rates are limited per user, and all these tests have the same two users.
        server = Server("--max-frame-bytes", "8192", "--max-streams-per-user", "1000", *GENEROUS)
    }

    @AfterAll
    fun stop() {
        if (::server.isInitialized) server.close()
    }
}
