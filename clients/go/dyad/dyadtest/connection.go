package dyadtest

import (
	"strconv"
	"strings"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type stream = grpc.BidiStreamingServer[dyadv1.SignalRequest, dyadv1.SignalResponse]

// connection is one stream. The server's mutex guards it.
type connection struct {
	user *dyadv1.Participant
	// member is nil if it is in no room. sent is then the number of its last frame.
	member *member
	sent   uint64
	queue  []*dyadv1.Frame
	// changed wakes the writer.
	changed chan struct{}
	// over is how it ends, or nil.
	over *end
}

// end is the end of a stream. code is OK if the client ended it.
type end struct {
	code    codes.Code
	message string
	// final says that the client must not reconnect.
	final bool
	// unmarked says that it looks like a broken network.
	unmarked bool
}

var (
	finished = &end{}
	broken   = &end{code: codes.Unavailable, message: "The connection broke.", unmarked: true}
	replaced = &end{code: codes.Aborted, message: "Another connection took the seat.", final: true}
	released = &end{code: codes.Aborted, message: "The seat is no longer reserved."}
	unknown  = &end{code: codes.Unauthenticated, message: "There is no token."}
)

// Signal implements the contract.
func (s *Server) Signal(near stream) error {
	headers, _ := metadata.FromIncomingContext(near.Context())
	userID, bearer := strings.CutPrefix(strings.Join(headers.Get("authorization"), ""), "Bearer ")
	if !bearer {
		return unknown.tell(near)
	}
	c := &connection{
		user:    &dyadv1.Participant{UserId: userID, Email: userID + "@example.com"},
		changed: make(chan struct{}, 1),
	}
	s.mu.Lock()
	s.connections[c] = struct{}{}
	s.mu.Unlock()
	go s.read(c, near)
	over := s.write(c, near)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c)
	s.disconnected(c)
	return over.tell(near)
}

func (s *Server) read(c *connection, near stream) {
	for {
		request, err := near.Recv()
		s.mu.Lock()
		if err != nil {
			c.end(finished)
			s.mu.Unlock()
			return
		}
		for _, frame := range request.GetFrames() {
			if c.over == nil {
				s.receive(c, frame)
			}
		}
		if c.member != nil && len(c.queue) == 0 && len(request.GetFrames()) > 0 {
			c.send(&dyadv1.Frame{})
		}
		s.mu.Unlock()
	}
}

func (s *Server) write(c *connection, near stream) *end {
	for {
		select {
		case <-c.changed:
		case <-near.Context().Done():
			return finished
		}
		s.mu.Lock()
		frames, over := c.queue, c.over
		c.queue = nil
		s.mu.Unlock()
		if len(frames) > 0 && over != broken && near.Send(&dyadv1.SignalResponse{Frames: frames}) != nil {
			return finished
		}
		if over != nil {
			return over
		}
	}
}

// send queues a frame, with an acknowledgement of what has arrived.
func (c *connection) send(frame *dyadv1.Frame) {
	if c.member != nil {
		frame.Ack = c.member.received
	}
	c.queue = append(c.queue, frame)
	c.wake()
}

func (c *connection) end(over *end) {
	if c.over == nil {
		c.over = over
		c.wake()
	}
}

func (c *connection) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// tell returns the end as a gRPC status, with the trailers of the real server.
func (e *end) tell(near stream) error {
	if !e.unmarked {
		near.SetTrailer(metadata.Pairs("dyad-status", strconv.Itoa(int(e.code))))
	}
	if e.final {
		near.SetTrailer(metadata.Pairs("retry-after-ms", "-1"))
	}
	return status.Error(e.code, e.message)
}
