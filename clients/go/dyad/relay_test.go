package dyad_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// relay is a gRPC proxy in front of the server. Like Envoy, it answers HTTP/2 pings
// itself, even if it no longer reaches the server.
type relay struct {
	dyadv1.UnimplementedSignalingServer
	address string
	server  dyadv1.SignalingClient
	// answers gets an item for each message without frames that goes to the server.
	answers chan struct{}

	mu sync.Mutex
	// keys and traces are the routing keys and the traceparents of all streams so far.
	keys, traces []string
	// hung is closed by hang. It belongs to the streams that are open now.
	hung chan struct{}
	// leaving is called before a leave_room is relayed to the server.
	leaving func()
	// held, if it is set, is closed by passAnswers. answered is called when the first
	// answer waits for that.
	held     chan struct{}
	answered func()
}

func relayed(t *testing.T, target string) *relay {
	t.Helper()
	onward, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{
		address: listener.Addr().String(),
		server:  dyadv1.NewSignalingClient(onward),
		answers: make(chan struct{}, 1000),
		hung:    make(chan struct{}),
	}
	here := grpc.NewServer()
	dyadv1.RegisterSignalingServer(here, r)
	go func() { _ = here.Serve(listener) }()
	t.Cleanup(func() {
		here.Stop()
		_ = onward.Close()
	})
	return r
}

// hearsAnswers waits until count more heartbeats have been answered.
func (r *relay) hearsAnswers(t *testing.T, count int) {
	t.Helper()
	late := time.After(patience)
	for n := range count {
		select {
		case <-r.answers:
		case <-late:
			t.Fatalf("%d heartbeats were answered, not %d", n, count)
		}
	}
}

// hang makes the open streams relay nothing more, in either direction, without
// ending them. Streams that are opened later work.
func (r *relay) hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.hung)
	r.hung = make(chan struct{})
}

// beforeLeave lets act run before a leave_room is relayed to the server.
func (r *relay) beforeLeave(act func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = act
}

// holdAnswers holds back what the server sends, and lets act run when there is something.
func (r *relay) holdAnswers(act func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.answered = make(chan struct{}), act
}

// passAnswers ends holdAnswers.
func (r *relay) passAnswers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.held)
	r.held = nil
}

// hold waits while answers are held back.
func (r *relay) hold() {
	r.mu.Lock()
	held, answered := r.held, r.answered
	r.answered = nil
	r.mu.Unlock()
	if answered != nil {
		answered()
	}
	if held != nil {
		<-held
	}
}

// keysSeen returns the routing keys of all streams so far.
func (r *relay) keysSeen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keys)
}

// tracesSeen returns the traceparents of all streams so far.
func (r *relay) tracesSeen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.traces)
}

// Signal relays one stream.
func (r *relay) Signal(near grpc.BidiStreamingServer[dyadv1.SignalRequest, dyadv1.SignalResponse]) error {
	ctx, cancel := context.WithCancel(near.Context())
	defer cancel()
	headers, _ := metadata.FromIncomingContext(ctx)
	authorization, keys := headers.Get("authorization"), headers.Get("dyad-routing-key")
	r.mu.Lock()
	hung := r.hung
	r.keys = append(r.keys, keys...)
	r.traces = append(r.traces, headers.Get("traceparent")...)
	r.mu.Unlock()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization[0])
	for _, key := range keys {
		ctx = metadata.AppendToOutgoingContext(ctx, "dyad-routing-key", key)
	}
	far, err := r.server.Signal(ctx)
	if err != nil {
		return err
	}
	go func() {
		for {
			request, err := near.Recv()
			if err != nil {
				_ = far.CloseSend()
				return
			}
			select {
			case <-hung:
				return
			default:
			}
			if len(request.GetFrames()) == 0 {
				r.answers <- struct{}{}
			}
			for _, frame := range request.GetFrames() {
				r.mu.Lock()
				leaving := r.leaving
				r.mu.Unlock()
				if frame.GetLeaveRoom() != nil && leaving != nil {
					leaving()
				}
			}
			// An error means that the stream is over, and the next read reports that.
			_ = far.Send(request)
		}
	}()
	for {
		response, err := far.Recv()
		select {
		case <-hung:
			<-ctx.Done()
			return ctx.Err()
		default:
		}
		if err != nil {
			near.SetTrailer(far.Trailer())
			return err
		}
		r.hold()
		if err := near.Send(response); err != nil {
			return err
		}
	}
}

// awaitJoinTimeout opens a stream without a room, and waits until the server ends it.
func awaitJoinTimeout(t *testing.T, target string) {
	t.Helper()
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token(t, "mallory"))
	stream, err := dyadv1.NewSignalingClient(connection).Signal(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("it ended with %v", err)
	}
}

// later is a server that asks every client to come back in an hour.
type later struct {
	dyadv1.UnimplementedSignalingServer
	address string
	// asked is closed when it has refused a client.
	asked chan struct{}
	once  sync.Once
}

func postponing(t *testing.T) *later {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &later{address: listener.Addr().String(), asked: make(chan struct{})}
	here := grpc.NewServer()
	dyadv1.RegisterSignalingServer(here, l)
	go func() { _ = here.Serve(listener) }()
	t.Cleanup(here.Stop)
	return l
}

// Signal refuses a stream.
func (l *later) Signal(near grpc.BidiStreamingServer[dyadv1.SignalRequest, dyadv1.SignalResponse]) error {
	near.SetTrailer(metadata.Pairs("dyad-status", "14", "retry-after-ms", "3600000"))
	l.once.Do(func() { close(l.asked) })
	return status.Error(codes.Unavailable, "The server is stopping.")
}
