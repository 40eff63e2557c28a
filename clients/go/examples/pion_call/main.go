// Pion_call places a real video call over Dyad, with pion as the WebRTC of both
// sides or of one.
//
//	go run . -target localhost:50051 -plaintext -token "$TOKEN"
//	go run . -target localhost:50051 -plaintext -token "$OTHER" -room ID
//
// The first command creates a room and prints its id. The second joins it. Each sends
// generated pictures and counts those it receives. A browser may be either side.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/pion/webrtc/v4"
)

func main() {
	target := flag.String("target", "", "the Dyad server, `HOST:PORT`")
	token := flag.String("token", "", "the app's `JWT`")
	room := flag.String("room", "", "join the room of this `ID`; else create one")
	frames := flag.Int64("frames", 0, "hang up after `N` pictures received")
	stun := flag.String("stun", "stun:stun.l.google.com:19302", "the `URL` of a STUN server; empty for none")
	plaintext := flag.Bool("plaintext", false, "use no TLS")
	flag.Parse()
	if *target == "" || *token == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	var options []dyad.Option
	if *plaintext {
		options = append(options, dyad.WithPlaintext())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var servers []webrtc.ICEServer
	if *stun != "" {
		servers = []webrtc.ICEServer{{URLs: []string{*stun}}}
	}
	received, err := place(ctx, *target, *token, *room, *frames, servers, options)
	fmt.Println("frames", received)
	if err != nil {
		fmt.Println("ended:", err)
	}
	if err != nil || received < *frames {
		os.Exit(1)
	}
}

// place places the call. It returns how many pictures were received.
func place(
	ctx context.Context, target, token, roomID string, frames int64,
	servers []webrtc.ICEServer, options []dyad.Option,
) (int64, error) {
	connection, err := dyad.Dial(target, dyad.Token(token), options...)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	enter := connection.Create
	if roomID != "" {
		enter = func(ctx context.Context) (dyad.Room, error) { return connection.Join(ctx, roomID) }
	}
	room, err := enter(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Println("room", room.ID)
	negotiating, enough := context.WithCancel(ctx)
	defer enough()
	pictures := &counter{wanted: frames, enough: enough}
	if err := call(negotiating, connection, room, servers, pictures); err != nil && !errors.Is(err, context.Canceled) {
		return pictures.received.Load(), err
	}
	// Hang up, even if the user interrupted the program.
	return pictures.received.Load(), connection.Close()
}
