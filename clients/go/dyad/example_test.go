package dyad_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func Example() {
	ctx := context.Background()
	connection, err := dyad.Dial("calls.example.com:443", dyad.Token("the app's JWT"))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	room, err := connection.Create(ctx) // or: connection.Join(ctx, roomID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("room", room.ID)
	for event, err := range connection.Events(ctx) {
		var ended *dyad.Ended
		switch {
		case errors.As(err, &ended):
			log.Fatal(ended, ", connect again: ", ended.Retryable())
		case err != nil:
			log.Fatal(err)
		}
		switch event := event.(type) {
		case dyad.PeerJoined:
			err = connection.SendOffer(ctx, "my SDP")
		case dyad.Answer:
			fmt.Println("answer from", event.Sender.UserID)
		case dyad.Candidate:
			fmt.Println("candidate of", event.Sender.UserID)
		case dyad.PeerLeft:
			err = connection.Leave(ctx) // and the iteration ends
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
