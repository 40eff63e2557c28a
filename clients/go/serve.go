package dyad

import (
	"context"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
)

// Past this many events that nobody took, the stream is not read on.
const inboxEvents = 1024

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
		c.mu.Lock()
		// An error means that the call is over, and so says the next read.
		_ = c.wait(s.lifetime, func() bool {
			return len(c.inbox) < inboxEvents || len(c.replies) > 0 || c.closing
		})
		c.mu.Unlock()
	}
}

func (c *Conn) takeIn(frames []*dyadv1.Frame) *Ended {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	return c.arrive(frames)
}

// arrive takes in what is new among frames. Hold mu.
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
	return nil
}

// tell passes on what a frame says to whom it concerns. Hold mu.
func (c *Conn) tell(frame *dyadv1.Frame) {
	if frame.GetReplyTo() != 0 {
		// What an acknowledgement says holds even where nobody awaits it.
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
		c.inbox = append(c.inbox, event)
	}
}
