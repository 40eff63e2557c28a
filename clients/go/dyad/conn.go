package dyad

import (
	"context"
	"fmt"
	"iter"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// While this many bytes wait to be written, sending blocks.
	outboxBytes = 1 << 20
	// How long Close waits for the server's acknowledgement.
	closeTimeout = 5 * time.Second
	// How long Detach waits until the last frames are written.
	detachTimeout = time.Second
)

// Conn is a user's connection: enter a room, negotiate, hang up, enter another room.
// Several goroutines may use its methods, but only one at a time may use Events.
type Conn struct {
	settings
	// The monitor guards everything below, and the participants.
	monitor
	pace *pace
	// current is the participant of the last Create or Join, or nil.
	current *participant
	// live are the participants whose goroutine runs: current, and others that are
	// still hanging up.
	live map[*participant]struct{}
	// stateChanges counts the changes of state.
	state        State
	stateChanges int
	// streamID names the latest stream in the server's log.
	streamID string
	// closed says whether Close or Detach was called.
	closed bool
}

// Create creates a room and enters it. The error is *[Ended], *[Refused], [ErrClosed], the
// token source's or ctx's. If it is ctx's, nothing is left on the server.
func (c *Conn) Create(ctx context.Context) (Room, error) {
	return c.enter(ctx, "")
}

// Join enters an existing room, whose id is a UUID. The error is as Create's; a *[Refused]
// is [ErrRoomNotFound], [ErrRoomFull] or [ErrInvalidFrame].
func (c *Conn) Join(ctx context.Context, roomID string) (Room, error) {
	if !isUUID(roomID) {
		return Room{}, &Refused{Code: ErrInvalidFrame, Message: "A room id is a UUID, and this is none. To make a new room, use Create."}
	}
	return c.enter(ctx, roomID)
}

func (c *Conn) enter(ctx context.Context, roomID string) (Room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p := c.current; {
	case ctx.Err() != nil:
		return Room{}, ctx.Err()
	case c.closed:
		return Room{}, ErrClosed
	case p != nil && !p.over && !p.leaving:
		return Room{}, &Refused{Code: ErrInvalidFrame, Message: "This connection is in a room already: call Leave first."}
	}
	p := c.begin(ctx, roomID)
	err := c.wait(ctx, func() bool { return p.seated || p.leaving || p.over })
	switch {
	case c.closed:
		return Room{}, ErrClosed
	case p.seated:
		return p.room, nil
	case p.leaving:
		return Room{}, &Refused{Code: ErrNotInRoom, Message: "Leave was called before the room was entered."}
	case p.over:
		return Room{}, p.end
	default:
		p.hangUpFor(seatTime)
		c.current = nil
		c.become(State{Phase: PhaseIdle})
		return Room{}, err
	}
}

// Leave hangs up. It returns when the server has acknowledged that, or has released
// the seat anyway. [Conn.Events] then ends, the events not taken yet are dropped, and the
// connection may enter another room. Without a room it does nothing. The error is
// *[Ended] or ctx's. If it is ctx's, the client goes on to hang up.
func (c *Conn) Leave(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.current
	if p == nil || p.over {
		return nil
	}
	p.hangUp()
	err := c.wait(ctx, func() bool { return p.over })
	if p.over {
		return p.end
	}
	return err
}

// SendOffer sends the peer an SDP offer. It returns at once, unless 1 MiB already
// waits to be written. The error is [ErrTooLarge], *[Refused] (in no room), *[Ended],
// [ErrClosed] or ctx's. A refusal by the server arrives as an event.
func (c *Conn) SendOffer(ctx context.Context, sdp string) error {
	return c.send(ctx, offer(sdp))
}

// SendAnswer sends the peer an SDP answer, as [Conn.SendOffer] does.
func (c *Conn) SendAnswer(ctx context.Context, sdp string) error {
	return c.send(ctx, answer(sdp))
}

// SendCandidate sends the peer an ICE candidate, as [Conn.SendOffer] does.
// An empty candidate marks the end of the candidates.
func (c *Conn) SendCandidate(ctx context.Context, candidate Candidate) error {
	return c.send(ctx, iceCandidate(candidate))
}

