package dyad

import "time"

const (
	// The server accepts this many seconds of its rate at once.
	serverSeconds = 5
	// The part of the server's rate that the client uses. The rest is for heartbeats,
	// acknowledgements and differences between the two clocks.
	paceShare = 0.9
	// Of what the server accepts at once, 1.5 s may be written at once, and 3 s may be
	// unacknowledged: whatever a network delays, and then delivers at once, is less.
	burstSeconds  = 1.5
	windowSeconds = 3
	// With less than this unacknowledged, the next frame never waits: the server acknowledges
	// after ackFrames or ackBytes, without frameOverhead, and before that perhaps never.
	leastFrames = ackFrames + 1
	leastBytes  = 34 << 10
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
	// largest is the most bytes of a frame. The server would never accept a larger one.
	largest int
	// windowFrames and windowBytes are the most that may be unacknowledged.
	windowFrames, windowBytes int
}

func newPace(limits Limits, now time.Time) *pace {
	p := &pace{
		frames: newBucket(limits.FramesPerSecond, now),
		bytes:  newBucket(limits.BytesPerSecond, now),
	}
	p.largest = min(limits.FrameBytes, int(p.bytes.rate*serverSeconds)-frameOverhead)
	p.windowFrames = min(max(windowSeconds*limits.FramesPerSecond, leastFrames), unackedFrames)
	p.windowBytes = min(max(windowSeconds*limits.BytesPerSecond, leastBytes+limits.FrameBytes), unackedBytes)
	return p
}

// delay returns how long a message of one frame waits. It is 0 if it may be written now.
// A frame that is larger than a burst waits for a whole one.
func (p *pace) delay(bytes int, now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	return max(p.frames.delay(1, now), p.bytes.delay(bytes, now))
}

// allows reports whether a message with so many frames and bytes may be written now.
func (p *pace) allows(frames, bytes int, now time.Time) bool {
	return p == nil || float64(frames) <= p.frames.at(now) && float64(bytes) <= p.bytes.at(now)
}

// window returns the most frames and bytes that may be unacknowledged.
func (p *pace) window() (frames, bytes int) {
	if p == nil {
		return unackedFrames, unackedBytes
	}
	return p.windowFrames, p.windowBytes
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
	burst := burstSeconds * float64(perSecond)
	return bucket{rate: paceShare * float64(perSecond), burst: burst, level: burst, then: now}
}

func (b *bucket) delay(amount int, now time.Time) time.Duration {
	missing := min(float64(amount), b.burst) - b.at(now)
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
