package dyad

import (
	"context"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// More events than this may not wait for the app. If reading stopped, heartbeats
// would go unanswered, so the connection ends instead.
const inboxBytes = 1 << 20

// serve reads and writes until the stream is over, and says how it ended.
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
		if end := c.takeIn(response.GetFrames()); end != nil {
			return end
		}
	}
}

func (c *Conn) takeIn(frames []*dyadv1.Frame) *Ended {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	if len(frames) == 0 {
		c.session.heartbeat()
	}
	return c.arrive(frames)
}

// arrive processes the frames that are new. Hold mu.
func (c *Conn) arrive(frames []*dyadv1.Frame) *Ended {
	for _, frame := range frames {
		fresh, end := c.session.arrive(frame)
		if end != nil {
			return end
		}
		if fresh {
			c.tell(frame)
		}
	}
	if c.inboxBytes > inboxBytes {
		return &Ended{
			Code:       codes.ResourceExhausted,
			Message:    "The app took no events until 1 MiB of them waited.",
			RetryAfter: -1,
		}
	}
	return nil
}

// tell passes a frame to its caller, or to the app as an event. Hold mu.
func (c *Conn) tell(frame *dyadv1.Frame) {
	if frame.GetReplyTo() != 0 {
		// The answer counts even if its caller has been cancelled.
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

// put queues an event for the app. Hold mu.
func (c *Conn) put(event Event, size int) {
	c.inbox = append(c.inbox, waiting{event, size})
	c.inboxBytes += size
}
