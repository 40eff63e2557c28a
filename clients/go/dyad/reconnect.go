package dyad

import (
	"errors"
	"time"

	"google.golang.org/grpc/codes"
)

// The longest wait before the first try, the second, and so on. The last one is also
// for all later tries.
var longestWaits = []time.Duration{
	100 * time.Millisecond,
	250 * time.Millisecond,
	500 * time.Millisecond,
	time.Second,
	2 * time.Second,
	4 * time.Second,
}

// A stream that lasted this long was a success, even if no frame got through.
const steady = 5 * time.Second

// reconnectPolicy decides whether, when and how to reconnect, by the table in
// docs/protocol.md. A state machine without I/O: the time and the random
// numbers are handed in.
type reconnectPolicy struct {
	// random gives a number from 0 to less than 1.
	random func() float64
	// giveUpAfter counts from the loss of the connection.
	giveUpAfter time.Duration
	// rejoins says whether the seat is lost. The next try then joins again, in a
	// new session.
	rejoins  bool
	tries    int
	denied   bool
	deadline time.Time
	// connectedAt is when a try last succeeded. progress is the session's progress
	// when the connection last broke.
	connectedAt time.Time
	progress    uint64
	cause       *Ended
	// last is the newest error, which may be the token source's.
	last error
	// final is the end to report if the resume is refused. If it is nil, the
	// client joins again instead.
	final *Ended
}

// broke decides what follows the end of a connection with a resumable seat. progress
// grows with each frame that got through, in either direction. broke returns how long
// to wait before the next try, or the final error if there is none.
func (p *reconnectPolicy) broke(end *Ended, progress uint64, now time.Time) (time.Duration, *Ended) {
	if progress != p.progress || now.Sub(p.connectedAt) >= steady {
		p.tries, p.denied = 0, false
		p.deadline = now.Add(p.giveUpAfter)
	}
	p.progress, p.cause, p.last, p.final = progress, end, end, nil
	p.rejoins = end.replaced()
	return p.next(end, now)
}

// failed decides what follows a try that failed: with an *[Ended] if the stream
// ended, a *[Refused] if the join was refused, or an error of the app's token source.
func (p *reconnectPolicy) failed(failure error, now time.Time) (time.Duration, *Ended) {
	p.last = failure
	var refused *Refused
	if errors.As(failure, &refused) {
		end := *p.cause
		end.Refused = refused
		return 0, &end
	}
	var end *Ended
	if !errors.As(failure, &end) {
		end := *p.cause
		end.Cause = failure
		return p.wait(&end, 0, now)
	}
	if end.Code != codes.Aborted || p.rejoins || !end.told {
		return p.next(end, now)
	}
	p.rejoins = true
	if end.RetryAfter < 0 {
		return 0, end
	}
	if p.final != nil {
		return 0, p.final
	}
	return p.wait(end, end.RetryAfter, now)
}

// connected records that a try succeeded.
func (p *reconnectPolicy) connected(now time.Time) { p.connectedAt = now }

// hurry lets the waits start over.
func (p *reconnectPolicy) hurry() { p.tries = 0 }

func (p *reconnectPolicy) next(end *Ended, now time.Time) (time.Duration, *Ended) {
	if !end.told {
		// The connection broke, or a proxy answered.
		return p.wait(end, 0, now)
	}
	if end.RetryAfter < 0 {
		return 0, end
	}
	switch end.Code {
	case codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled:
	case codes.ResourceExhausted, codes.DeadlineExceeded:
		p.final = end
	case codes.Unauthenticated:
		if p.denied {
			return 0, end
		}
		p.denied = true
	default:
		return 0, end
	}
	return p.wait(end, end.RetryAfter, now)
}

func (p *reconnectPolicy) wait(end *Ended, atLeast time.Duration, now time.Time) (time.Duration, *Ended) {
	longest := longestWaits[min(p.tries, len(longestWaits)-1)]
	p.tries++
	wait := time.Duration(p.random() * float64(longest))
	if atLeast > 0 {
		wait = atLeast + time.Duration(p.random()*float64(atLeast)/2)
	}
	if now.Add(wait).After(p.deadline) {
		return 0, end
	}
	return wait, nil
}