func (c *Conn) send(ctx context.Context, frame *dyadv1.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.inRoom()
	if err != nil {
		return err
	}
	frame.RoomId = p.room.ID
	if size := proto.Size(frame) + numbersBytes; size > c.pace.largest {
		return fmt.Errorf("%w: the frame has %d bytes, and the server accepts %d", ErrTooLarge, size, c.pace.largest)
	}
	err = c.wait(ctx, func() bool {
		return p.session.waitingBytes < outboxBytes || p.leaving || p.over || c.closed
	})
	if err != nil {
		return err
	}
	if now, err := c.inRoom(); err != nil {
		return err
	} else if now != p {
		return errNoRoom
	}
	p.session.put(frame)
	c.notify()
	return nil
}

// inRoom returns the participant that is in a room. c.mu must be held.
func (c *Conn) inRoom() (*participant, error) {
	switch p := c.current; {
	case c.closed:
		return nil, ErrClosed
	case p != nil && p.seated && p.over && p.end != nil:
		return nil, p.end
	case p == nil || !p.seated || p.leaving || p.over:
		return nil, errNoRoom
	default:
		return p, nil
	}
}

// Events yields the events of the room that the connection is in. It ends after Leave,
// Close and Detach; in the next room, use it again. Otherwise its last pair is an error:
// an *[Ended], a *[Refused] before the first room, or ctx's. After the end of ctx, another
// Events continues where this one stopped: no event is lost.
func (c *Conn) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		c.mu.Lock()
		p, closed := c.current, c.closed
		c.mu.Unlock()
		if p == nil {
			if !closed {
				yield(nil, errNoRoom)
			}
			return
		}
		for {
			event, err := p.next(ctx)
			if event == nil && err == nil || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// StreamID names the latest stream in the server's log: show it in an error report. It is
// random and no secret. Each reconnect gives another one. It is empty until the server has
// answered for the first time.
func (c *Conn) StreamID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streamID
}

// NetworkChanged tells the client that the machine's network changed: the client
// reconnects at once, instead of waiting until it notices that the connection is dead. It does
// nothing without a seat to resume: before a room is entered, and with [WithoutResume].
func (c *Conn) NetworkChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.live {
		p.networkChanged()
	}
}

// Close hangs up, and ends the connection for good. If the client is reconnecting, it
// goes on to, only to hang up. Close returns when the server has acknowledged that, and
// after 5 seconds at the latest. Then its error says that the server has not acknowledged;
// the client goes on trying until the server has released the seat, 15 seconds after the
// call of Close.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
	hangingUp := make([]*participant, 0, len(c.live))
	for p := range c.live {
		p.hangUpFor(seatTime)
		hangingUp = append(hangingUp, p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if c.wait(ctx, func() bool { return len(c.live) == 0 }) != nil {
		return errUnacknowledged
	}
	for _, p := range hangingUp {
		if p.end != nil {
			return fmt.Errorf("%w: %w", errUnacknowledged, p.end)
		}
	}
	return nil
}

// Detach ends the connection for good without hanging up: the server reserves the seat for
// its grace time (15 seconds), and only then tells the peer. It is for an app that is about
// to be restarted, or moved, and that joins the room again. The error is always nil.
func (c *Conn) Detach() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
	for p := range c.live {
		p.detach()
	}
	ctx, cancel := context.WithTimeout(context.Background(), detachTimeout)
	defer cancel()
	if c.wait(ctx, func() bool { return len(c.live) == 0 }) != nil {
		for p := range c.live {
			p.cancel(ErrClosed)
		}
	}
	return nil
}

// end refuses every later use of the connection. c.mu must be held.
func (c *Conn) end() {
	if !c.closed {
		c.closed = true
		c.become(State{Phase: PhaseEnded})
	}
}

// isUUID reports whether the text has the form of a UUID, in upper or lower case.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, character := range []byte(text) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if character != '-' {
				return false
			}
		case '0' <= character && character <= '9':
		case 'a' <= character && character <= 'f', 'A' <= character && character <= 'F':
		default:
			return false
		}
	}
	return true
}
