package dyad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// A frozen server or a silent network is noticed within 13 seconds. gRPC for Go
	// pings after 10 seconds at the earliest, even if a shorter time is set.
	pingAfter   = 10 * time.Second
	pingTimeout = 3 * time.Second
	// A server that sends nothing for this long, not even a heartbeat, is gone.
	// Pings do not notice that if a proxy in between answers them.
	silenceTimeout = 25 * time.Second
	// How much the server may send before this side reads. With a fixed window gRPC for Go
	// does not measure the network with a ping for each message that it receives: without
	// the pings a call costs the server a fifth less CPU.
	windowBytes = 1 << 20
	// How long one try to connect may take.
	connectTimeout = 5 * time.Second
)

// dialer opens streams. Each stream has a gRPC connection of its own, because gRPC
// itself does not reconnect after the waits of docs/protocol.md.
type dialer struct {
	target      string
	token       TokenSource
	credentials credentials.TransportCredentials
	// dial makes network connections. Nil: as gRPC does.
	dial func(ctx context.Context, address string) (net.Conn, error)
	// asking holds one item while the token source is being asked.
	asking chan struct{}
}

func newDialer(target string, token TokenSource) dialer {
	return dialer{
		target:      target,
		token:       token,
		credentials: credentials.NewTLS(nil),
		asking:      make(chan struct{}, 1),
	}
}

// ask returns the app's token. It returns when ctx ends, whatever the token source does.
func (d *dialer) ask(ctx context.Context) (string, error) {
	type answer struct {
		token string
		err   error
	}
	select {
	case d.asking <- struct{}{}:
	case <-ctx.Done():
		return "", &tokenError{ctx.Err()}
	}
	answers := make(chan answer, 1)
	go func() {
		token, err := d.token(ctx)
		<-d.asking
		answers <- answer{token, err}
	}()
	select {
	case got := <-answers:
		if got.err != nil {
			return "", &tokenError{got.err}
		}
		return got.token, nil
	case <-ctx.Done():
		return "", &tokenError{ctx.Err()}
	}
}

// stream is one Signal stream. No other type knows how gRPC behaves. At most one read
// and one write may be under way.
type stream struct {
	connection *grpc.ClientConn
	rpc        dyadv1.Signaling_SignalClient
	// lifetime is cancelled by close.
	lifetime context.Context
	cancel   context.CancelFunc
}

// open opens a stream to enter a room, or to create one if roomID is empty. The end of ctx
// ends only the opening, not the open stream. The error is an *[Ended] or a *tokenError.
func (d *dialer) open(ctx context.Context, roomID string) (*stream, error) {
	token, err := d.ask(ctx)
	if err != nil {
		return nil, err
	}
	if why := unusable(token); why != "" {
		return nil, &Ended{Code: codes.Unauthenticated, Message: why, told: true}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(d.credentials),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.DefaultConfig,
			MinConnectTimeout: connectTimeout,
		}),
	}
	if d.dial != nil {
		options = append(options, grpc.WithContextDialer(d.dial))
	}
	connection, err := grpc.NewClient(d.target, options...)
	if err != nil {
		return nil, &Ended{Code: codes.Unavailable, Message: "The target cannot be used.", Cause: err, told: true}
	}
	lifetime, cancel := context.WithCancel(context.WithoutCancel(ctx))
	opening := context.AfterFunc(ctx, cancel)
	rpc, err := dyadv1.NewSignalingClient(connection).Signal(
		metadata.AppendToOutgoingContext(
			lifetime, "authorization", "Bearer "+token, routingHeader, routingKey(roomID, token),
		),
	)
	s := &stream{connection, rpc, lifetime, cancel}
	if !opening() {
		s.close()
		return nil, &Ended{Code: codes.Unavailable, Message: "Connecting took too long."}
	}
	if err != nil {
		s.close()
		return nil, endedOf(err, nil)
	}
	return s, nil
}

// read returns the next message. A read must always be under way: only read learns
// how the stream ended, or that the server has fallen silent.
func (s *stream) read() (*dyadv1.SignalResponse, *Ended) {
	silence := time.AfterFunc(silenceTimeout, s.cancel)
	response, err := s.rpc.Recv()
	inTime := silence.Stop()
	switch {
	case err == nil:
		return response, nil
	case !inTime:
		return nil, &Ended{
			Code:    codes.Unavailable,
			Message: fmt.Sprintf("The server sent nothing for %s.", silenceTimeout),
		}
	default:
		return nil, endedOf(err, s.rpc.Trailer())
	}
}

// id returns the stream's name in the server's log, or nothing. It does not block once read
// has returned.
func (s *stream) id() string {
	header, err := s.rpc.Header()
	if values := header.Get("dyad-stream-id"); err == nil && len(values) > 0 {
		return values[0]
	}
	return ""
}

// write sends a message. It returns false if the stream is over; read returns why.
func (s *stream) write(request *dyadv1.SignalRequest) bool {
	return s.rpc.Send(request) == nil
}

// finish tells the server that the client has written its last message.
func (s *stream) finish() {
	// It fails only if the stream is over, and read reports that.
	_ = s.rpc.CloseSend()
}

// close ends the stream at once.
func (s *stream) close() {
	s.cancel()
	// The only possible error is that it was closed before.
	_ = s.connection.Close()
}

// unusable returns why a token cannot be used, or nothing.
func unusable(token string) string {
	if token == "" {
		return "The token source returned an empty token."
	}
	for _, character := range []byte(token) {
		if character < ' ' || character > '~' {
			return "The token has characters that a header must not have."
		}
	}
	return ""
}

// endedOf returns the error for the end of a stream.
func endedOf(err error, trailer metadata.MD) *Ended {
	said := status.Convert(err)
	if errors.Is(err, io.EOF) {
		said = status.New(codes.OK, "The server ended the stream.")
	}
	end := &Ended{Code: said.Code(), Message: said.Message()}
	// Dyad marks its own statuses. Any other comes from a proxy, or from gRPC itself.
	mark := strconv.Itoa(int(end.Code))
	end.told = slices.Contains(trailer.Get("dyad-status"), mark)
	if values := trailer.Get("retry-after-ms"); end.told && len(values) > 0 {
		if ms, err := strconv.ParseInt(values[0], 10, 32); err == nil {
			end.RetryAfter = time.Duration(ms) * time.Millisecond
		}
	}
	return end
}
