// Package dyadtest has a Dyad server for the tests of apps. It runs in the test's own
// process, without a network, and speaks the contract of the real server: rooms with two
// seats, roles, refusals, reserved seats that are resumed, and takeovers. It knows no
// limits, heartbeats or signed tokens: a token is the name of its user.
//
//	server := dyadtest.NewServer(t)
//	alice, bob := server.Dial(t, "alice"), server.Dial(t, "bob")
//	room, err := alice.Create(ctx)
package dyadtest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// Server is a Dyad server in this process.
type Server struct {
	dyadv1.UnimplementedSignalingServer
	listener *bufconn.Listener

	mu          sync.Mutex
	rooms       map[string]*room
	connections map[*connection]struct{}
}

// NewServer starts a server that stops when the test ends.
func NewServer(t testing.TB) *Server {
	s := &Server{
		listener:    bufconn.Listen(1 << 20),
		rooms:       make(map[string]*room),
		connections: make(map[*connection]struct{}),
	}
	serving := grpc.NewServer()
	dyadv1.RegisterSignalingServer(serving, s)
	go func() { _ = serving.Serve(s.listener) }()
	t.Cleanup(serving.Stop)
	return s
}

// Dial returns a connection of this user, which is closed when the test ends. The user's
// e-mail address is userID@example.com.
func (s *Server) Dial(t testing.TB, userID string, options ...dyad.Option) *dyad.Conn {
	t.Helper()
	connection, err := dyad.Dial(s.Target(), dyad.Token(userID), append(s.Options(), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// Target is the server's target for [dyad.Dial], together with [Server.Options].
func (s *Server) Target() string { return "passthrough:///dyadtest" }

// Options are the options that [dyad.Dial] needs to reach this server.
func (s *Server) Options() []dyad.Option {
	return []dyad.Option{dyad.WithPlaintext(), dyad.WithContextDialer(s.DialContext)}
}

// DialContext makes a network connection to the server, whatever the address.
func (s *Server) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	return s.listener.DialContext(ctx)
}

// Cut breaks every connection, as a network does. The clients reconnect and resume.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		c.end(broken)
	}
}

// CutAndRelease breaks the connection of one user and gives its seat away, as if the user
// had been away for longer than the grace time. The peer is told. The client joins again,
// and gets a [dyad.Reconnected] that is not resumed.
func (s *Server) CutAndRelease(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		if m := c.member; m != nil && m.user.GetUserId() == userID {
			m.connection = nil
			s.remove(m, dyadv1.LeaveRoom_REASON_DISCONNECTED)
			c.member = nil
			c.end(broken)
		}
	}
}
