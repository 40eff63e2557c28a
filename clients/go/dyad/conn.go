package dyad

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
)

const (
	// While this many bytes wait to be written, sending blocks.
	outboxBytes = 1 << 20
	// How long Close waits until the last frames are written.
	closeTimeout = time.Second
)

// Conn is a participant's connection: enter a room, negotiate, hang up. Several
// goroutines may use its methods, but only one at a time may use Events.
type Conn struct {
	dialer      dialer
	resumable   bool
	giveUpAfter time.Duration
	cancel      context.CancelFunc
	over        chan struct{}

	mu sync.Mutex
	// changed is closed and replaced whenever something below changes.
	changed chan struct{}
	session *session
	inbox   []waiting
	// inboxBytes is the size of the frames that inbox holds as events.
	inboxBytes int
	replies    map[uint64]*reply
	// leaving is the reply that Leave waits for, or nil.
	leaving *reply
	// left says whether Leave has succeeded, closing whether Close was called.
	left, closing bool
	// end is the error that ended the connection, or nil.
	end error
}

// waiting is an event that the app has not taken yet.
type waiting struct {
	event Event
	size  int
}

// reply is the outcome of a frame that the server answers. One of the two is set.
type reply struct {
	frame *dyadv1.Frame
	err   error
}

// Create creates a room and enters it. The error is *[Refused], *[Ended],
// [ErrClosed] or ctx's.
func (c *Conn) Create(ctx context.Context) (Room, error) {
	return c.enter(ctx, "")
}

// Join enters an existing room. The error is *[Refused] ([ErrRoomNotFound],
// [ErrRoomFull]), *[Ended], [ErrClosed] or ctx's.
func (c *Conn) Join(ctx context.Context, roomID string) (Room, error) {
	return c.enter(ctx, roomID)
}

func (c *Conn) enter(ctx context.Context, roomID string) (Room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame, err := c.ask(ctx, joinRoom(roomID, c.resumable), &reply{})
	if err != nil {
		return Room{}, err
	}
	return roomOf(frame), nil
}

// Leave hangs up. It returns when the server has acknowledged that, or has released
// the seat anyway. [Conn.Events] then ends, and the connection may enter another
// room. The error is *[Refused] (this connection is in no room), *[Ended],
// [ErrClosed] or ctx's.
func (c *Conn) Leave(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	roomID, err := c.room()
	if err != nil {
		return err
	}
	c.leaving = &reply{}
	_, err = c.ask(ctx, leaveRoom(roomID), c.leaving)
	var refused *Refused
	if errors.As(err, &refused) {
		c.leaving = nil
	}
	return err
}

// SendOffer sends the peer an SDP offer. It returns at once, unless 1 MiB already
// waits to be written. The error is *[Refused] (not in a room), *[Ended],
// [ErrClosed] or ctx's. A refusal by the server arrives as an event.
func (c *Conn) SendOffer(ctx context.Context, sdp string) error {
	return c.send(ctx, func(roomID string) *dyadv1.Frame { return offer(roomID, sdp) })
}

// SendAnswer sends the peer an SDP answer, as [Conn.SendOffer] does.
func (c *Conn) SendAnswer(ctx context.Context, sdp string) error {
	return c.send(ctx, func(roomID string) *dyadv1.Frame { return answer(roomID, sdp) })
}

// SendCandidate sends the peer an ICE candidate, as [Conn.SendOffer] does.
// An empty candidate marks the end of the candidates.
func (c *Conn) SendCandidate(ctx context.Context, candidate Candidate) error {
	return c.send(ctx, func(roomID string) *dyadv1.Frame { return iceCandidate(roomID, candidate) })
}

// Events yields the events of the call. It ends after Leave and after Close.
// Otherwise its last pair is an error: an *[Ended], or ctx's. After the end of ctx,
// another Events continues where this one stopped: no event is lost.
func (c *Conn) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			event, err := c.next(ctx)
			if event == nil && err == nil || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the connection. Without a Leave before, the peer sees a lost
// connection. The error is always nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closing = true
	c.notify()
	c.mu.Unlock()
	select {
	case <-c.over:
	case <-time.After(closeTimeout):
	}
	c.cancel()
	<-c.over
	return nil
}

// next returns the next event. At the end of the events, it returns neither event nor error.
func (c *Conn) next(ctx context.Context) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.wait(ctx, func() bool { return len(c.inbox) > 0 || c.left || c.end != nil })
	switch {
	case len(c.inbox) > 0:
		first := c.inbox[0]
		c.inbox = c.inbox[1:]
		c.inboxBytes -= first.size
		return first.event, nil
	case err != nil:
		return nil, err
	case c.left || errors.Is(c.end, ErrClosed):
		return nil, nil
	default:
		return nil, c.end
	}
}

// ask sends a frame and waits for the server's answer to it. c.mu must be held.
func (c *Conn) ask(ctx context.Context, frame *dyadv1.Frame, answer *reply) (*dyadv1.Frame, error) {
	if c.end != nil {
		return nil, c.end
	}
	seq := c.session.put(frame)
	session := c.session
	c.replies[seq] = answer
	c.notify()
	err := c.wait(ctx, func() bool { return answer.frame != nil || answer.err != nil })
	switch {
	case answer.err != nil:
		return nil, answer.err
	case answer.frame.GetError() != nil:
		return nil, refusedOf(answer.frame.GetError())
	case answer.frame == nil:
		if c.session == session {
			delete(c.replies, seq)
		}
		return nil, err
	default:
		return answer.frame, nil
	}
}

func (c *Conn) send(ctx context.Context, frame func(roomID string) *dyadv1.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wait(ctx, func() bool { return c.session.waitingBytes < outboxBytes || c.end != nil }); err != nil {
		return err
	}
	roomID, err := c.room()
	if err != nil {
		return err
	}
	c.session.put(frame(roomID))
	c.notify()
	return nil
}

// room returns the id of the room that this connection is in. c.mu must be held.
func (c *Conn) room() (string, error) {
	if c.end != nil {
		return "", c.end
	}
	if c.session.roomID == "" {
		return "", &Refused{ErrNotInRoom, "This connection is in no room."}
	}
	return c.session.roomID, nil
}

// wait releases c.mu until ready returns true or ctx ends. c.mu must be held.
func (c *Conn) wait(ctx context.Context, ready func() bool) error {
	for !ready() {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
			c.mu.Lock()
		case <-ctx.Done():
			c.mu.Lock()
			return ctx.Err()
		}
	}
	return nil
}

// notify wakes every goroutine that waits for a change. c.mu must be held.
func (c *Conn) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}
