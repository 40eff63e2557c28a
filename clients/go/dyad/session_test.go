package dyad

import (
	"slices"
	"strings"
	"testing"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
)

// seated returns a session with a resumable seat. Each side has sent its frame 1: the
// join_room and its answer.
func seated(t *testing.T) *session {
	t.Helper()
	s := &session{}
	s.put(joinRoom("", true))
	s.take(start)
	arrives(t, s, acknowledgement(1))
	return s
}

func acknowledgement(seq uint64) *dyadv1.Frame {
	frame := joinRoom("room", false)
	frame.GetJoinRoom().ResumeToken = "token"
	frame.Seq, frame.Ack, frame.ReplyTo = seq, 1, 1
	return frame
}

func resumed(ack uint64) *dyadv1.Frame {
	frame := joinRoom("room", false)
	frame.GetJoinRoom().ResumeToken = "next token"
	frame.GetJoinRoom().Resumed = true
	frame.Ack = ack
	return frame
}

func arrives(t *testing.T, s *session, frame *dyadv1.Frame) {
	t.Helper()
	if fresh, end := s.arrive(frame); !fresh || end != nil {
		t.Fatalf("number %d did not arrive: %v, %v", frame.GetSeq(), fresh, end)
	}
	if frame.GetReplyTo() != 0 {
		s.entered(frame)
	}
}

func seqs(request *dyadv1.SignalRequest) []uint64 {
	var numbers []uint64
	for _, frame := range request.GetFrames() {
		numbers = append(numbers, frame.GetSeq())
	}
	return numbers
}

func wants(t *testing.T, what string, got, want []uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got numbers %v, want %v", what, got, want)
	}
}

func TestWaitingFramesGoOutTogetherAndNumbered(t *testing.T) {
	s := &session{}
	for range 3 {
		s.put(offer("v=0"))
	}
	wants(t, "the first message", seqs(s.take(start)), []uint64{1, 2, 3})
	if request := s.take(start); request != nil {
		t.Errorf("%v was taken twice", seqs(request))
	}
}

func TestAMessageStaysWithinItsBound(t *testing.T) {
	s := &session{}
	for range 4 {
		s.put(offer(strings.Repeat("x", 60<<10)))
	}
	wants(t, "the first message", seqs(s.take(start)), []uint64{1, 2, 3})
	wants(t, "the second message", seqs(s.take(start)), []uint64{4})
}

func TestOnlyTheLastFrameOfAMessageCarriesTheAck(t *testing.T) {
	s := seated(t)
	s.put(offer("v=0"))
	s.put(offer("v=0"))
	frames := s.take(start).GetFrames()
	if frames[0].GetAck() != 0 || frames[1].GetAck() != 1 {
		t.Errorf("the acks are %d and %d, want 0 and 1", frames[0].GetAck(), frames[1].GetAck())
	}
}

func TestADuplicateFrameIsIgnored(t *testing.T) {
	s := seated(t)
	if fresh, end := s.arrive(acknowledgement(1)); fresh || end != nil {
		t.Errorf("number 1 was received twice: %v, %v", fresh, end)
	}
}

func TestAGapEndsTheSession(t *testing.T) {
	s := seated(t)
	if _, end := s.arrive(&dyadv1.Frame{Seq: 3}); end == nil {
		t.Error("number 3 was received after number 1")
	}
}

func TestAnAckOfAFrameNeverSentEndsTheSession(t *testing.T) {
	s := seated(t)
	s.put(offer("v=0"))
	if _, end := s.arrive(&dyadv1.Frame{Ack: 2}); end == nil {
		t.Error("number 2 was acknowledged before it was written")
	}
}

