package dyad_test

import (
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestAfterANetworkChangeItReconnectsAtOnce(t *testing.T) {
	t.Parallel()
	here := serve(t)
	way := relayed(t, here.address)
	alice, bob, _ := pair(t, way.address, here.address)
	// The old path carries nothing any more, and nothing says so.
	way.hang()
	bob.offers("v=0")
	began := time.Now()
	alice.NetworkChanged()
	if cause := hears[dyad.Reconnecting](alice).Cause; cause.Message != "The network changed." {
		t.Errorf("it broke with %v", cause)
	}
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	alice.hearsOffer("v=0")
	// By itself it would notice the silence after 25 seconds.
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("that took %s", took)
	}
}

// waits returns Alice, whose client waits for an hour before it reconnects, because a
// server asked for that, and Bob.
func waits(t *testing.T) (alice, bob *end) {
	t.Helper()
	here := serve(t)
	busy := postponing(t)
	net := through(t, here.address)
	alice, bob, _ = pair(t, net.address, here.address, dyad.WithGiveUpAfter(24*time.Hour))
	net.route(busy.address)
	net.cut()
	<-busy.asked
	is := watched(t, alice)
	for is(dyad.PhaseReconnecting).Try < 2 {
		continue
	}
	net.route(here.address)
	return alice, bob
}

func TestANetworkChangeEndsTheWaitForTheNextTry(t *testing.T) {
	t.Parallel()
	alice, _ := waits(t)
	alice.NetworkChanged()
	watched(t, alice)(dyad.PhaseConnected)
}

func TestClosingEndsTheWaitForTheNextTry(t *testing.T) {
	t.Parallel()
	alice, bob := waits(t)
	alice.succeeds(alice.Close())
	bob.hearsPeerLeave(dyad.DepartureLeft)
}

func TestANetworkChangeWithoutARoomDoesNothing(t *testing.T) {
	alice := dialWith(t, "127.0.0.1:1", dyad.Token("x"))
	alice.NetworkChanged()
	if state := alice.State(); state.Phase != dyad.PhaseIdle {
		t.Errorf("the state is %v", state)
	}
}

func TestANetworkChangeDoesNotEndACallThatCannotBeResumed(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address, dyad.WithoutResume())
	alice.NetworkChanged()
	bob.offers("v=0")
	alice.hearsOffer("v=0")
}
