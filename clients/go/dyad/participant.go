package dyad

import (
	"context"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const (
	// How long a server reserves a seat by default. A hang-up in the background is tried
	// for this long: after that, the server has told the peer anyway.
	seatTime = 15 * time.Second
	// If more events than this wait for the app, the connection ends. It cannot stop
	// reading instead, because then heartbeats would go unanswered.
	inboxBytes = 1 << 20
)

// participant is the user in one room, from Create or Join until it has left. Each has a
// session of its own, so nothing of one room can reach the next. The monitor of its Conn
// guards it.
type participant struct {
	conn *Conn
	// cancel ends everything at once. The cause becomes the participant's end.
	cancel  context.CancelCauseFunc
	session *session
	room    Room
	// seated says whether the server has let it into the room.
	seated bool
	// leaving says whether it is hanging up, and leaveSeq is the number of the leave_room
	// in this session, or 0 if there is none yet.
	leaving  bool
	leaveSeq uint64
	// left says whether it has hung up.
	left bool
	// detaching says whether Detach was called.
	detaching bool
	// over says whether run has returned, and end why, or nil if it left.
	over bool
	end  error
	// inbox are the events that the app has not taken, and inboxBytes their size.
	inbox      []waiting
	inboxBytes int
	// hurries counts the reasons not to wait for the next try. networkChanges counts the
	// calls of networkChanged, and drop ends the stream or the try that is under way.
	hurries, networkChanges int
	drop                    func()
}

// waiting is an event that the app has not taken yet.
type waiting struct {
	event Event
	size  int
}

// begin starts a participant that enters a room, or creates one if roomID is empty.
// c.mu must be held.
func (c *Conn) begin(ctx context.Context, roomID string) *participant {
	running, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	p := &participant{
		conn:    c,
		cancel:  cancel,
		session: &session{pace: c.pace},
		drop:    func() {},
	}
	p.session.put(joinRoom(roomID, c.resumable))
	c.current = p
	c.live[p] = struct{}{}
	c.become(State{Phase: PhaseConnecting})
	go func() {
		defer cancel(nil)
		p.run(running, roomID)
	}()
	return p
}

// hangUp sends a leave_room, or gives up entering the room. c.mu must be held, as for
// all methods below.
func (p *participant) hangUp() {
	if p.leaving || p.over {
		return
	}
	p.leaving = true
	switch {
	case p.seated:
		p.putLeave()
	case !p.session.started():
		// The server knows nothing of it.
		p.cancel(errLeft)
	default:
		// The leave_room follows the answer to the join_room.
	}
	p.hurries++
	p.conn.notify()
}

// hangUpFor is hangUp, but the attempts end after a while.
func (p *participant) hangUpFor(limit time.Duration) {
	p.hangUp()
	time.AfterFunc(limit, func() { p.cancel(errUnacknowledged) })
}

func (p *participant) putLeave() {
	p.leaveSeq = p.session.put(leaveRoom(p.room.ID))
}

func (p *participant) detach() {
	p.detaching = true
	if !p.session.started() {
		p.cancel(ErrClosed)
	}
	p.hurries++
	p.conn.notify()
}

func (p *participant) networkChanged() {
	if p.session.token == "" {
		// Without a seat to resume, a reconnect would be the end.
		return
	}
	p.networkChanges++
	p.hurries++
	p.drop()
	p.conn.notify()
}

// state changes the state of the connection, if this is still its participant.
func (p *participant) state(state State) {
	if p.conn.current == p && !p.conn.closed {
		p.conn.become(state)
	}
}

// entered records that the server has let it into the room.
func (p *participant) entered(room Room) {
	p.room, p.seated = room, true
	p.state(State{Phase: PhaseConnected})
	if p.leaving && p.leaveSeq == 0 {
		p.putLeave()
	}
}

// receive processes the frames of a message, except repeats. The error is why the
// participant or its stream is over.
func (p *participant) receive(frames []*dyadv1.Frame) error {
	for _, frame := range frames {
		fresh, end := p.session.arrive(frame)
		if end != nil {
			return end
		}
		if !fresh {
			continue
		}
		if err := p.deliver(frame); err != nil {
			return err
		}
	}
	if p.inboxBytes > inboxBytes {
		return &Ended{
			Code:       codes.ResourceExhausted,
			Message:    "The app left 1 MiB of events waiting.",
			RetryAfter: -1,
			told:       true,
		}
	}
	return nil
}

// deliver processes a frame: an answer to a join_room or leave_room, or an event.
func (p *participant) deliver(frame *dyadv1.Frame) error {
	answer, refused := frame.GetReplyTo(), frame.GetError() != nil
	switch {
	case answer != 0 && frame.GetJoinRoom() != nil:
		p.session.entered(frame)
		p.entered(roomOf(frame))
		return nil
	case answer != 0 && (frame.GetLeaveRoom() != nil || answer == p.leaveSeq):
		// If it was refused, the server says that this is in no room.
		return errLeft
	case refused && !p.seated:
		return refusedOf(frame.GetError(), "")
	}
	if event := eventOf(frame, p.room.ID); event != nil {
		p.put(event, proto.Size(frame)+frameOverhead)
	}
	return nil
}

// put queues an event for the app.
func (p *participant) put(event Event, size int) {
	p.inbox = append(p.inbox, waiting{event, size})
	p.inboxBytes += size
}

// next returns the next event. At the end of the events, it returns neither event nor
// error. The monitor must not be held.
func (p *participant) next(ctx context.Context) (Event, error) {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := func() bool { return p.left || c.closed || c.current != p }
	err := c.wait(ctx, func() bool { return len(p.inbox) > 0 || p.over || gone() })
	switch {
	case gone():
		return nil, nil
	case len(p.inbox) > 0:
		first := p.inbox[0]
		p.inbox = p.inbox[1:]
		p.inboxBytes -= first.size
		return first.event, nil
	case err != nil:
		return nil, err
	default:
		return nil, p.end
	}
}
