package dyad_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestAQuietCallOutlivesItsLease(t *testing.T) {
	t.Parallel()
	here := serve(t, "--heartbeat", "0.5", "--lease", "10")
	way := relayed(t, here.address)
	alice, bob, _ := pair(t, way.address, here.address)
	way.hearsAnswers(t, 24)
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0"))
	hears[dyad.Offer](bob)
	bob.succeeds(bob.SendAnswer(bob.ctx, "v=0"))
	hears[dyad.Answer](alice)
}

func TestHeartbeatsAreAnsweredWhileTheAppTakesNoEvents(t *testing.T) {
	t.Parallel()
	here := serve(t, "--heartbeat", "0.5", "--max-frames-per-second", "100000",
		"--max-bytes-per-second", "1000000", "--max-waiting-bytes", "8000000")
	way := relayed(t, here.address)
	alice, bob, _ := pair(t, way.address, here.address, fast)
	const sent = 3000
	for n := range sent {
		bob.succeeds(bob.SendCandidate(bob.ctx, candidate("bob", n)))
	}
	// Alice's client receives all frames while her app has taken no event yet.
	bob.succeeds(bob.SendOffer(bob.ctx, "v=0"))
	way.hearsAnswers(t, 5)
	for n := range sent {
		if heard := hears[dyad.Candidate](alice); heard.Candidate != candidate("bob", n).Candidate {
			t.Fatalf("Alice heard %q, not number %d", heard.Candidate, n)
		}
	}
	hears[dyad.Offer](alice)
}

func TestASilentServerIsNoticedBehindAProxyThatAnswersPings(t *testing.T) {
	t.Parallel()
	// With a long lease the server notices nothing, so Alice must.
	here := serve(t, "--lease", "600", "--resume-grace", "600")
	way := relayed(t, here.address)
	alice, bob, _ := pair(t, way.address, here.address)
	way.hang()
	hung := time.Now()
	bob.succeeds(bob.SendOffer(bob.ctx, "v=0 into the void"))
	cause := hears[dyad.Reconnecting](alice).Cause
	if took := time.Since(hung); took < 20*time.Second || !errors.Is(cause, dyad.ErrUnavailable) {
		t.Errorf("after %s it broke with %v", took, cause)
	}
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	if heard := hears[dyad.Offer](alice); heard.SDP != "v=0 into the void" {
		t.Errorf("Alice heard %+v", heard)
	}
}

func TestAnAppThatTakesNoEventsEndsItsConnection(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "0.2", "--max-waiting-bytes", "8000000",
		"--max-bytes-per-second", "1000000")
	alice, bob, _ := pair(t, here.address, here.address, fast)
	offer := string(make([]byte, 60<<10))
	for range 18 {
		bob.succeeds(bob.SendOffer(bob.ctx, offer))
	}
	hears[dyad.PeerLeft](bob)
	// The events that arrived can still be taken. After them comes the end.
	for range 18 {
		hears[dyad.Offer](alice)
	}
	err := alice.hearsEnd()
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrOverloaded) || !errors.As(err, &ended) || ended.Retryable() {
		t.Errorf("it ended with %v", err)
	}
}