func TestThirtyTwoFramesAreAcknowledgedWithoutAFrameToSend(t *testing.T) {
	s := seated(t)
	for seq := uint64(2); seq < 33; seq++ {
		if request := s.take(start); request != nil {
			t.Fatalf("number %d was acknowledged at once", seq-1)
		}
		arrives(t, s, &dyadv1.Frame{Seq: seq})
	}
	frames := s.take(start).GetFrames()
	if len(frames) != 1 || frames[0].GetSeq() != 0 || frames[0].GetAck() != 32 {
		t.Errorf("%v is not an ack of number 32", frames)
	}
}

func TestThirtyTwoKibibytesAreAcknowledgedWithoutAFrameToSend(t *testing.T) {
	s := seated(t)
	large := offer(strings.Repeat("x", 32<<10))
	large.Seq = 2
	arrives(t, s, large)
	if frames := s.take(start).GetFrames(); len(frames) != 1 || frames[0].GetAck() != 2 {
		t.Errorf("%v is not an ack of number 2", frames)
	}
}

func TestAHeartbeatIsAnsweredOnceWithoutAFrameToSend(t *testing.T) {
	s := seated(t)
	s.heartbeat()
	if request := s.take(start); request == nil || len(request.GetFrames()) != 0 {
		t.Errorf("the answer is %v", request)
	}
	if request := s.take(start); request != nil {
		t.Errorf("and then came %v", request)
	}
}

func TestAWaitingFrameAnswersAHeartbeat(t *testing.T) {
	s := seated(t)
	s.put(offer("v=0"))
	s.heartbeat()
	wants(t, "the answer", seqs(s.take(start)), []uint64{2})
	s.heartbeat()
	s.wrote()
	if request := s.take(start); request != nil {
		t.Errorf("and then came %v", request)
	}
}

func TestAHeartbeatIsAnsweredWhenTheWindowIsFull(t *testing.T) {
	s := seated(t)
	for range 300 {
		s.put(iceCandidate(Candidate{}))
	}
	s.take(start)
	s.wrote()
	s.heartbeat()
	if request := s.take(start); request == nil || len(request.GetFrames()) != 0 {
		t.Errorf("the answer is %v", request)
	}
}

func TestUnacknowledgedFramesAreBounded(t *testing.T) {
	s := seated(t)
	for range 300 {
		s.put(iceCandidate(Candidate{}))
	}
	if n := len(s.take(start).GetFrames()); n != 256 {
		t.Fatalf("%d frames were written", n)
	}
	if request := s.take(start); request != nil {
		t.Fatalf("%v were written beyond", seqs(request))
	}
	arrives(t, s, &dyadv1.Frame{Ack: 11})
	wants(t, "after the ack of ten", seqs(s.take(start)), []uint64{258, 259, 260, 261, 262, 263, 264, 265, 266, 267})
}

func TestUnacknowledgedBytesAreBounded(t *testing.T) {
	s := seated(t)
	for range 6 {
		s.put(offer(strings.Repeat("x", 60<<10)))
	}
	written := 0
	for request := s.take(start); request != nil; request = s.take(start) {
		written += len(request.GetFrames())
	}
	if written != 4 {
		t.Errorf("%d frames of 60 KiB were written", written)
	}
}

func TestNoFrameWaitsForAnAcknowledgementThatTheServerNeedNotSend(t *testing.T) {
	// 30 frames, which have 32,700 bytes as the server counts, and then one of the largest.
	s := seated(t)
	s.pace = newPace(defaultLimits, start)
	for range 30 {
		s.put(offer(strings.Repeat("x", 1080)))
	}
	s.put(offer(strings.Repeat("x", 65_500)))
	now := start
	for range 10 {
		now = now.Add(time.Minute)
		s.take(now)
	}
	if s.written != len(s.frames) {
		t.Errorf("%d frames wait", len(s.frames)-s.written)
	}
}

func TestAFrameLargerThanTheBoundGoesOutAlone(t *testing.T) {
	s := seated(t)
	s.put(offer(strings.Repeat("x", 300<<10)))
	wants(t, "alone", seqs(s.take(start)), []uint64{2})
}
