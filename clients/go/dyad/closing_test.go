package dyad_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func (e *end) hearsPeerLeave(reason dyad.Departure) {
	e.t.Helper()
	if heard := hears[dyad.PeerLeft](e); heard.Reason != reason {
		e.t.Errorf("heard that the peer left: %s, not %s", heard.Reason, reason)
	}
}

func TestClosingHangsUp(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	alice.succeeds(alice.Close())
	bob.hearsPeerLeave(dyad.DepartureLeft)
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice closed, and heard %v", err)
	}
	if err := alice.SendOffer(alice.ctx, "v=0"); !errors.Is(err, dyad.ErrClosed) {
		t.Errorf("an offer after that: %v", err)
	}
	if _, err := alice.Create(alice.ctx); !errors.Is(err, dyad.ErrClosed) {
		t.Errorf("a room after that: %v", err)
	}
	alice.succeeds(alice.Leave(alice.ctx))
	alice.succeeds(alice.Close())
	alice.succeeds(alice.Detach())
}

func TestClosingDeliversWhatWasSentBefore(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	for n := range 100 {
		alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", n)))
	}
	alice.succeeds(alice.Close())
	for n := range 100 {
		if heard := hears[dyad.Candidate](bob); heard.Candidate != candidate("alice", n).Candidate {
			t.Fatalf("number %d is %s", n, heard.Candidate)
		}
	}
	bob.hearsPeerLeave(dyad.DepartureLeft)
}

func TestClosingWhileDisconnectedHangsUpOnceTheNetworkIsBack(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address)
	alice.loses(net)
	closed := make(chan error, 1)
	go func() { closed <- alice.Close() }()
	alice.succeeds(alice.AwaitLeaving(alice.ctx))
	net.accept()
	alice.succeeds(<-closed)
	bob.hearsPeerLeave(dyad.DepartureLeft)
}

func TestClosingReturnsWithinItsTimeAndGoesOnToHangUp(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address)
	alice.loses(net)
	began := time.Now()
	err := alice.Close()
	if took := time.Since(began); took > 7*time.Second || err == nil {
		t.Errorf("after %s it returned %v", took, err)
	}
	net.accept()
	bob.hearsPeerLeave(dyad.DepartureLeft)
}

func TestClosingInTheMomentOfTheReconnectLeavesNoGhost(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	for range 10 {
		alice, bob, roomID := pair(t, net.address, here.address)
		net.cut()
		for state := range alice.States(alice.ctx) {
			if state.Phase == dyad.PhaseConnected && reconnected(alice) {
				break
			}
		}
		alice.succeeds(alice.Close())
		bob.hearsPeerLeave(dyad.DepartureLeft)
		// Her seat is free.
		carol := dial(t, here.address, "carol")
		carol.joins(roomID)
		carol.succeeds(carol.Close())
		bob.succeeds(bob.Close())
	}
}

// reconnected reports whether Reconnected is among the next events, after Reconnecting.
func reconnected(e *end) bool {
	e.t.Helper()
	if _, ok := nextOf[dyad.Reconnecting](e); !ok {
		e.t.Fatal("it did not break")
	}
	return hears[dyad.Reconnected](e).Resumed
}

func TestDetachingKeepsTheSeat(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, roomID := pair(t, here.address, here.address)
	alice.offers("v=0")
	alice.succeeds(alice.Detach())
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice detached, and heard %v", err)
	}
	bob.hearsOffer("v=0")
	// Bob hears of her only when she joins again.
	restarted := dial(t, here.address, "alice")
	restarted.joins(roomID)
	bob.hearsPeerLeave(dyad.DepartureReplaced)
	hears[dyad.PeerJoined](bob)
}

func TestADetachedSeatIsReleasedAfterItsGraceTime(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "0.5")
	alice, bob, _ := pair(t, here.address, here.address)
	alice.succeeds(alice.Detach())
	bob.hearsPeerLeave(dyad.DepartureDisconnected)
}

