package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/pion"
	"github.com/pion/webrtc/v4"
)

// call negotiates until the peer leaves.
func call(
	ctx context.Context, connection *dyad.Conn, room dyad.Room, servers []webrtc.ICEServer, pictures *counter,
) error {
	var settings webrtc.SettingEngine
	// Both sides may be on one machine that has only the loopback interface.
	settings.SetIncludeLoopbackCandidate(true)
	peer := pion.NewPeer(ctx, connection, room, pion.Config{
		API:           webrtc.NewAPI(webrtc.WithSettingEngine(settings)),
		Configuration: webrtc.Configuration{ICEServers: servers},
		Setup:         func(pc *webrtc.PeerConnection) error { return setUp(ctx, pc, pictures) },
		Failed:        func(err error) { fmt.Println("a negotiation failed:", err) },
	})
	defer peer.Close()
	for event, err := range connection.Events(ctx) {
		if err != nil {
			return err
		}
		if err := peer.Handle(event); err != nil {
			return err
		}
		switch event := event.(type) {
		case dyad.PeerJoined:
			fmt.Println("peer joined")
		case dyad.PeerLeft:
			fmt.Printf("peer left (%s)\n", strings.ToLower(event.Reason.String()))
			if event.Reason != dyad.DepartureReplaced {
				return nil
			}
		case *dyad.Refused:
			fmt.Println(event)
		case dyad.Reconnecting:
			fmt.Println("reconnecting")
		case dyad.Reconnected:
			fmt.Println("reconnected")
		}
	}
	return nil
}

// setUp lets a new peer connection send the pulse and count the pictures that it receives.
func setUp(ctx context.Context, pc *webrtc.PeerConnection, pictures *counter) error {
	pc.OnTrack(pictures.count)
	connected, connect := context.WithCancel(context.Background())
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		fmt.Println(state)
		if state == webrtc.PeerConnectionStateConnected {
			connect()
		}
	})
	return send(ctx, pc, connected)
}
