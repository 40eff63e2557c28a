package dyad

import (
	"strings"
	"testing"
	"time"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/protobuf/proto"
)

func TestABurstIsAllowedAtOnceAndThenTheRate(t *testing.T) {
	p := newPace(defaultLimits, start)
	for n := range 150 {
		if wait := p.delay(50, start); wait != 0 {
			t.Fatalf("frame %d waits %s", n, wait)
		}
		p.spend(1, 50, start)
	}
	wait := p.delay(50, start)
	if wait < 11*time.Millisecond || wait > 13*time.Millisecond {
		t.Errorf("the next frame waits %s", wait)
	}
	if wait := p.delay(50, start.Add(wait)); wait != 0 {
		t.Errorf("and then %s", wait)
	}
}

func TestBytesArePacedToo(t *testing.T) {
	p := newPace(defaultLimits, start)
	for range 2 {
		p.spend(1, 20_000, start)
	}
	// 9,152 of the 49,152 bytes are left, and 29,491 come each second.
	wait := p.delay(20_000, start)
	if wait < 350*time.Millisecond || wait > 400*time.Millisecond {
		t.Errorf("it waits %s", wait)
	}
}

func TestAFrameThatIsLargerThanABurstWaitsForAWholeOne(t *testing.T) {
	p := newPace(defaultLimits, start)
	if wait := p.delay(65_536, start); wait != 0 {
		t.Errorf("with a whole burst, it waits %s", wait)
	}
	if p.allows(2, 65_536, start) {
		t.Error("a message of two frames may be larger than a burst")
	}
	p.spend(1, 29_491, start)
	if wait := p.delay(65_536, start); wait < 990*time.Millisecond || wait > 1010*time.Millisecond {
		t.Errorf("it waits %s", wait)
	}
}

// The server's own buckets, which must never run empty.
func TestAPacedSenderStaysBelowTheServersRate(t *testing.T) {
	p := newPace(defaultLimits, start)
	server := serverBucket(100)
	now := start
	for range 5_000 {
		now = now.Add(p.delay(100, now))
		p.spend(1, 100, now)
		server.spend(1, now)
		if server.level < 0 {
			t.Fatalf("the server ends the connection after %s", now.Sub(start))
		}
	}
}

// serverBucket is the server's own bucket for this rate.
func serverBucket(perSecond float64) bucket {
	burst := perSecond * serverSeconds
	return bucket{rate: perSecond, burst: burst, level: burst, then: start}
}

func TestWhatANetworkDelaysAndDeliversAtOnceStaysBelowTheServersLimits(t *testing.T) {
	for _, size := range []int{10, 1_000, 20_000, 60_000} {
		for stall := time.Second; stall <= 10*time.Second; stall += time.Second {
			s := seated(t)
			s.pace = newPace(defaultLimits, start)
			frames, bytes := serverBucket(100), serverBucket(32<<10)
			for range 1_000 {
				s.put(offer(strings.Repeat("x", size)))
			}
			var held []*dyadv1.SignalRequest
			for now := start; s.progress() < 600 && now.Before(start.Add(time.Minute)); now = now.Add(20 * time.Millisecond) {
				for request := s.take(now); request != nil; request = s.take(now) {
					held = append(held, request)
					if now.Sub(start) >= stall {
						deliver(t, s, &held, &frames, &bytes, now)
					}
				}
				if now.Sub(start) >= stall {
					deliver(t, s, &held, &frames, &bytes, now)
				}
				if frames.level < 0 || bytes.level < 0 {
					t.Fatalf("frames of %d bytes, delayed by %s: the server ends the connection", size, stall)
				}
			}
		}
	}
}

// deliver gives the server all messages that the network holds, and the client its acknowledgement.
func deliver(
	t *testing.T, s *session, held *[]*dyadv1.SignalRequest, frames, bytes *bucket, now time.Time,
) {
	t.Helper()
	for _, request := range *held {
		frames.spend(max(len(request.GetFrames()), 1), now)
		bytes.spend(proto.Size(request), now)
		for _, frame := range request.GetFrames() {
			if end := s.acknowledged(frame.GetSeq()); end != nil {
				t.Fatal(end)
			}
		}
	}
	*held = nil
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
	if n := len(s.take(start).GetFrames()); n != 2 {
		t.Errorf("%d frames of 20,000 bytes were taken at once", n)
	}
}

func TestAFrameLargerThanTheBurstIsTooLarge(t *testing.T) {
	p := newPace(Limits{FrameBytes: 64 << 10, FramesPerSecond: 100, BytesPerSecond: 1000}, start)
	if p.largest != 4500-frameOverhead {
		t.Errorf("a frame may have %d bytes", p.largest)
	}
}
