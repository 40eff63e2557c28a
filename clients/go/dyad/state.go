package dyad

import (
	"context"
	"fmt"
	"iter"
)

// A Phase is what a connection is doing.
type Phase int

const (
	// PhaseIdle: it is in no room.
	PhaseIdle Phase = iota
	// PhaseConnecting: Create or Join is under way.
	PhaseConnecting
	// PhaseConnected: it is in a room.
	PhaseConnected
	// PhaseReconnecting: it is in a room, the connection broke, and the client is
	// reconnecting.
	PhaseReconnecting
	// PhaseEnded: the connection ended. It may enter a room again, except after Close or
	// Detach.
	PhaseEnded
)

// String returns the phase in one word.
func (p Phase) String() string {
	switch p {
	case PhaseIdle:
		return "idle"
	case PhaseConnecting:
		return "connecting"
	case PhaseConnected:
		return "connected"
	case PhaseReconnecting:
		return "reconnecting"
	case PhaseEnded:
		return "ended"
	default:
		return fmt.Sprintf("phase %d", int(p))
	}
}

// State is the state of a connection.
type State struct {
	Phase Phase
	// Try is the number of the attempt to reconnect, from 1. Otherwise it is 0.
	Try int
	// Err is why the client is reconnecting, or why the connection ended. It is nil after
	// Close and Detach.
	Err error
}

// String returns the state for a log.
func (s State) String() string {
	switch {
	case s.Try > 0:
		return fmt.Sprintf("%s (try %d): %v", s.Phase, s.Try, s.Err)
	case s.Err != nil:
		return fmt.Sprintf("%s: %v", s.Phase, s.Err)
	default:
		return s.Phase.String()
	}
}

// State returns the state of the connection.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// States yields the state, and then each new state. If the state changes several times
// while the loop's body runs, only the newest is yielded. It ends with ctx, and after the
// last state, which follows Close and Detach. Several goroutines may use it.
func (c *Conn) States(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		for seen := -1; ; {
			c.mu.Lock()
			err := c.wait(ctx, func() bool { return c.stateChanges != seen })
			state, last := c.state, c.closed
			seen = c.stateChanges
			c.mu.Unlock()
			if err != nil || !yield(state) || last {
				return
			}
		}
	}
}

// become changes the state. c.mu must be held.
func (c *Conn) become(state State) {
	c.state = state
	c.stateChanges++
	c.notify()
}