func TestLeavingTwiceAndWithoutARoomIsHarmless(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	alice.succeeds(alice.Leave(alice.ctx))
	alice.succeeds(alice.Leave(alice.ctx))
	bob.hearsPeerLeave(dyad.DepartureLeft)
	carol := dial(t, here.address, "carol")
	carol.succeeds(carol.Leave(carol.ctx))
	carol.creates()
}

func TestAConnectionWithoutARoomLastsUntilItIsAskedForOne(t *testing.T) {
	t.Parallel()
	here := serve(t, "--join-timeout", "0.2")
	alice := dial(t, here.address, "alice")
	roomID := alice.creates().ID
	bob := dial(t, here.address, "bob")
	bob.joins(roomID)
	alice.succeeds(alice.Leave(alice.ctx))
	bob.hearsPeerLeave(dyad.DepartureLeft)
	awaitJoinTimeout(t, here.address)
	again := alice.joins(roomID)
	if again.Peer == nil || again.Peer.UserID != "bob" {
		t.Errorf("Alice joined %+v", again)
	}
}

func TestACancelledCreateLeavesNothingOnTheServer(t *testing.T) {
	t.Parallel()
	here := serve(t)
	roomID := dial(t, here.address, "bob").creates().ID
	way := relayed(t, here.address)
	alice := dial(t, way.address, "alice")
	ctx, cancel := context.WithCancel(alice.ctx)
	// The join_room arrives, and its answer waits.
	way.holdAnswers(cancel)
	if _, err := alice.Join(ctx, roomID); !errors.Is(err, context.Canceled) {
		t.Fatalf("it returned %v", err)
	}
	if state := alice.State(); state.Phase != dyad.PhaseIdle {
		t.Errorf("the state is %v", state)
	}
	way.passAnswers()
	// There is a seat for Carol once Alice has left.
	carol := dial(t, here.address, "carol")
	for {
		_, err := carol.Join(carol.ctx, roomID)
		if err == nil {
			return
		}
		if !errors.Is(err, dyad.ErrRoomFull) {
			t.Fatal(err)
		}
	}
}

func TestACancelledCreateAsksTheServerForNothingIfItHasNoTokenYet(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	alice := dialWith(t, "127.0.0.1:1", func(context.Context) (string, error) {
		close(asked)
		<-release
		return "", errors.New("too late")
	})
	ctx, cancel := context.WithCancel(alice.ctx)
	go func() {
		<-asked
		cancel()
	}()
	if _, err := alice.Create(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it returned %v", err)
	}
}

func TestClosingReturnsWhateverTheTokenSourceDoes(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	jwt := token(t, "alice")
	release, asked := make(chan struct{}), make(chan struct{})
	defer close(release)
	first := true
	alice := dialWith(t, net.address, func(context.Context) (string, error) {
		if first {
			first = false
			return jwt, nil
		}
		close(asked)
		<-release
		return jwt, nil
	})
	alice.creates()
	net.cut()
	<-asked
	began := time.Now()
	if err := alice.Close(); err == nil || time.Since(began) > 7*time.Second {
		t.Errorf("after %s it returned %v", time.Since(began), err)
	}
}

func TestClosingLeavesNothingRunning(t *testing.T) {
	here := serve(t)
	alice := dial(t, here.address, "alice")
	alice.creates()
	alice.succeeds(alice.Close())
	late := time.Now().Add(patience)
	for running(t) && time.Now().Before(late) {
		runtime.Gosched()
	}
	if running(t) {
		t.Error("its goroutine is still running")
	}
}

func running(t *testing.T) bool {
	t.Helper()
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "dyad.(*participant).")
}

func TestADeferredCloseWithoutARoomDoesNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	alice := dialWith(t, listener.Addr().String(), dyad.Token("x"))
	alice.succeeds(alice.Close())
	for event, err := range alice.Events(alice.ctx) {
		t.Errorf("heard %v, %v", event, err)
	}
}
