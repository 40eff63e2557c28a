package dyad

import "time"

const (
	// The server accepts this many seconds of its rate at once.
	burstSeconds = 5
	// The part of the server's rate that the client uses. The rest is for heartbeats,
	// acknowledgements and differences between the two clocks.
	paceShare = 0.9
)

// Limits are the server's limits for one user. The client keeps them, so that the server
// never ends a connection because of them.
type Limits struct {
	// FrameBytes is the most bytes in one frame: the server's --max-frame-bytes.
	FrameBytes int
	// FramesPerSecond is the server's --max-frames-per-second.
	FramesPerSecond int
	// BytesPerSecond is the server's --max-bytes-per-second.
	BytesPerSecond int
}

var defaultLimits = Limits{FrameBytes: 64 << 10, FramesPerSecond: 100, BytesPerSecond: 32 << 10}

// pace says when the next frames may be written, somewhat below the server's rate. It is
// plain state: the time is handed in. A nil pace allows everything.
type pace struct {
	frames, bytes bucket
	// largest is the most bytes of a frame. A larger one would never be written.
	largest int
}

func newPace(limits Limits, now time.Time) *pace {
	p := &pace{
		frames: newBucket(limits.FramesPerSecond, now),
		bytes:  newBucket(limits.BytesPerSecond, now),
	}
	p.largest = min(limits.FrameBytes, int(p.bytes.burst)-frameOverhead)
	return p
}

// delay returns how long to wait until a message with so many frames and bytes may be
// written. It is 0 if that is now.
func (p *pace) delay(frames, bytes int, now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	return max(p.frames.delay(frames, now), p.bytes.delay(bytes, now))
}

// spend records that a message is written. Heartbeats and acknowledgements are written
// at once, so the level may fall below 0.
func (p *pace) spend(frames, bytes int, now time.Time) {
	if p == nil {
		return
	}
	p.frames.spend(frames, now)
	p.bytes.spend(bytes, now)
}

// bucket is a token bucket.
type bucket struct {
	rate, burst, level float64
	then               time.Time
}

func newBucket(perSecond int, now time.Time) bucket {
	rate := paceShare * float64(perSecond)
	return bucket{rate: rate, burst: rate * burstSeconds, level: rate * burstSeconds, then: now}
}

func (b *bucket) delay(amount int, now time.Time) time.Duration {
	missing := float64(amount) - b.at(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/b.rate*float64(time.Second)) + time.Millisecond
}

func (b *bucket) spend(amount int, now time.Time) {
	b.level, b.then = b.at(now)-float64(amount), now
}

func (b *bucket) at(now time.Time) float64 {
	return min(b.burst, b.level+now.Sub(b.then).Seconds()*b.rate)
}
