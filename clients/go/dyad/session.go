package dyad

import (
	"fmt"
	"slices"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const (
	// A side acknowledges at the latest after this much; docs/protocol.md.
	ackFrames = 32
	ackBytes  = 32 << 10
	// More than this may not be unacknowledged.
	unackedFrames = 256
	unackedBytes  = 256 << 10
	// A message gathers at most this much; a larger frame goes alone.
	messageBytes = 200 << 10
	// What a frame adds to a message besides its own bytes: its tag, its length, its ack.
	frameOverhead = 24
)

// session is one participant's session: numbers out and in, what waits to be
// written, what the server may still lack, and the seat to resume. Plain
// state without I/O: it knows nothing of the stream that carries it, so it can
// go on over another one.
type session struct {
	roomID string
	// token resumes the seat; empty: there is no seat to resume.
	token string
	// keeps says that what is written is kept until it is acknowledged.
	keeps bool
	last  uint64
	// frames are those not yet acknowledged, or unless keeps not yet written;
	// the first written of them are written.
	frames       []outbound
	written      int
	writtenBytes int
	// waitingBytes is how much is not yet written.
	waitingBytes int
	// takenIn is the highest number received from the server.
	takenIn      uint64
	ackSent      uint64
	takenInBytes int
	ackOwed      bool
	// answerOwed says that a heartbeat came which no message has answered yet.
	answerOwed bool
}

type outbound struct {
	frame *dyadv1.Frame
	size  int
}

// put numbers a frame and keeps it for the next take. It returns the number,
// which the server's reply_to will name.
func (s *session) put(frame *dyadv1.Frame) uint64 {
	s.last++
	frame.Seq = s.last
	size := proto.Size(frame) + frameOverhead
	s.frames = append(s.frames, outbound{frame, size})
	s.waitingBytes += size
	// What the server makes of it is not known yet; entered says.
	s.keeps = s.keeps || frame.GetJoinRoom().GetResumable()
	return frame.Seq
}

// take returns what may be written now, in order; nil: nothing. What is under
// way elsewhere must be written first: taking changes its frames.
func (s *session) take() *dyadv1.SignalRequest {
	var frames []*dyadv1.Frame
	size := 0
	for s.written < len(s.frames) {
		next := s.frames[s.written]
		if !s.mayWrite(next) || len(frames) > 0 && size+next.size > messageBytes {
			break
		}
		next.frame.Ack = 0
		frames = append(frames, next.frame)
		size += next.size
		s.written++
		s.writtenBytes += next.size
	}
	s.waitingBytes -= size
	if !s.keeps {
		s.forget(s.written)
	}
	answer := s.answerOwed
	s.answerOwed = false
	if len(frames) == 0 {
		switch {
		case s.ackDue():
			frames = []*dyadv1.Frame{{}}
		case answer:
			return &dyadv1.SignalRequest{}
		default:
			return nil
		}
	}
	frames[len(frames)-1].Ack = s.takenIn
	s.ackSent, s.takenInBytes, s.ackOwed = s.takenIn, 0, false
	return &dyadv1.SignalRequest{Frames: frames}
}

// heartbeat takes note of a heartbeat: the next message answers it, whatever it
// carries.
func (s *session) heartbeat() { s.answerOwed = true }

// wrote takes note that what take returned is written: it answers the heartbeats
// that came meanwhile.
func (s *session) wrote() { s.answerOwed = false }

func (s *session) mayWrite(next outbound) bool {
	if !s.keeps {
		return true
	}
	// Below ackBytes the server need not acknowledge: waiting might never end.
	return s.written < unackedFrames &&
		(s.writtenBytes < ackBytes || s.writtenBytes+next.size <= unackedBytes)
}

func (s *session) ackDue() bool {
	return s.keeps && (s.ackOwed || s.takenIn-s.ackSent >= ackFrames || s.takenInBytes >= ackBytes)
}

// arrive takes note of an inbound frame's number and ack. It returns whether
// to act on the frame; if not, it is a repeat.
func (s *session) arrive(frame *dyadv1.Frame) (bool, *Ended) {
	if end := s.acknowledged(frame.GetAck()); end != nil {
		return false, end
	}
	switch seq := frame.GetSeq(); {
	case seq == 0:
		return true, nil
	case seq <= s.takenIn:
		return false, nil
	case seq > s.takenIn+1:
		return false, outOfStep("Number %d came from the server; number %d was next.", seq, s.takenIn+1)
	default:
		s.takenIn = seq
		s.takenInBytes += proto.Size(frame)
		return true, nil
	}
}

func (s *session) acknowledged(ack uint64) *Ended {
	unwritten := len(s.frames) - s.written
	if ack > s.last-uint64(unwritten) {
		return outOfStep("The server acknowledged number %d, which was not sent.", ack)
	}
	n := 0
	for n < s.written && s.frames[n].frame.GetSeq() <= ack {
		n++
	}
	s.forget(n)
	return nil
}

// forget drops the first n frames, which are written.
func (s *session) forget(n int) {
	for _, gone := range s.frames[:n] {
		s.writtenBytes -= gone.size
	}
	s.frames = slices.Delete(s.frames, 0, n)
	s.written -= n
}

// entered takes note of the answer to a join_room: the acknowledgement, or an
// error.
func (s *session) entered(frame *dyadv1.Frame) {
	if frame.GetJoinRoom() != nil {
		s.roomID = frame.GetRoomId()
		s.token = frame.GetJoinRoom().GetResumeToken()
	}
	if s.token == "" {
		s.keepNoMore()
	}
}

// exited takes note of the acknowledgement of a leave_room.
func (s *session) exited() {
	s.roomID = ""
	s.token = ""
	s.keepNoMore()
}

func (s *session) keepNoMore() {
	s.keeps = false
	s.forget(s.written)
}

// progress grows with each frame that got through, either way.
func (s *session) progress() uint64 {
	return s.takenIn + s.last - uint64(len(s.frames))
}

// resumeRequest is the first message on a new stream. Nothing else may go with it.
func (s *session) resumeRequest() *dyadv1.SignalRequest {
	frame := joinRoom(s.roomID, true)
	frame.GetJoinRoom().ResumeToken = s.token
	frame.Ack = s.takenIn
	return &dyadv1.SignalRequest{Frames: []*dyadv1.Frame{frame}}
}

// resume takes note of the answer to resumeRequest: what the server lacks comes out
// of take again. Nothing may be under way on the old stream any more.
func (s *session) resume(frame *dyadv1.Frame) *Ended {
	join := frame.GetJoinRoom()
	if frame.GetSeq() != 0 || !join.GetResumed() {
		return outOfStep("The server answered a join_room that resumes by something else.")
	}
	if end := s.acknowledged(frame.GetAck()); end != nil {
		return end
	}
	if frame.GetAck()+uint64(len(s.frames)) != s.last {
		return outOfStep("The server lacks number %d, which it acknowledged before.", frame.GetAck()+1)
	}
	s.token = join.GetResumeToken()
	for _, again := range s.frames[:s.written] {
		s.waitingBytes += again.size
	}
	s.written, s.writtenBytes = 0, 0
	s.ackOwed = true
	return nil
}

func outOfStep(format string, arguments ...any) *Ended {
	return &Ended{Code: codes.Aborted, Message: fmt.Sprintf(format, arguments...)}
}
