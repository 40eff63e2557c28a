package dyad

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
)

// How long one try to come back may take, from the token to the server's answer.
const tryTimeout = 10 * time.Second

// run serves one stream after the other until the connection is over.
func (c *Conn) run(ctx context.Context, s *stream) {
	back := &comeback{random: rand.Float64, giveUpAfter: c.giveUpAfter}
	for {
		end := c.serve(ctx, s)
		next, err := c.comeBack(ctx, back, end)
		if err != nil {
			c.finish(err)
			return
		}
		s = next
	}
}

// comeBack waits and tries until there is a new stream that goes on where the
// old one ended, or no point in it.
func (c *Conn) comeBack(ctx context.Context, back *comeback, end *Ended) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving != nil && end.replaced() && !c.closing {
		return c.startOver(ctx, end)
	}
	if c.session.token == "" || c.closing {
		return nil, end
	}
	wait, final := back.lost(end, c.session.progress(), time.Now())
	if final == nil {
		c.put(Reconnecting{end}, 0)
		c.notify()
	}
	for {
		if back.anew && c.leaving != nil {
			return c.startOver(ctx, end)
		}
		if final != nil {
			return nil, final
		}
		c.pause(ctx, wait)
		if c.closing {
			return nil, ErrClosed
		}
		s, err := c.try(ctx, back)
		if err == nil {
			back.succeeded(time.Now())
			return s, nil
		}
		wait, final = back.failed(err, time.Now())
	}
}

// startOver lets a Leave succeed whose seat is lost, and opens a stream for a new
// session once there is something to say. Hold mu.
func (c *Conn) startOver(ctx context.Context, end *Ended) (*stream, error) {
	c.leaving.frame = leaveRoom(c.session.roomID)
	c.abandon(end, c.leaving)
	c.session = &session{}
	c.leaving, c.left = nil, true
	c.notify()
	if err := c.wait(ctx, func() bool { return c.session.waitingBytes > 0 || c.closing }); err != nil {
		return nil, err
	}
	if c.closing {
		return nil, ErrClosed
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	s, err := c.dialer.open(ctx)
	var ended *Ended
	if err != nil && !errors.As(err, &ended) {
		return nil, &Ended{Code: codes.Unavailable, Message: "The app gave no token."}
	}
	return s, err
}

// pause waits, unless Close is called. Hold mu.
func (c *Conn) pause(ctx context.Context, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// That the time is up is what it waits for.
	_ = c.wait(ctx, func() bool { return c.closing })
}

// try opens a stream and takes up the session on it, or joins again. Hold mu.
func (c *Conn) try(ctx context.Context, back *comeback) (*stream, error) {
	going := c.session
	request := going.comeBack()
	if back.anew {
		going = &session{}
		going.put(joinRoom(c.session.roomID, true))
		request = going.take()
	}
	c.mu.Unlock()
	s, frames, err := c.dialer.enter(ctx, request)
	c.mu.Lock()
	if err != nil {
		return nil, err
	}
	if err := c.takeUp(going, frames, back.cause); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// takeUp goes on with a session, the old one or a new one, from the server's
// answer to what it began with; it is never empty. Hold mu.
func (c *Conn) takeUp(going *session, frames []*dyadv1.Frame, cause *Ended) error {
	answer := frames[0]
	resumed := going == c.session
	if resumed {
		if end := going.takeUp(answer); end != nil {
			return end
		}
		frames = frames[1:]
	} else {
		if answer.GetError() != nil {
			return refusedOf(answer.GetError())
		}
		c.begin(going, cause)
	}
	c.put(Reconnected{roomOf(answer), resumed}, 0)
	defer c.notify()
	if end := c.arrive(frames); end != nil {
		return end
	}
	return nil
}

// begin lets a new session stand in for the one that is lost. Hold mu.
func (c *Conn) begin(fresh *session, cause *Ended) {
	c.abandon(cause, c.leaving)
	if c.leaving != nil {
		c.replies[fresh.put(leaveRoom(c.session.roomID))] = c.leaving
	}
	c.session = fresh
}

// enter opens a stream, sends its first message and returns the answer.
func (d *dialer) enter(
	ctx context.Context, request *dyadv1.SignalRequest,
) (*stream, []*dyadv1.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	s, err := d.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, s.close)()
	s.write(request)
	for {
		response, end := s.read()
		if end != nil {
			s.close()
			return nil, nil, end
		}
		// Without frames it is a heartbeat, as the server may send before the answer.
		if len(response.GetFrames()) > 0 {
			return s, response.GetFrames(), nil
		}
	}
}

// finish makes the end known to all who wait for something.
func (c *Conn) finish(end error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		end = ErrClosed
	}
	c.end = end
	c.abandon(end, nil)
	c.notify()
	close(c.over)
}

// abandon answers with err all but one of those who wait for an answer of this
// session. Hold mu.
func (c *Conn) abandon(err error, but *reply) {
	for _, answer := range c.replies {
		if answer != but {
			answer.err = err
		}
	}
	clear(c.replies)
}
