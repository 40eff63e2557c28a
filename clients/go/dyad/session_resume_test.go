package dyad

import (
	"fmt"
	"testing"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
)

func TestFramesTheServerLacksAreSentAgainWithTheirNumbers(t *testing.T) {
	s := seated(t)
	for range 4 {
		s.put(offer("v=0"))
	}
	s.take(start)
	s.put(offer("v=0"))
	request := s.resumeRequest(start)
	frame := request.GetFrames()[0]
	if frame.GetSeq() != 0 || frame.GetAck() != 1 || frame.GetRoomId() != "room" ||
		!frame.GetJoinRoom().GetResumable() || frame.GetJoinRoom().GetResumeToken() != "token" {
		t.Errorf("it resumes with %v", frame)
	}
	if end := s.resume(resumed(3)); end != nil {
		t.Fatal(end)
	}
	wants(t, "after the answer", seqs(s.take(start)), []uint64{4, 5, 6})
	if s.token != "next token" {
		t.Error("the next token was not kept")
	}
}

func TestAResumeIsAcknowledgedWithoutAFrameToSendAgain(t *testing.T) {
	s := seated(t)
	if end := s.resume(resumed(1)); end != nil {
		t.Fatal(end)
	}
	if frames := s.take(start).GetFrames(); len(frames) != 1 || frames[0].GetAck() != 1 {
		t.Errorf("%v is not an ack of number 1", frames)
	}
	if request := s.take(start); request != nil {
		t.Errorf("and then came %v", request)
	}
}

func TestFramesNotWrittenYetWaitForTheResume(t *testing.T) {
	s := seated(t)
	s.put(offer("v=0"))
	before := s.waitingBytes
	if end := s.resume(resumed(1)); end != nil {
		t.Fatal(end)
	}
	if s.waitingBytes != before {
		t.Errorf("%d bytes wait, which were %d", s.waitingBytes, before)
	}
	wants(t, "after the answer", seqs(s.take(start)), []uint64{2})
	if s.waitingBytes != 0 {
		t.Errorf("%d bytes wait after all was written", s.waitingBytes)
	}
}

func TestAWrongAnswerResumesNothing(t *testing.T) {
	for _, answer := range []*dyadv1.Frame{
		resumed(0),         // It acknowledged number 1 before.
		resumed(9),         // Number 9 was never sent.
		joinRoom("", true), // Not resumed.
		offer(""),
	} {
		s := seated(t)
		s.put(offer("v=0"))
		s.take(start)
		if end := s.resume(answer); end == nil {
			t.Errorf("%v was accepted", answer)
		}
	}
}

func TestNothingIsKeptIfTheServerReservesNoSeat(t *testing.T) {
	s := &session{}
	s.put(joinRoom("", true))
	s.take(start)
	answer := acknowledgement(1)
	answer.GetJoinRoom().ResumeToken = ""
	arrives(t, s, answer)
	for range 300 {
		s.put(iceCandidate(Candidate{}))
	}
	if n := len(s.take(start).GetFrames()); n != 300 || len(s.frames) != 0 {
		t.Errorf("%d frames were written and %d kept", n, len(s.frames))
	}
}

// The stream breaks in the middle of every first, second, … or 40th message.
func TestNothingIsLostHoweverOftenTheStreamBreaks(t *testing.T) {
	const sent = 60
	want := make([]uint64, sent)
	for i := range want {
		want[i] = uint64(i + 2)
	}
	for period := 1; period <= 40; period++ {
		s := seated(t)
		var server []uint64
		highest := uint64(1)
		hear := func(frames []*dyadv1.Frame) {
			for _, frame := range frames {
				if frame.GetSeq() > highest {
					highest = frame.GetSeq()
					server = append(server, highest)
				}
			}
		}
		for round := range sent {
			s.put(offer("v=0"))
			frames := s.take(start).GetFrames()
			if round%period > 0 {
				hear(frames)
				continue
			}
			hear(frames[:len(frames)/2])
			if end := s.resume(resumed(highest)); end != nil {
				t.Fatal(end)
			}
		}
		hear(s.take(start).GetFrames())
		wants(t, fmt.Sprintf("every %d messages", period), server, want)
	}
}
