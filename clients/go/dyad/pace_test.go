package dyad

import (
	"strings"
	"testing"
	"time"
)

func TestTheWholeBurstIsAllowedAtOnceAndThenTheRate(t *testing.T) {
	p := newPace(defaultLimits, start)
	for n := range 450 {
		if wait := p.delay(1, 50, start); wait != 0 {
			t.Fatalf("frame %d waits %s", n, wait)
		}
		p.spend(1, 50, start)
	}
	wait := p.delay(1, 50, start)
	if wait < 11*time.Millisecond || wait > 13*time.Millisecond {
		t.Errorf("the next frame waits %s", wait)
	}
	if wait := p.delay(1, 50, start.Add(wait)); wait != 0 {
		t.Errorf("and then %s", wait)
	}
}

func TestBytesArePacedToo(t *testing.T) {
	p := newPace(defaultLimits, start)
	for range 7 {
		p.spend(1, 20_000, start)
	}
	// 7,456 of the 147,456 bytes are left, and 29,491 come each second.
	wait := p.delay(1, 20_000, start)
	if wait < 400*time.Millisecond || wait > 450*time.Millisecond {
		t.Errorf("it waits %s", wait)
	}
}

// The server's own buckets, which must never run empty.
func TestAPacedSenderStaysBelowTheServersRate(t *testing.T) {
	p := newPace(defaultLimits, start)
	server := bucket{rate: 100, burst: 500, level: 500, then: start}
	now := start
	for range 5_000 {
		now = now.Add(p.delay(1, 100, now))
		p.spend(1, 100, now)
		server.spend(1, now)
		if server.level < 0 {
			t.Fatalf("the server ends the connection after %s", now.Sub(start))
		}
	}
}

func TestAcknowledgementsAndHeartbeatsAreNotPaced(t *testing.T) {
	s := seated(t)
	s.pace = newPace(defaultLimits, start)
	s.pace.spend(1000, 0, start)
	s.put(offer("v=0"))
	if request := s.take(start); request != nil {
		t.Fatalf("%v was taken too soon", seqs(request))
	}
	s.heartbeat()
	if request := s.take(start); request == nil || len(request.GetFrames()) != 0 {
		t.Errorf("the heartbeat's answer is %v", request)
	}
	s.ackOwed = true
	if request := s.take(start); request == nil || len(request.GetFrames()) != 1 {
		t.Errorf("the acknowledgement is %v", request)
	}
	later := start.Add(s.delay(start))
	if request := s.take(later); len(request.GetFrames()) != 1 {
		t.Errorf("%s later, %v was taken", later.Sub(start), request)
	}
}

func TestAMessageHoldsNoMoreThanThePaceAllows(t *testing.T) {
	s := seated(t)
	s.pace = newPace(defaultLimits, start)
	for range 12 {
		s.put(offer(strings.Repeat("x", 20_000)))
	}
	if n := len(s.take(start).GetFrames()); n != 7 {
		t.Errorf("%d frames of 20,000 bytes were taken at once", n)
	}
}

func TestAFrameLargerThanTheBurstIsTooLarge(t *testing.T) {
	p := newPace(Limits{FrameBytes: 64 << 10, FramesPerSecond: 100, BytesPerSecond: 1000}, start)
	if p.largest != 4500-frameOverhead {
		t.Errorf("a frame may have %d bytes", p.largest)
	}
}
