package main

import (
	"fmt"
	"sync"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/protobuf/proto"
)

// What docs/protocol.md asks of a client: to acknowledge at the latest then.
const (
	ackFrames = 32
	ackBytes  = 32 << 10
)

// session is a client's side of Dyad's contract: the numbers of frames both
// ways, whatever carries them.
type session struct {
	// bare says that the server numbers nothing.
	bare bool

	mutex      sync.Mutex
	room       string
	sent       uint64
	received   uint64
	ackSent    uint64
	bytesSince int
	// queue holds what else came in the message that was read last.
	queue []*dyadv1.Frame
}

// number makes a frame the next one of this session.
func (s *session) number(frame *dyadv1.Frame) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.sent++
	frame.Seq, frame.Ack, frame.RoomId = s.sent, s.received, s.room
	s.ackSent, s.bytesSince = s.received, 0
}

func (s *session) enter(room string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.room = room
}

// receive checks a frame's number. It returns the acknowledgement that is due, if any.
func (s *session) receive(frame *dyadv1.Frame) (*dyadv1.Frame, error) {
	if s.bare || frame.GetSeq() == 0 {
		return nil, nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if frame.GetSeq() != s.received+1 {
		return nil, fmt.Errorf("number %d came; %d was due", frame.GetSeq(), s.received+1)
	}
	s.received++
	s.bytesSince += proto.Size(frame)
	if s.received-s.ackSent < ackFrames && s.bytesSince < ackBytes {
		return nil, nil
	}
	s.ackSent, s.bytesSince = s.received, 0
	return &dyadv1.Frame{Ack: s.received}, nil
}

// next returns the next frame that carries an event. It reads messages with read,
// and answers them with answer: an acknowledgement, or nil for a heartbeat.
func (s *session) next(
	read func() ([]*dyadv1.Frame, error), answer func(*dyadv1.Frame) error,
) (*dyadv1.Frame, error) {
	for {
		for len(s.queue) > 0 {
			frame := s.queue[0]
			s.queue = s.queue[1:]
			due, err := s.receive(frame)
			if err != nil {
				return nil, err
			}
			if due != nil {
				if err := answer(due); err != nil {
					return nil, err
				}
			}
			if frame.GetEvent() != nil {
				return frame, nil
			}
		}
		frames, err := read()
		if err != nil {
			return nil, err
		}
		s.queue = frames
		if len(frames) == 0 {
			if err := answer(nil); err != nil {
				return nil, err
			}
		}
	}
}

// entered reads the answer to join_room, which is the first frame sent.
func (s *session) entered(frame *dyadv1.Frame) (string, error) {
	if frame.GetJoinRoom() == nil || frame.GetReplyTo() != 1 {
		return "", fmt.Errorf("join_room was answered by %v", frame)
	}
	s.enter(frame.GetRoomId())
	return frame.GetRoomId(), nil
}

func joinFrame() *dyadv1.Frame {
	return &dyadv1.Frame{Event: &dyadv1.Frame_JoinRoom{JoinRoom: &dyadv1.JoinRoom{Resumable: true}}}
}

func leaveFrame() *dyadv1.Frame {
	return &dyadv1.Frame{Event: &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{}}}
}

func frameOf(what event) *dyadv1.Frame {
	switch what.kind {
	case offer:
		return &dyadv1.Frame{Event: &dyadv1.Frame_Offer{Offer: &dyadv1.SessionDescription{Sdp: what.payload}}}
	case answer:
		return &dyadv1.Frame{Event: &dyadv1.Frame_Answer{Answer: &dyadv1.SessionDescription{Sdp: what.payload}}}
	default:
		return &dyadv1.Frame{Event: &dyadv1.Frame_IceCandidate{IceCandidate: &dyadv1.IceCandidate{
			Candidate:        what.payload,
			SdpMid:           proto.String("0"),
			SdpMLineIndex:    proto.Uint32(0),
			UsernameFragment: proto.String("EsAw"),
		}}}
	}
}

func eventOf(frame *dyadv1.Frame) (event, error) {
	switch what := frame.GetEvent().(type) {
	case *dyadv1.Frame_JoinRoom:
		return event{kind: joined}, nil
	case *dyadv1.Frame_LeaveRoom:
		return event{kind: left}, nil
	case *dyadv1.Frame_Offer:
		return event{offer, what.Offer.GetSdp()}, nil
	case *dyadv1.Frame_Answer:
		return event{answer, what.Answer.GetSdp()}, nil
	case *dyadv1.Frame_IceCandidate:
		return event{candidate, what.IceCandidate.GetCandidate()}, nil
	default:
		return event{}, fmt.Errorf("the server said %v", frame)
	}
}
