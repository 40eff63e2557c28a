package dyad_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// expiring returns a token that expires in so many seconds. The server accepts it for
// 30 seconds more.
func expiring(t *testing.T, sub, seconds string) string {
	t.Helper()
	out, err := run(t, "token", "--sub", sub, "--ttl", seconds).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestATokenThatExpiresIsRenewedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	here := serve(t, "--end-at-expiry")
	first := expiring(t, "alice", "1")
	asked, renewed := 0, make(chan struct{})
	alice := dialWith(t, here.address, func(context.Context) (string, error) {
		if asked++; asked == 1 {
			return first, nil
		}
		close(renewed)
		return token(t, "alice"), nil
	})
	roomID := alice.creates().ID
	bob := dial(t, here.address, "bob")
	bob.joins(roomID)
	hears[dyad.PeerJoined](alice)
	sent := 0
	says := func() {
		bob.succeeds(bob.SendCandidate(bob.ctx, candidate("bob", sent)))
		sent++
	}
	for expired := false; !expired; says() {
		select {
		case <-renewed:
			expired = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	says()
	for heard, told := 0, 0; heard < sent || told < 2; {
		event, err, _ := alice.next()
		switch event := event.(type) {
		case dyad.Candidate:
			if want := candidate("bob", heard).Candidate; event.Candidate != want {
				t.Fatalf("Alice heard %q, not %q", event.Candidate, want)
			}
			heard++
		case dyad.Reconnecting:
			if told++; !errors.Is(event.Cause, dyad.ErrUnauthenticated) {
				t.Errorf("it broke with %v", event.Cause)
			}
		case dyad.Reconnected:
			if told++; !event.Resumed {
				t.Error("the session was not resumed")
			}
		default:
			t.Fatalf("Alice heard %#v, %v", event, err)
		}
	}
}

func TestAFixedTokenThatExpiresEndsTheConnectionWithTheServersSentence(t *testing.T) {
	t.Parallel()
	here := serve(t, "--end-at-expiry")
	alice := dialWith(t, here.address, dyad.Token(expiring(t, "alice", "1")))
	alice.creates()
	if cause := hears[dyad.Reconnecting](alice).Cause; !errors.Is(cause, dyad.ErrUnauthenticated) {
		t.Errorf("it broke with %v", cause)
	}
	err := alice.hearsEnd()
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrUnauthenticated) || !errors.As(err, &ended) || ended.Retryable() {
		t.Fatalf("it ended with %v", err)
	}
	if !strings.Contains(ended.Message, "expired") {
		t.Errorf("it ended with %q", ended.Message)
	}
}
