package dyad_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestACutLosesNothing(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, roomID := pair(t, net.address, here.address)
	const cuts, each = 5, 40
	for round := range cuts {
		for n := range each {
			if n == each/2 {
				net.cut()
			}
			alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", round*each+n)))
			bob.succeeds(bob.SendCandidate(bob.ctx, candidate("bob", round*each+n)))
		}
		// Bob does not notice the cut, and nothing is missing.
		for n := range each {
			heard := hears[dyad.Candidate](bob)
			if want := candidate("alice", round*each+n).Candidate; heard.Candidate != want {
				t.Fatalf("Bob heard %q, not %q", heard.Candidate, want)
			}
		}
		heard, told := 0, 0
		for heard < each || told < 2 {
			event, err, _ := alice.next()
			switch event := event.(type) {
			case dyad.Candidate:
				if want := candidate("bob", round*each+heard).Candidate; event.Candidate != want {
					t.Fatalf("Alice heard %q, not %q", event.Candidate, want)
				}
				heard++
			case dyad.Reconnecting:
				if told++; event.Cause == nil {
					t.Error("Alice was not told why")
				}
			case dyad.Reconnected:
				told++
				if room := event.Room; !event.Resumed || room.ID != roomID || room.Polite || room.Peer.UserID != "bob" {
					t.Errorf("Alice reconnected to %+v", event)
				}
			default:
				t.Fatalf("Alice heard %#v, %v", event, err)
			}
		}
	}
}

func TestFramesSentWhileDisconnectedArrive(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address)
	alice.loses(net)
	alice.offers("v=0 from the tunnel")
	bob.offers("v=0 into the tunnel")
	net.accept()
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	alice.hearsOffer("v=0 into the tunnel")
	bob.hearsOffer("v=0 from the tunnel")
}

func TestAHangUpWhileDisconnectedArrives(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address)
	alice.loses(net)
	alice.leavesOver(net)
	if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureLeft {
		t.Errorf("Bob heard %+v", heard)
	}
}

func TestAHangUpAfterTheGraceTimeSucceeds(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "0.2")
	net := through(t, here.address)
	alice, bob, roomID := pair(t, net.address, here.address)
	alice.loses(net)
	hears[dyad.PeerLeft](bob)
	alice.leavesOver(net)
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice left, and heard %v", err)
	}
	// She did not take a seat again in order to leave, so there is one for Carol.
	carol := dial(t, here.address, "carol")
	carol.joins(roomID)
	hears[dyad.PeerJoined](bob)
}

func TestAfterTheGraceTimeTheClientJoinsAgainInANewSession(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "1")
	net := through(t, here.address)
	alice, bob, roomID := pair(t, net.address, here.address)
	alice.loses(net)
	if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureDisconnected {
		t.Errorf("Bob heard %+v", heard)
	}
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0 of the old session"))
	net.accept()
	back := hears[dyad.Reconnected](alice)
	if back.Resumed || back.Room.ID != roomID || back.Room.Peer.UserID != "bob" {
		t.Errorf("Alice reconnected to %+v", back)
	}
	hears[dyad.PeerJoined](bob)
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0 of the new session"))
	if heard := hears[dyad.Offer](bob); heard.SDP != "v=0 of the new session" {
		t.Errorf("Bob heard %+v", heard)
	}
	// And the new session resumes like any other.
	net.cut()
	hears[dyad.Reconnecting](alice)
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the new session was not resumed")
	}
}

func TestTheConnectionEndsIfTheRoomIsGoneToo(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "0.2")
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address)
	alice.loses(net)
	hears[dyad.PeerLeft](bob)
	bob.succeeds(bob.Leave(bob.ctx))
	net.accept()
	err := alice.hearsEnd()
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrRoomNotFound) || !errors.As(err, &ended) || ended.Retryable() {
		t.Errorf("it ended with %v", err)
	}
}

func TestAClientOfADrainedServerReconnectsElsewhere(t *testing.T) {
	t.Parallel()
	here, there := serve(t), serve(t)
	net := through(t, here.address)
	alice, _, _ := pair(t, net.address, here.address)
	net.route(there.address)
	if err := here.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The other server knows neither the seat nor the room.
	cause := hears[dyad.Reconnecting](alice).Cause
	if !errors.Is(cause, dyad.ErrUnavailable) || cause.RetryAfter == 0 {
		t.Errorf("it broke with %v, to reconnect after %s", cause, cause.RetryAfter)
	}
	if err := alice.hearsEnd(); !errors.Is(err, dyad.ErrRoomNotFound) || !errors.Is(err, dyad.ErrUnavailable) {
		t.Errorf("it ended with %v", err)
	}
}

func TestAFrozenServerIsNoticed(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	if err := here.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	frozen := time.Now()
	hears[dyad.Reconnecting](alice)
	if took := time.Since(frozen); took > 14*time.Second {
		t.Errorf("that took %s", took)
	}
	if err := here.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0"))
	for {
		if _, ok := nextOf[dyad.Offer](bob); ok {
			return
		}
	}
}
