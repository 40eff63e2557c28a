package dyadtest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
)

// heard returns what a connection hears, one event at a time, as text.
func heard(t *testing.T, connection *dyad.Conn) func() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	next, stop := iter.Pull2(connection.Events(ctx))
	t.Cleanup(func() {
		stop()
		cancel()
	})
	return func() string {
		event, err, ok := next()
		switch event := event.(type) {
		case dyad.Offer:
			return "offer " + event.SDP
		case dyad.PeerJoined:
			return event.Participant.UserID + " joined"
		case dyad.PeerLeft:
			return fmt.Sprintf("%s left: %s", event.Participant, event.Reason)
		case dyad.Reconnected:
			return fmt.Sprintf("reconnected: %t", event.Resumed)
		default:
			return fmt.Sprintf("%T %v %t", event, err, ok)
		}
	}
}

func wants(t *testing.T, hear func() string, due ...string) {
	t.Helper()
	for _, want := range due {
		if got := hear(); got != want {
			t.Fatalf("heard %q, not %q", got, want)
		}
	}
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestACutIsResumedAndNothingIsLost(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, bob := server.Dial(t, "alice"), server.Dial(t, "bob")
	room, err := alice.Create(t.Context())
	succeeds(t, err)
	_, err = bob.Join(t.Context(), room.ID)
	succeeds(t, err)
	alices, bobs := heard(t, alice), heard(t, bob)
	wants(t, alices, "bob joined")
	for n := range 300 {
		if n%100 == 50 {
			server.Cut()
		}
		succeeds(t, bob.SendOffer(t.Context(), fmt.Sprint(n)))
	}
	for n := 0; n < 300; {
		switch got := alices(); got {
		case fmt.Sprint("offer ", n):
			n++
		case "dyad.Reconnecting <nil> true", "reconnected: true":
		default:
			t.Fatalf("heard %q, not offer %d", got, n)
		}
	}
	succeeds(t, alice.Close())
	for got := bobs(); got != "alice left: LEFT"; got = bobs() {
		if got != "dyad.Reconnecting <nil> true" && got != "reconnected: true" {
			t.Fatalf("heard %q", got)
		}
	}
}

func TestAReleasedSeatMakesANewSession(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, bob := server.Dial(t, "alice"), server.Dial(t, "bob")
	room, err := alice.Create(t.Context())
	succeeds(t, err)
	_, err = bob.Join(t.Context(), room.ID)
	succeeds(t, err)
	alices, bobs := heard(t, alice), heard(t, bob)
	server.CutAndRelease("bob")
	wants(t, bobs, "dyad.Reconnecting <nil> true", "reconnected: false")
	wants(t, alices, "bob joined", "bob left: DISCONNECTED", "bob joined")
}

func TestRefusalsAndTakeovers(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, bob, carol := server.Dial(t, "alice"), server.Dial(t, "bob"), server.Dial(t, "carol")
	room, err := alice.Create(t.Context())
	succeeds(t, err)
	succeeds(t, alice.SendOffer(t.Context(), "v=0"))
	alices := heard(t, alice)
	wants(t, alices, "*dyad.Refused <nil> true")
	joined, err := bob.Join(t.Context(), room.ID)
	succeeds(t, err)
	if !joined.Polite || joined.Peer.Email != "alice@example.com" || room.Polite {
		t.Errorf("Alice entered %+v, Bob %+v", room, joined)
	}
	if _, err := carol.Join(t.Context(), room.ID); !errors.Is(err, dyad.ErrRoomFull) {
		t.Errorf("a third participant: %v", err)
	}
	nowhere := "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
	if _, err := carol.Join(t.Context(), nowhere); !errors.Is(err, dyad.ErrRoomNotFound) {
		t.Errorf("no such room: %v", err)
	}
	bobs := heard(t, bob)
	phone := server.Dial(t, "bob")
	again, err := phone.Join(t.Context(), room.ID)
	succeeds(t, err)
	if !again.Polite {
		t.Errorf("the phone entered %+v", again)
	}
	wants(t, alices, "bob joined", "bob left: REPLACED", "bob joined")
	if got := bobs(); got[:5] != "<nil>" || bob.State().Phase != dyad.PhaseEnded {
		t.Errorf("Bob heard %q", got)
	}
	succeeds(t, phone.Leave(t.Context()))
	wants(t, alices, "bob left: LEFT")
}
