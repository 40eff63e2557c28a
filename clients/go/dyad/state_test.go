package dyad_test

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// watched yields the states of a connection on request.
func watched(t *testing.T, e *end) func(dyad.Phase) dyad.State {
	t.Helper()
	next, stop := iter.Pull(e.States(e.ctx))
	t.Cleanup(stop)
	// is waits for a state with this phase.
	return func(phase dyad.Phase) dyad.State {
		t.Helper()
		for {
			state, ok := next()
			if !ok {
				t.Fatalf("the states ended before %s", phase)
			}
			if state.Phase == phase {
				return state
			}
		}
	}
}

func TestTheStateFollowsACall(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice := dial(t, net.address, "alice")
	is := watched(t, alice)
	is(dyad.PhaseIdle)
	alice.creates()
	is(dyad.PhaseConnected)
	net.refuse()
	net.cut()
	for {
		state := is(dyad.PhaseReconnecting)
		if !errors.Is(state.Err, dyad.ErrUnavailable) || state.Try == 0 {
			t.Fatalf("the state is %v", state)
		}
		if state.Try > 1 {
			break
		}
	}
	net.accept()
	is(dyad.PhaseConnected)
	alice.succeeds(alice.Leave(alice.ctx))
	is(dyad.PhaseIdle)
	alice.succeeds(alice.Close())
	if state := is(dyad.PhaseEnded); state.Err != nil {
		t.Errorf("it ended with %v", state.Err)
	}
	for state := range alice.States(alice.ctx) {
		if state.Phase != dyad.PhaseEnded {
			t.Errorf("after Close the state is %v", state)
		}
	}
}

func TestAMethodThatIsCalledForAStateMeetsThatState(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice := dial(t, net.address, "alice")
	sent, joined := make(chan error, 1), make(chan struct{})
	go func() {
		for state := range alice.States(alice.ctx) {
			if state.Phase == dyad.PhaseConnected {
				sent <- alice.SendCandidate(alice.ctx, candidate("alice", 0))
				<-joined
			}
		}
	}()
	roomID := alice.creates().ID
	alice.succeeds(<-sent)
	bob := dial(t, here.address, "bob")
	bob.joins(roomID)
	hears[*dyad.Refused](alice) // The room had no second participant yet.
	hears[dyad.PeerJoined](alice)
	close(joined)
	net.cut()
	alice.succeeds(<-sent)
	hears[dyad.Candidate](bob)
}

func TestEachStreamHasAnIDThatTheAppCanShow(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice := dial(t, net.address, "alice")
	is := watched(t, alice)
	if id := alice.StreamID(); id != "" {
		t.Errorf("before it connects, the id is %q", id)
	}
	alice.creates()
	first := alice.StreamID()
	if !regexp.MustCompile("^[0-9a-f]{16}$").MatchString(first) {
		t.Errorf("the id is %q", first)
	}
	is(dyad.PhaseConnected)
	net.cut()
	is(dyad.PhaseReconnecting)
	is(dyad.PhaseConnected)
	second := alice.StreamID()
	if second == first || len(second) != len(first) {
		t.Errorf("after a reconnect the id is %q, and was %q", second, first)
	}
	alice.succeeds(alice.Close())
	if id := alice.StreamID(); id != second {
		t.Errorf("after the end the id is %q, and was %q", id, second)
	}
}

func TestAnEndedConnectionMayEnterARoomAgain(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, roomID := pair(t, net.address, here.address, dyad.WithoutResume())
	net.cut()
	alice.hearsEndFor(dyad.ErrUnavailable)
	if state := alice.State(); state.Phase != dyad.PhaseEnded || !errors.Is(state.Err, dyad.ErrUnavailable) {
		t.Errorf("the state is %v", state)
	}
	if err := alice.SendOffer(alice.ctx, "v=0"); !errors.Is(err, dyad.ErrUnavailable) {
		t.Errorf("an offer: %v", err)
	}
	bob.hearsPeerLeave(dyad.DepartureDisconnected)
	alice.joins(roomID)
	hears[dyad.PeerJoined](bob)
}

func TestTheStatesEndWithTheirContext(t *testing.T) {
	alice := dialWith(t, "127.0.0.1:1", dyad.Token("x"))
	ctx, cancel := context.WithCancel(alice.ctx)
	defer cancel()
	for range alice.States(ctx) {
		cancel()
	}
}
