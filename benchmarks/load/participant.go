package main

import (
	"fmt"
)

// kind is what an event is about; the names are those of socket.io's events.
type kind string

const (
	joined    kind = "join_room"
	left      kind = "leave_room"
	offer     kind = "offer"
	answer    kind = "answer"
	candidate kind = "ice_candidate"
)

// event is what a participant hears of its peer: an SDP, or a candidate.
type event struct {
	kind    kind
	payload string
}

// participant is one end of a call, connected to a server in that server's own
// protocol. One goroutine may send while another receives.
type participant interface {
	// join creates a room where room is empty, or enters it. It returns the
	// room once the server has confirmed it.
	join(room string) (string, error)
	// send sends an offer, an answer or a candidate to the peer.
	send(event) error
	// receive returns what came next from the peer, in order. It answers the
	// server's heartbeats in between.
	receive() (event, error)
	// hangUp leaves the room and ends the connection in good order.
	hangUp() error
	// abort drops the connection.
	abort()
}

// beating is a participant whose client sends heartbeats by itself.
type beating interface {
	beat() error
}

// leaving is a participant whose seat is kept for a while, unless it leaves first.
type leaving interface {
	// leave asks to leave the room; the answer comes out of receive.
	leave() error
}

// negotiating is a participant who negotiates with the server, not with its peer.
type negotiating interface {
	negotiate(number uint64) error
}

// server is what to connect to.
type server struct {
	// Protocol names one of the dialers below.
	Protocol string `json:"protocol"`
	// Address is host:port.
	Address string `json:"address"`
	// Secret signs tokens with HS256.
	Secret string `json:"secret"`
	// Bare says that the gRPC server only relays: it confirms no leave_room
	// and numbers nothing.
	Bare bool `json:"bare"`
}

// dialer connects participants to one server.
type dialer interface {
	// connect returns a participant of this user.
	connect(user string) (participant, error)
	// greets says whether a participant who waits in a room is told who joined it.
	greets() bool
	close()
}

// dial returns the dialer for a server. Where shared, all participants use one
// network connection, which only gRPC can.
func dial(to server, shared bool) (dialer, error) {
	if shared && to.Protocol != "grpc" {
		return nil, fmt.Errorf("%s cannot share a connection", to.Protocol)
	}
	switch to.Protocol {
	case "grpc":
		return dialGRPC(to, shared)
	case "socket.io", "socket.io-polling":
		return &socketIODialer{to}, nil
	case "grpc-web":
		return &grpcWebDialer{to}, nil
	case "centrifugo":
		return &centrifugoDialer{to}, nil
	case "livekit":
		return &liveKitDialer{to}, nil
	case "peerjs":
		return &peerJSDialer{to}, nil
	default:
		return nil, fmt.Errorf("no protocol is called %q", to.Protocol)
	}
}

// expect receives one event and compares it with what must have come.
func expect(from participant, want event) error {
	got, err := from.receive()
	if err != nil {
		return fmt.Errorf("%s was due: %w", want.kind, err)
	}
	if got.kind != want.kind || got.payload != want.payload {
		return fmt.Errorf("%s of %d bytes came; %s of %d bytes was due",
			got.kind, len(got.payload), want.kind, len(want.payload))
	}
	return nil
}
