package dyad

import (
	"context"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
)

// serve reads and writes until the stream is over. The error is why: *[Ended], errLeft, a
// *[Refused] for the join_room, or ErrClosed.
func (p *participant) serve(ctx context.Context, s *stream) error {
	c := p.conn
	defer context.AfterFunc(ctx, s.close)()
	c.mu.Lock()
	changes := p.networkChanges
	p.drop = s.close
	c.mu.Unlock()
	written := make(chan struct{})
	go func() {
		p.write(s)
		close(written)
	}()
	err := p.read(s)
	s.close()
	<-written
	c.mu.Lock()
	defer c.mu.Unlock()
	p.drop = func() {}
	_, broke := err.(*Ended)
	switch {
	case broke && ctx.Err() != nil:
		return context.Cause(ctx)
	case broke && p.detaching:
		return ErrClosed
	case broke && p.networkChanges != changes:
		return errNetworkChanged
	default:
		return err
	}
}

func (p *participant) write(s *stream) {
	for {
		request := p.nextRequest(s)
		switch {
		case request == nil:
			s.finish()
			return
		case !s.write(request):
			return
		}
		p.conn.mu.Lock()
		p.session.wrote()
		p.conn.mu.Unlock()
	}
}

// nextRequest waits for the next message to write. It returns nil if none will follow.
func (p *participant) nextRequest(s *stream) *dyadv1.SignalRequest {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	var request *dyadv1.SignalRequest
	err := c.waitTimed(s.lifetime, func() (bool, time.Duration) {
		now := time.Now()
		request = p.session.take(now)
		nothing := p.detaching && p.session.waitingBytes == 0
		return request != nil || nothing, p.session.delay(now)
	})
	if err != nil {
		return nil
	}
	if request != nil {
		c.notify()
	}
	return request
}

func (p *participant) read(s *stream) error {
	c := p.conn
	for {
		response, end := s.read()
		c.mu.Lock()
		p.nameStream(s)
		if end != nil {
			c.mu.Unlock()
			return end
		}
		before := p.seated
		if len(response.GetFrames()) == 0 {
			p.session.heartbeat()
		}
		err := p.receive(response.GetFrames())
		entered := p.seated && !before
		c.notify()
		c.mu.Unlock()
		if entered {
			c.log.Info("dyad: entered a room")
		}
		if err != nil {
			return err
		}
	}
}

// nameStream keeps the stream's name for StreamID, after something was read. c.mu must be held.
func (p *participant) nameStream(s *stream) {
	if id := s.id(); id != "" && p == p.conn.current {
		p.conn.streamID = id
	}
}
