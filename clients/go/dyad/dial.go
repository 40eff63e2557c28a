// Package dyad is the Go client of Dyad: 1:1 call signaling for WebRTC.
//
// It carries offers, answers and ICE candidates between two participants. [Dial] makes a
// [Conn], [Conn.Create] and [Conn.Join] enter a room, [Conn.Events] yields what the peer
// does, and [Conn.Close] hangs up. The client reconnects by itself and loses no frame.
// [Reconnecting] and [Reconnected] report that.
//
// The WebRTC itself is up to the app. For pion, there is the module
// github.com/dyad-signaling/dyad/clients/go/pion. Package dyadtest has a server for your
// tests.
package dyad

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const giveUpAfter = time.Minute

// A TokenSource returns the app's JWT. The client calls it each time it opens a stream,
// and never twice at the same time. It must not return a token that is about to expire.
// Let it return when its context ends. If it returns an error while the client reconnects,
// the client tries again. If it returns an empty token and no error, because the user is
// logged out, the client asks once more, and then ends with [ErrUnauthenticated].
type TokenSource func(ctx context.Context) (string, error)

// Token is the source of one JWT that never changes.
func Token(jwt string) TokenSource {
	return func(context.Context) (string, error) { return jwt, nil }
}

// settings are what Dial was told.
type settings struct {
	dialer      dialer
	limits      Limits
	resumable   bool
	giveUpAfter time.Duration
	log         *slog.Logger
}

// An Option changes what [Dial] does.
type Option func(*settings)

// WithTransportCredentials uses other TLS settings than the default, which trusts the
// system's certificate authorities. They are the result of [credentials.NewTLS].
func WithTransportCredentials(transport credentials.TransportCredentials) Option {
	return func(s *settings) { s.dialer.credentials = transport }
}

// WithPlaintext uses no TLS. Anybody on the way can then read the token and take over the
// call, so use it only on one machine or in a trusted network.
func WithPlaintext() Option {
	return WithTransportCredentials(insecure.NewCredentials())
}

// WithContextDialer makes network connections with dial, for instance through a proxy.
func WithContextDialer(dial func(ctx context.Context, address string) (net.Conn, error)) Option {
	return func(s *settings) { s.dialer.dial = dial }
}

// WithLogger logs what the connection does. Without it, nothing is logged. No token, SDP,
// candidate, e-mail address or id is ever logged.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) { s.log = log }
}

// WithLimits tells the client the limits of a server whose settings differ from the
// defaults. A limit that is 0 keeps its default.
func WithLimits(limits Limits) Option {
	return func(s *settings) {
		set := func(limit *int, to int) {
			if to > 0 {
				*limit = to
			}
		}
		set(&s.limits.FrameBytes, limits.FrameBytes)
		set(&s.limits.FramesPerSecond, limits.FramesPerSecond)
		set(&s.limits.BytesPerSecond, limits.BytesPerSecond)
	}
}

// WithoutResume does not ask the server to reserve the seat. If the network connection
// breaks, the participant is out of the room, and the peer is told at once.
func WithoutResume() Option {
	return func(s *settings) { s.resumable = false }
}

// WithGiveUpAfter changes how long to try to reconnect when the connection breaks. The
// default is 60 seconds.
func WithGiveUpAfter(duration time.Duration) Option {
	return func(s *settings) { s.giveUpAfter = duration }
}

// Dial returns a connection to the server at target, which is host:port. It uses TLS
// unless told otherwise. It does no network work: Create and Join do. The error says what
// is wrong with the arguments.
func Dial(target string, token TokenSource, options ...Option) (*Conn, error) {
	switch {
	case token == nil:
		return nil, errors.New("dyad: Dial needs a TokenSource: the token is nil")
	case target == "":
		return nil, errors.New("dyad: Dial needs a target, host:port: it is empty")
	case strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"):
		return nil, errors.New("dyad: the target is host:port, not a URL: TLS is the default, and WithPlaintext switches it off")
	}
	c := &Conn{
		settings: settings{
			dialer:      newDialer(target, token),
			limits:      defaultLimits,
			resumable:   true,
			giveUpAfter: giveUpAfter,
			log:         slog.New(slog.DiscardHandler),
		},
		monitor: newMonitor(),
		live:    make(map[*participant]struct{}),
	}
	for _, option := range options {
		option(&c.settings)
	}
	c.pace = newPace(c.limits, time.Now())
	return c, nil
}
