// Package dyad is the Go client of Dyad: 1:1 call signaling for WebRTC.
//
// It carries offers, answers and ICE candidates between two participants. The
// WebRTC itself is up to the app. The client reconnects by itself and loses no
// frame. [Reconnecting] and [Reconnected] report that.
package dyad

import (
	"context"
	"time"

	"google.golang.org/grpc/credentials"
)

const giveUpAfter = time.Minute

// A TokenSource returns the app's JWT. The client calls it each time it opens a
// stream. It must not return a token that is about to expire.
type TokenSource func(ctx context.Context) (string, error)

// Token is the source of one JWT that never changes.
func Token(jwt string) TokenSource {
	return func(context.Context) (string, error) { return jwt, nil }
}

// An Option changes what [Dial] does.
type Option func(*Conn)

// WithTransportCredentials uses TLS, with the result of [credentials.NewTLS].
// Without it, [Dial] uses plain text.
func WithTransportCredentials(transport credentials.TransportCredentials) Option {
	return func(c *Conn) { c.dialer.credentials = transport }
}

// WithoutResume does not ask the server to reserve the seat. If the network
// connection breaks, the [Conn] is over, and the peer is told at once.
func WithoutResume() Option {
	return func(c *Conn) { c.resumable = false }
}

// WithGiveUpAfter changes how long to try to reconnect when the connection
// breaks. The default is 60 seconds.
func WithGiveUpAfter(duration time.Duration) Option {
	return func(c *Conn) { c.giveUpAfter = duration }
}

// Dial opens a connection to the server. The context is for the opening; the
// connection then lives until [Conn.Close].
//
// The target is the server, as gRPC names it: host:port. The error is an
// *[Ended], ctx's, or the token source's. If the server rejects the token, the
// first method of the connection returns that error.
func Dial(ctx context.Context, target string, token TokenSource, options ...Option) (*Conn, error) {
	c := &Conn{
		dialer:      dialer{target: target, token: token},
		resumable:   true,
		giveUpAfter: giveUpAfter,
		over:        make(chan struct{}),
		changed:     make(chan struct{}),
		session:     &session{},
		replies:     make(map[uint64]*reply),
	}
	for _, option := range options {
		option(c)
	}
	s, err := c.dialer.open(ctx)
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go func() {
		defer cancel()
		c.run(running, s)
	}()
	return c, nil
}
