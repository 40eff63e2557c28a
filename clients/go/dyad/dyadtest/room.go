package dyadtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/protobuf/proto"
)

type room struct {
	id      string
	members []*member
}

// member is a participant with a seat. The server's mutex guards it.
type member struct {
	user        *dyadv1.Participant
	room        *room
	polite      bool
	resumeToken string
	// connection is nil while the seat is reserved.
	connection     *connection
	sent, received uint64
	// kept are the frames that the client has not acknowledged.
	kept []*dyadv1.Frame
}

func (m *member) peer() *member {
	for _, other := range m.room.members {
		if other != m {
			return other
		}
	}
	return nil
}

// tell sends a numbered frame, now or when the seat is resumed.
func (m *member) tell(frame *dyadv1.Frame) {
	m.sent++
	frame.Seq, frame.RoomId = m.sent, m.room.id
	if m.resumeToken != "" {
		m.kept = append(m.kept, frame)
	}
	if m.connection != nil {
		m.connection.send(frame)
	}
}

// receive acts on a frame. The server's mutex must be held, as for all functions below.
func (s *Server) receive(c *connection, frame *dyadv1.Frame) {
	join := frame.GetJoinRoom()
	if c.member == nil && join.GetResumeToken() != "" {
		s.resume(c, frame)
		return
	}
	if m := c.member; m != nil {
		m.kept = slices.DeleteFunc(m.kept, func(kept *dyadv1.Frame) bool { return kept.GetSeq() <= frame.GetAck() })
		if frame.GetSeq() != 0 && frame.GetSeq() <= m.received {
			return
		}
		m.received = max(m.received, frame.GetSeq())
	}
	switch {
	case frame.GetEvent() == nil:
	case c.member == nil && join != nil:
		s.join(c, frame)
	case c.member == nil:
		c.refuse(frame, dyadv1.Error_CODE_NOT_IN_ROOM)
	case join != nil:
		c.refuse(frame, dyadv1.Error_CODE_INVALID_FRAME)
	case !strings.EqualFold(frame.GetRoomId(), c.member.room.id):
		c.refuse(frame, dyadv1.Error_CODE_NOT_IN_ROOM)
	case frame.GetLeaveRoom() != nil:
		s.leave(c, frame)
	case c.member.peer() == nil:
		c.refuse(frame, dyadv1.Error_CODE_PEER_ABSENT)
	default:
		forwarded := proto.Clone(frame).(*dyadv1.Frame)
		forwarded.Sender, forwarded.Ack = c.user, 0
		c.member.peer().tell(forwarded)
	}
}

func (s *Server) join(c *connection, frame *dyadv1.Frame) {
	roomID := strings.ToLower(frame.GetRoomId())
	r := s.rooms[roomID]
	switch {
	case roomID == "":
		r = &room{id: newUUID()}
		s.rooms[r.id] = r
	case len(roomID) > 36:
		c.refuse(frame, dyadv1.Error_CODE_INVALID_FRAME)
		return
	case r == nil:
		c.refuse(frame, dyadv1.Error_CODE_ROOM_NOT_FOUND)
		return
	}
	m := &member{user: c.user, room: r, connection: c, sent: c.sent, received: frame.GetSeq()}
	for _, own := range r.members {
		if own.user.GetUserId() == c.user.GetUserId() {
			s.remove(own, dyadv1.LeaveRoom_REASON_REPLACED)
			m.polite = own.polite
		}
	}
	if len(r.members) == 2 {
		c.refuse(frame, dyadv1.Error_CODE_ROOM_FULL)
		return
	}
	if len(r.members) == 1 {
		m.polite = !r.members[0].polite
	}
	if frame.GetJoinRoom().GetResumable() {
		m.resumeToken = rand.Text()
	}
	r.members = append(r.members, m)
	s.rooms[r.id] = r
	c.member = m
	answer := m.state()
	answer.ReplyTo = frame.GetSeq()
	m.tell(answer)
	if peer := m.peer(); peer != nil {
		join := &dyadv1.Frame_JoinRoom{JoinRoom: &dyadv1.JoinRoom{}}
		peer.tell(&dyadv1.Frame{Sender: m.user, Event: join})
	}
}

// state is an answer to join_room.
func (m *member) state() *dyadv1.Frame {
	join := &dyadv1.JoinRoom{Polite: m.polite, ResumeToken: m.resumeToken}
	if peer := m.peer(); peer != nil {
		join.Peer = peer.user
	}
	return &dyadv1.Frame{RoomId: m.room.id, Event: &dyadv1.Frame_JoinRoom{JoinRoom: join}}
}

func (s *Server) resume(c *connection, frame *dyadv1.Frame) {
	for _, r := range s.rooms {
		for _, m := range r.members {
			if m.resumeToken != frame.GetJoinRoom().GetResumeToken() || m.user.GetUserId() != c.user.GetUserId() {
				continue
			}
			if m.connection != nil {
				m.connection.end(replaced)
				m.connection.member = nil
			}
			m.connection, c.member, m.resumeToken = c, m, rand.Text()
			m.kept = slices.DeleteFunc(m.kept, func(kept *dyadv1.Frame) bool { return kept.GetSeq() <= frame.GetAck() })
			answer := m.state()
			answer.GetJoinRoom().Resumed = true
			c.send(answer)
			for _, kept := range m.kept {
				c.send(kept)
			}
			return
		}
	}
	c.end(released)
}

func (s *Server) leave(c *connection, frame *dyadv1.Frame) {
	leave := &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{}}
	c.member.tell(&dyadv1.Frame{ReplyTo: frame.GetSeq(), Event: leave})
	m := c.member
	c.member, c.sent, m.connection = nil, m.sent, nil
	s.remove(m, dyadv1.LeaveRoom_REASON_LEFT)
}

// disconnected is called when a stream has ended.
func (s *Server) disconnected(c *connection) {
	m := c.member
	if m == nil {
		return
	}
	c.member, m.connection = nil, nil
	if m.resumeToken == "" {
		s.remove(m, dyadv1.LeaveRoom_REASON_DISCONNECTED)
	}
}

// remove frees a seat and tells the peer.
func (s *Server) remove(m *member, reason dyadv1.LeaveRoom_Reason) {
	if m.connection != nil {
		m.connection.member = nil
		m.connection.end(replaced)
	}
	if peer := m.peer(); peer != nil {
		leave := &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{Reason: reason}}
		peer.tell(&dyadv1.Frame{Sender: m.user, Event: leave})
	}
	r := m.room
	r.members = slices.DeleteFunc(r.members, func(other *member) bool { return other == m })
	if len(r.members) == 0 {
		delete(s.rooms, r.id)
	}
}

func (c *connection) refuse(frame *dyadv1.Frame, code dyadv1.Error_Code) {
	refused := &dyadv1.Error{Code: code, Message: "The test's server refused the frame."}
	answer := &dyadv1.Frame{ReplyTo: frame.GetSeq(), Event: &dyadv1.Frame_Error{Error: refused}}
	if c.member != nil {
		c.member.tell(answer)
		return
	}
	c.sent++
	answer.Seq = c.sent
	c.send(answer)
}

func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
