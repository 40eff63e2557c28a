package dyad

import (
	"context"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// If more events than this wait for the app, the connection ends. It cannot stop
// reading instead, because then heartbeats would go unanswered.
const inboxBytes = 1 << 20

// serve reads and writes until the stream is over, and returns how it ended.
func (c *Conn) serve(ctx context.Context, s *stream) *Ended {
	defer context.AfterFunc(ctx, s.close)()
	written := make(chan struct{})
	go func() {
		c.write(s)
		close(written)
	}()
	end := c.read(s)
	s.close()
	<-written
	return end
}

func (c *Conn) write(s *stream) {
	for {
		c.mu.Lock()
		var request *dyadv1.SignalRequest
		err := c.wait(s.lifetime, func() bool {
			request = c.session.take()
			return request != nil || c.closing
		})
		if request != nil {
			c.notify()
		}
		c.mu.Unlock()
		switch {
		case err != nil:
			return
		case request == nil:
			s.finish()
			return
		case !s.write(request):
			return
		}
		c.mu.Lock()
		c.session.wrote()
		c.mu.Unlock()
	}
}

func (c *Conn) read(s *stream) *Ended {
	for {
		response, end := s.read()
		if end != nil {
			return end
		}
		if end := c.receive(response.GetFrames()); end != nil {
			return end
		}
	}
}

// receive processes a message from the server.
func (c *Conn) receive(frames []*dyadv1.Frame) *Ended {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	if len(frames) == 0 {
		c.session.heartbeat()
	}
	return c.arrive(frames)
}

// arrive processes the frames that are not repeats. c.mu must be held.
func (c *Conn) arrive(frames []*dyadv1.Frame) *Ended {
	for _, frame := range frames {
		fresh, end := c.session.arrive(frame)
		if end != nil {
			return end
		}
		if fresh {
			c.deliver(frame)
		}
	}
	if c.inboxBytes > inboxBytes {
		return &Ended{
			Code:       codes.ResourceExhausted,
			Message:    "The app left 1 MiB of events waiting.",
			RetryAfter: -1,
		}
	}
	return nil
}

// deliver passes a frame to the method that waits for it, or to the app as an event.
// c.mu must be held.
func (c *Conn) deliver(frame *dyadv1.Frame) {
	if frame.GetReplyTo() != 0 {
		// The answer counts even if the method no longer waits.
		switch {
		case frame.GetJoinRoom() != nil:
			c.session.entered(frame)
			c.left = false
		case frame.GetLeaveRoom() != nil:
			c.session.exited()
			c.leaving, c.left = nil, true
		case frame.GetError() != nil:
			c.session.entered(frame)
		}
		if answer, ok := c.replies[frame.GetReplyTo()]; ok {
			answer.frame = frame
			delete(c.replies, frame.GetReplyTo())
			return
		}
		if frame.GetError() == nil {
			return
		}
	}
	if event := eventOf(frame); event != nil {
		c.put(event, proto.Size(frame)+frameOverhead)
	}
}

// put queues an event for the app. c.mu must be held.
func (c *Conn) put(event Event, size int) {
	c.inbox = append(c.inbox, waiting{event, size})
	c.inboxBytes += size
}
