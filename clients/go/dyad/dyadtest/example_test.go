package dyadtest_test

import (
	"fmt"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
)

// greet is the code under test: it sends an offer to each peer that joins.
func greet(t *testing.T, connection *dyad.Conn) error {
	for event, err := range connection.Events(t.Context()) {
		if err != nil {
			return err
		}
		if _, joined := event.(dyad.PeerJoined); joined {
			return connection.SendOffer(t.Context(), "my SDP")
		}
	}
	return nil
}

func Example() {
	// In your code, this is func TestGreet(t *testing.T).
	_ = func(t *testing.T) {
		server := dyadtest.NewServer(t)
		alice, bob := server.Dial(t, "alice"), server.Dial(t, "bob")
		room, err := alice.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Join(t.Context(), room.ID); err != nil {
			t.Fatal(err)
		}
		server.Cut() // The clients resume, and nothing is lost.
		if err := greet(t, alice); err != nil {
			t.Fatal(err)
		}
		for event := range bob.Events(t.Context()) {
			if offer, ok := event.(dyad.Offer); ok {
				fmt.Println(offer.SDP)
				return
			}
		}
	}
}
