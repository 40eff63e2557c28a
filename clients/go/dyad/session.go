package dyad

import (
	"fmt"
	"slices"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const (
	// A side acknowledges after this much at the latest (docs/protocol.md).
	ackFrames = 32
	ackBytes  = 32 << 10
	// The most that may be unacknowledged (docs/protocol.md).
	unackedFrames = 256
	unackedBytes  = 256 << 10
	// The most that goes into one message. A larger frame has a message of its own.
	messageBytes = 200 << 10
	// The most bytes of a frame's seq and ack.
	numbersBytes = 22
	// What a frame adds to a message besides its own bytes: its tag, its length, its ack.
	frameOverhead = 24
)

// session is one participant's session: the numbers sent and received, the frames
// that wait to be written or to be acknowledged, and the seat to resume. It is plain
// state without I/O. It does not know the stream that carries it, so it can continue
// on another stream.
type session struct {
	roomID string
	// pace limits how fast frames are taken. Without it, nothing does.
	pace *pace
	// token resumes the seat. It is empty if there is no seat to resume.
	token string
	// keeps says whether written frames are kept until they are acknowledged.
	keeps bool
	// last is the number of the newest frame.
	last uint64
	// frames are not yet acknowledged or, without keeps, not yet written. The
	// first `written` of them have been written.
	frames       []outbound
	written      int
	writtenBytes int
	// waitingBytes is the size of the frames that are not yet written.
	waitingBytes int
	// received is the highest number received from the server. ackSent is the last
	// acknowledgement that was sent, and bytesSinceAck the size of the frames
	// received after it.
	received      uint64
	ackSent       uint64
	bytesSinceAck int
	ackOwed       bool
	// answerOwed says whether a heartbeat has not been answered yet.
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
	// Until the server answers, the seat may turn out to be resumable.
	s.keeps = s.keeps || frame.GetJoinRoom().GetResumable()
	return frame.Seq
}

// take returns the next message to write, or nil if nothing may be written now. The
// write of the message before must be over, because take may change its frames.
func (s *session) take(now time.Time) *dyadv1.SignalRequest {
	var frames []*dyadv1.Frame
	size := 0
	for s.written < len(s.frames) {
		next := s.frames[s.written]
		if !s.mayWrite(next) || len(frames) > 0 && size+next.size > messageBytes {
			break
		}
		if !s.inPace(len(frames)+1, size+next.size, now) {
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
			frames, size = []*dyadv1.Frame{{}}, frameOverhead
		case answer:
			s.pace.spend(1, 0, now)
			return &dyadv1.SignalRequest{}
		default:
			return nil
		}
	}
	s.pace.spend(len(frames), size, now)
	frames[len(frames)-1].Ack = s.received
	s.ackSent, s.bytesSinceAck, s.ackOwed = s.received, 0, false
	return &dyadv1.SignalRequest{Frames: frames}
}

// delay returns how long the pace holds the next frame back, or 0 if it does not.
func (s *session) delay(now time.Time) time.Duration {
	if s.written == len(s.frames) || !s.mayWrite(s.frames[s.written]) {
		return 0
	}
	return s.pace.delay(s.frames[s.written].size, now)
}

// started reports whether a frame was taken.
func (s *session) started() bool { return s.last > uint64(len(s.frames)-s.written) }

// heartbeat records that a heartbeat arrived. The next message answers it, whatever
// that message carries.
func (s *session) heartbeat() { s.answerOwed = true }

// wrote records that the message from take was written. It has also answered the
// heartbeats that arrived during the write.
func (s *session) wrote() { s.answerOwed = false }

func (s *session) mayWrite(next outbound) bool {
	if !s.keeps {
		return true
	}
	frames, bytes := s.pace.window()
	return s.written < frames && (s.writtenBytes < leastBytes || s.writtenBytes+next.size <= bytes)
}

func (s *session) inPace(frames, bytes int, now time.Time) bool {
	if frames == 1 {
		return s.pace.delay(bytes, now) == 0
	}
	return s.pace.allows(frames, bytes, now)
}

func (s *session) ackDue() bool {
	return s.keeps && (s.ackOwed || s.received-s.ackSent >= ackFrames || s.bytesSinceAck >= ackBytes)
}

// arrive records the number and the ack of a frame from the server. It returns false
// if the frame is a repeat, to be ignored.
func (s *session) arrive(frame *dyadv1.Frame) (bool, *Ended) {
	if end := s.acknowledged(frame.GetAck()); end != nil {
		return false, end
	}
	switch seq := frame.GetSeq(); {
	case seq == 0:
		return true, nil
	case seq <= s.received:
		return false, nil
	case seq > s.received+1:
		return false, outOfSync("The server sent frame %d, but frame %d was next.", seq, s.received+1)
	default:
		s.received = seq
		s.bytesSinceAck += proto.Size(frame)
		return true, nil
	}
}

func (s *session) acknowledged(ack uint64) *Ended {
	unwritten := len(s.frames) - s.written
	if ack > s.last-uint64(unwritten) {
		return outOfSync("The server acknowledged frame %d, which was never sent.", ack)
	}
	n := 0
	for n < s.written && s.frames[n].frame.GetSeq() <= ack {
		n++
	}
	s.forget(n)
	return nil
}

// forget drops the first n frames, which have been written.
func (s *session) forget(n int) {
	for _, gone := range s.frames[:n] {
		s.writtenBytes -= gone.size
	}
	s.frames = slices.Delete(s.frames, 0, n)
	s.written -= n
}

// entered records the answer to a join_room: an acknowledgement or an error.
func (s *session) entered(frame *dyadv1.Frame) {
	if frame.GetJoinRoom() != nil {
		s.roomID = frame.GetRoomId()
		s.token = frame.GetJoinRoom().GetResumeToken()
	}
	if s.token == "" {
		s.stopKeeping()
	}
}

func (s *session) stopKeeping() {
	s.keeps = false
	s.forget(s.written)
}

// progress grows with each frame that got through, in either direction.
func (s *session) progress() uint64 {
	return s.received + s.last - uint64(len(s.frames))
}

// resumeRequest returns the first message on a new stream. Nothing else may be sent
// until the server has answered it.
func (s *session) resumeRequest(now time.Time) *dyadv1.SignalRequest {
	frame := joinRoom(s.roomID, true)
	frame.GetJoinRoom().ResumeToken = s.token
	frame.Ack = s.received
	s.pace.spend(1, proto.Size(frame)+frameOverhead, now)
	return &dyadv1.SignalRequest{Frames: []*dyadv1.Frame{frame}}
}

// resume applies the answer to resumeRequest: take returns the frames that the server
// lacks again. The writes on the old stream must be over.
func (s *session) resume(frame *dyadv1.Frame) *Ended {
	join := frame.GetJoinRoom()
	if frame.GetSeq() != 0 || !join.GetResumed() {
		return outOfSync("The server did not resume the seat.")
	}
	if end := s.acknowledged(frame.GetAck()); end != nil {
		return end
	}
	if frame.GetAck()+uint64(len(s.frames)) != s.last {
		return outOfSync("The server lacks frame %d, which it had acknowledged.", frame.GetAck()+1)
	}
	s.token = join.GetResumeToken()
	for _, again := range s.frames[:s.written] {
		s.waitingBytes += again.size
	}
	s.written, s.writtenBytes = 0, 0
	s.ackOwed = true
	return nil
}

func outOfSync(format string, arguments ...any) *Ended {
	return &Ended{Code: codes.Aborted, Message: fmt.Sprintf(format, arguments...), told: true}
}
