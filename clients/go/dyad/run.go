package dyad

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
)

// How long one try to reconnect may take, from the token to the server's answer.
const tryTimeout = 10 * time.Second

// run serves one stream after another until the connection is over.
func (c *Conn) run(ctx context.Context, s *stream) {
	policy := &reconnectPolicy{random: rand.Float64, giveUpAfter: c.giveUpAfter}
	for {
		end := c.serve(ctx, s)
		next, err := c.reconnect(ctx, policy, end)
		if err != nil {
			c.finish(err)
			return
		}
		s = next
	}
}

// reconnect waits and tries until there is a new stream, or until the policy says
// to stop.
func (c *Conn) reconnect(ctx context.Context, policy *reconnectPolicy, end *Ended) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving != nil && end.replaced() && !c.closing {
		return c.startOver(ctx, end)
	}
	if c.session.token == "" || c.closing {
		return nil, end
	}
	wait, final := policy.broke(end, c.session.progress(), time.Now())
	if final == nil {
		c.put(Reconnecting{end}, 0)
		c.notify()
	}
	for {
		if policy.rejoins && c.leaving != nil {
			return c.startOver(ctx, end)
		}
		if final != nil {
			return nil, final
		}
		c.pause(ctx, wait)
		if c.closing {
			return nil, ErrClosed
		}
		s, err := c.try(ctx, policy)
		if err == nil {
			policy.connected(time.Now())
			return s, nil
		}
		wait, final = policy.failed(err, time.Now())
	}
}

// startOver is called when the seat is lost during a Leave. It lets Leave succeed, and
// opens a stream for a new session once there is a frame to send. c.mu must be held.
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
		return nil, &Ended{Code: codes.Unavailable, Message: "The app could not get a token."}
	}
	return s, err
}

// pause waits until the time is over or Close is called. c.mu must be held.
func (c *Conn) pause(ctx context.Context, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// The error only says that the time is over.
	_ = c.wait(ctx, func() bool { return c.closing })
}

// try opens a stream and resumes the session on it, or joins again. c.mu must be held.
func (c *Conn) try(ctx context.Context, policy *reconnectPolicy) (*stream, error) {
	next := c.session
	request := next.resumeRequest()
	if policy.rejoins {
		next = &session{}
		next.put(joinRoom(c.session.roomID, true))
		request = next.take()
	}
	c.mu.Unlock()
	s, frames, err := c.dialer.enter(ctx, request)
	c.mu.Lock()
	if err != nil {
		return nil, err
	}
	if err := c.carryOn(next, frames, policy.cause); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// carryOn continues with the session next, the old one or a new one. frames are the
// server's answer to its first message, and never empty. c.mu must be held.
func (c *Conn) carryOn(next *session, frames []*dyadv1.Frame, cause *Ended) error {
	answer := frames[0]
	resumed := next == c.session
	if resumed {
		if end := next.resume(answer); end != nil {
			return end
		}
		frames = frames[1:]
	} else {
		if answer.GetError() != nil {
			return refusedOf(answer.GetError())
		}
		c.begin(next, cause)
	}
	c.put(Reconnected{roomOf(answer), resumed}, 0)
	defer c.notify()
	if end := c.arrive(frames); end != nil {
		return end
	}
	return nil
}

// begin replaces the lost session with a new one. c.mu must be held.
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
		// The server may send heartbeats, which have no frames, before the answer.
		if len(response.GetFrames()) > 0 {
			return s, response.GetFrames(), nil
		}
	}
}

// finish reports the end to every method that waits.
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

// abandon fails every reply that this session still waits for, except one. c.mu must
// be held.
func (c *Conn) abandon(err error, except *reply) {
	for _, answer := range c.replies {
		if answer != except {
			answer.err = err
		}
	}
	clear(c.replies)
}
