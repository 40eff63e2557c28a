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

// run carries the session over one stream after another until the participant has left,
// or cannot go on. It enters a room, or creates one if roomID is empty.
func (p *participant) run(ctx context.Context, roomID string) {
	policy := &reconnectPolicy{random: rand.Float64, giveUpAfter: p.conn.giveUpAfter}
	p.conn.log.Debug("dyad: connecting")
	s, err := p.conn.dialer.open(ctx, roomID)
	for err == nil {
		err = p.serve(ctx, s)
		var end *Ended
		if errors.As(err, &end) {
			s, err = p.reconnect(ctx, policy, end)
		}
	}
	if ctx.Err() != nil && !errors.Is(err, errLeft) {
		err = context.Cause(ctx)
	}
	p.finish(err)
}

// finish reports the end to every method that waits.
func (p *participant) finish(end error) {
	c := p.conn
	var refused *Refused
	switch {
	case errors.Is(end, errLeft):
		c.log.Info("dyad: left the room")
	case errors.As(end, &refused):
		c.log.Info("dyad: refused", "code", refused.Code.String())
	case errors.Is(end, ErrClosed):
		c.log.Info("dyad: closed")
	default:
		c.log.Warn("dyad: the connection ended", reasonOf(end))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.over = true
	if errors.Is(end, errLeft) {
		p.left, p.inbox = true, nil
	} else {
		p.end = end
	}
	if p.left || refused != nil && !p.seated {
		p.state(State{Phase: PhaseIdle})
	} else {
		p.state(State{Phase: PhaseEnded, Err: end})
	}
	delete(c.live, p)
	c.notify()
}

// reconnect waits and tries until there is a new stream, or until the policy says to
// stop. The error is then the participant's end.
func (p *participant) reconnect(ctx context.Context, policy *reconnectPolicy, end *Ended) (*stream, error) {
	wait, final := p.broke(policy, end)
	for try := 1; final == nil; try++ {
		p.conn.log.Info("dyad: reconnecting", "try", try, "wait", wait, reasonOf(policy.last))
		if err := p.pause(ctx, policy, State{PhaseReconnecting, try, policy.last}, wait); err != nil {
			return nil, err
		}
		s, err := p.try(ctx, policy)
		switch {
		case err == nil:
			p.conn.log.Info("dyad: reconnected", "resumed", !policy.rejoins)
			policy.connected(time.Now())
			return s, nil
		case errors.Is(err, errLeft):
			return nil, err
		}
		wait, final = p.failed(policy, err)
	}
	return nil, final
}

// broke decides what follows the end of a stream. It returns how long to wait before the
// first try, or the participant's end.
func (p *participant) broke(policy *reconnectPolicy, end *Ended) (time.Duration, error) {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.leaving && end.replaced():
		return 0, errLeft
	case p.detaching:
		return 0, ErrClosed
	case p.session.token == "":
		return 0, end
	}
	wait, final := policy.broke(end, p.session.progress(), time.Now())
	if final != nil {
		return 0, final
	}
	p.put(Reconnecting{p.room.ID, end}, 0)
	c.notify()
	return wait, nil
}

// pause waits before a try. The error is the participant's end.
func (p *participant) pause(ctx context.Context, policy *reconnectPolicy, state State, wait time.Duration) error {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	p.state(state)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	hurries := p.hurries
	if c.wait(waiting, func() bool { return p.hurries != hurries }) == nil {
		policy.hurry()
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.detaching:
		return ErrClosed
	case p.leaving && policy.rejoins:
		return errLeft
	default:
		return nil
	}
}

// failed decides what follows a try that failed. It returns how long to wait before the
// next try, or the participant's end.
func (p *participant) failed(policy *reconnectPolicy, failure error) (time.Duration, error) {
	wait, final := policy.failed(failure, time.Now())
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	switch {
	case p.leaving && policy.rejoins:
		// The seat is lost.
		return 0, errLeft
	case final != nil:
		return 0, final
	default:
		return wait, nil
	}
}

// try opens a stream and resumes the session on it, or joins again.
func (p *participant) try(ctx context.Context, policy *reconnectPolicy) (*stream, error) {
	c := p.conn
	trying, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	c.mu.Lock()
	next := p.session
	var request *dyadv1.SignalRequest
	if policy.rejoins {
		next = &session{}
		next.put(joinRoom(p.room.ID, true))
		request = next.take(time.Now())
		next.pace = c.pace
	} else {
		request = next.resumeRequest(time.Now())
	}
	changes := p.networkChanges
	p.drop = cancel
	c.mu.Unlock()

	s, frames, err := c.dialer.enter(trying, request)

	c.mu.Lock()
	defer c.mu.Unlock()
	p.drop = func() {}
	switch {
	case err == nil:
	case p.networkChanges != changes:
		policy.hurry()
		return nil, errNetworkChanged
	default:
		return nil, err
	}
	p.nameStream(s)
	if err := p.carryOn(next, frames); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// carryOn continues with the session next, the old one or a new one. frames are the
// server's answer to its first message, and never empty. c.mu must be held.
func (p *participant) carryOn(next *session, frames []*dyadv1.Frame) error {
	answer := frames[0]
	resumed := next == p.session
	if resumed {
		if end := next.resume(answer); end != nil {
			return end
		}
		p.entered(roomOf(answer))
		frames = frames[1:]
	} else {
		if answer.GetError() != nil {
			return refusedOf(answer.GetError(), p.room.ID)
		}
		p.session, p.leaveSeq = next, 0
	}
	p.put(Reconnected{roomOf(answer), resumed}, 0)
	defer p.conn.notify()
	return p.receive(frames)
}

// enter opens a stream, sends its first message, a join_room, and returns the answer.
func (d *dialer) enter(
	ctx context.Context, request *dyadv1.SignalRequest,
) (*stream, []*dyadv1.Frame, error) {
	s, err := d.open(ctx, request.GetFrames()[0].GetRoomId())
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

var errNetworkChanged = &Ended{Code: codes.Unavailable, Message: "The network changed."}
