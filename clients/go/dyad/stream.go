package dyad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// A server that froze, or a network that went silent, is noticed within 13
	// seconds. gRPC for Go pings no earlier than after 10, whatever one asks.
	pingAfter   = 10 * time.Second
	pingTimeout = 3 * time.Second
	// A server that sends nothing for so long, not even a heartbeat, is gone: a
	// proxy in between may answer pings for it.
	silenceTimeout = 25 * time.Second
	// How long one try to connect may take.
	connectTimeout = 5 * time.Second
)

// dialer opens streams, each over a connection of its own: gRPC's waits before
// connecting again are not those of docs/protocol.md.
type dialer struct {
	target      string
	token       TokenSource
	credentials credentials.TransportCredentials
}

// stream is one Signal call: the only place that knows how gRPC behaves. Have
// one read under way at a time, and one write.
type stream struct {
	connection *grpc.ClientConn
	call       dyadv1.Signaling_SignalClient
	// lifetime ends with close.
	lifetime context.Context
	cancel   context.CancelFunc
}

// open opens a stream. When ctx ends, so does the opening, but not the stream.
// The error is an *[Ended], ctx's, or the token source's.
func (d *dialer) open(ctx context.Context) (*stream, error) {
	token, err := d.token(ctx)
	if err != nil {
		return nil, err
	}
	if !fitsHeader(token) {
		return nil, &Ended{
			Code:    codes.Unauthenticated,
			Message: "The token has characters that no header may have.",
		}
	}
	transport := d.credentials
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	connection, err := grpc.NewClient(
		d.target,
		grpc.WithTransportCredentials(transport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.DefaultConfig,
			MinConnectTimeout: connectTimeout,
		}),
	)
	if err != nil {
		return nil, err
	}
	lifetime, cancel := context.WithCancel(context.WithoutCancel(ctx))
	opening := context.AfterFunc(ctx, cancel)
	call, err := dyadv1.NewSignalingClient(connection).Signal(
		metadata.AppendToOutgoingContext(lifetime, "authorization", "Bearer "+token),
	)
	s := &stream{connection, call, lifetime, cancel}
	if !opening() {
		s.close()
		return nil, ctx.Err()
	}
	if err != nil {
		s.close()
		return nil, endedOf(err, nil)
	}
	return s, nil
}

// read returns the next message. It must always be under way: only it learns
// how the call ended, or that the server has fallen silent.
func (s *stream) read() (*dyadv1.SignalResponse, *Ended) {
	silence := time.AfterFunc(silenceTimeout, s.cancel)
	response, err := s.call.Recv()
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
		return nil, endedOf(err, s.call.Trailer())
	}
}

// write sends a message. False: the call is over, and only read knows why.
func (s *stream) write(request *dyadv1.SignalRequest) bool {
	return s.call.Send(request) == nil
}

// finish tells the server that no more will be written.
func (s *stream) finish() {
	// It cannot fail but where the call is over, and read tells that.
	_ = s.call.CloseSend()
}

// close ends the call here and now.
func (s *stream) close() {
	s.cancel()
	// Closing twice is all that can go wrong.
	_ = s.connection.Close()
}

func fitsHeader(token string) bool {
	for _, character := range []byte(token) {
		if character < ' ' || character > '~' {
			return false
		}
	}
	return true
}

// endedOf returns the error for how a call ended.
func endedOf(err error, trailer metadata.MD) *Ended {
	if errors.Is(err, io.EOF) {
		return &Ended{Code: codes.OK, Message: "The server ended the call."}
	}
	said := status.Convert(err)
	end := &Ended{Code: said.Code(), Message: said.Message()}
	if values := trailer.Get("retry-after-ms"); len(values) > 0 {
		if ms, err := strconv.ParseInt(values[0], 10, 32); err == nil {
			end.RetryAfter = time.Duration(ms) * time.Millisecond
		}
	}
	return end
}
