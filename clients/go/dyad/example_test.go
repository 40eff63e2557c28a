package dyad_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
)

func Example() {
	ctx := context.Background()
	connection, err := dyad.Dial("calls.example.com:443", dyad.Token("the app's JWT"))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()            // hangs up
	room, err := connection.Create(ctx) // or: connection.Join(ctx, roomID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("room", room.ID)
	for event, err := range connection.Events(ctx) {
		var ended *dyad.Ended
		switch {
		case errors.As(err, &ended):
			log.Fatal(ended, ", join again: ", ended.Retryable())
		case err != nil:
			log.Fatal(err)
		}
		switch event := event.(type) {
		case dyad.PeerJoined:
			err = connection.SendOffer(ctx, "my SDP")
		case dyad.Answer:
			fmt.Println("answer from", event.Sender.UserID)
		case dyad.Candidate:
			fmt.Println("candidate from", event.Sender.UserID)
		case dyad.PeerLeft:
			err = connection.Leave(ctx) // and the iteration ends
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// Two users in one process, on the server that package dyadtest has for tests.
func ExampleConn() {
	ctx := context.Background()
	alice, bob := local("alice"), local("bob")
	room, err := alice.Create(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := bob.Join(ctx, room.ID); err != nil {
		log.Fatal(err)
	}
	if err := bob.SendOffer(ctx, "Bob's SDP"); err != nil {
		log.Fatal(err)
	}
	if err := bob.Close(); err != nil {
		log.Fatal(err)
	}
	for event, err := range alice.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.(type) {
		case dyad.PeerJoined:
			fmt.Println(event.Participant, "joined")
		case dyad.Offer:
			fmt.Println("offer:", event.SDP)
		case dyad.PeerLeft:
			fmt.Println(event.Participant, "left:", event.Reason)
			if err := alice.Close(); err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println(alice.State())
	// Output:
	// bob joined
	// offer: Bob's SDP
	// bob left: LEFT
	// ended
}

func ExampleConn_States() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	alice := local("alice")
	defer alice.Close()
	if _, err := alice.Create(ctx); err != nil {
		log.Fatal(err)
	}
	for state := range alice.States(ctx) {
		fmt.Println(state)
		cancel()
	}
	// Output: connected
}

func ExampleErrRoomNotFound() {
	alice := local("alice")
	defer alice.Close()
	_, err := alice.Join(context.Background(), "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10")
	fmt.Println(errors.Is(err, dyad.ErrRoomNotFound))
	// Output: true
}

var examples = sync.OnceValue(func() *dyadtest.Server { return dyadtest.NewServer(new(kept)) })

// kept is a test that never ends.
type kept struct{ testing.TB }

func (*kept) Cleanup(func()) {}

func local(userID string) *dyad.Conn {
	server := examples()
	connection, err := dyad.Dial(server.Target(), dyad.Token(userID), server.Options()...)
	if err != nil {
		log.Fatal(err)
	}
	return connection
}
