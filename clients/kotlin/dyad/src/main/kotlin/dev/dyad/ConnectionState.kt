package dev.dyad

/** What a [Connection] is doing. [Connection.state] tells it. */
public sealed interface ConnectionState {
    /** In no room. Nothing is connected. */
    public data object Idle : ConnectionState

    /** Entering a room. */
    public data object Connecting : ConnectionState

    /** In a room. */
    public data object Connected : ConnectionState

    /**
     * The connection broke. The client is reconnecting.
     *
     * @property attempt counts the attempts since the connection last worked, from 1.
     * @property cause why the last attempt failed, or why the connection broke.
     */
    public data class Reconnecting(val attempt: Int, val cause: dev.dyad.Ended) : ConnectionState

    /**
     * The call is over.
     *
     * @property error why. The app may enter a room again. Null if the app closed the connection;
     *   then it may not.
     */
    public data class Ended(val error: dev.dyad.Ended?) : ConnectionState
}
