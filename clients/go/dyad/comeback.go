package dyad

import (
	"errors"
	"time"

	"google.golang.org/grpc/codes"
)

// The longest wait before each try; the last one stands for all that follow.
var longestWaits = []time.Duration{
	100 * time.Millisecond,
	250 * time.Millisecond,
	500 * time.Millisecond,
	time.Second,
	2 * time.Second,
	4 * time.Second,
}

// A stream that held so long was no failed try, nor one on which anything got on.
const steady = 5 * time.Second

// comeback decides what follows the end of a connection, by the table in
// docs/protocol.md. Plain state without I/O: the time and the chance are handed in.
type comeback struct {
	// random gives a number from 0 to less than 1.
	random func() float64
	// giveUpAfter is counted from the loss of the connection.
	giveUpAfter time.Duration
	// anew says that the seat is lost: a next try, if there is one, joins again,
	// as a new session.
	anew     bool
	tries    int
	denied   bool
	deadline time.Time
	// back is when a try last led back, and progress what had got through when
	// the connection was last lost.
	back     time.Time
	progress uint64
	cause    *Ended
	// final is what the end was, should the seat be refused; nil: join again.
	final *Ended
}

// lost takes note of the end of a connection that had a seat to come back to;
// progress differs when anything got through since the last. It returns how
// long to wait before trying, or an error: do not.
func (c *comeback) lost(end *Ended, progress uint64, now time.Time) (time.Duration, *Ended) {
	if progress != c.progress || now.Sub(c.back) >= steady {
		c.tries, c.denied = 0, false
		c.deadline = now.Add(c.giveUpAfter)
	}
	c.progress, c.cause, c.final = progress, end, nil
	c.anew = end.replaced()
	return c.next(end, now)
}

// failed takes note of a try that came to nothing: an *[Ended] if the stream
// ended, a *[Refused] if joining again was refused, or an error of the app's
// token source.
func (c *comeback) failed(failure error, now time.Time) (time.Duration, *Ended) {
	var refused *Refused
	if errors.As(failure, &refused) {
		end := *c.cause
		end.Refused = refused
		return 0, &end
	}
	var end *Ended
	if !errors.As(failure, &end) {
		return c.wait(c.cause, 0, now)
	}
	if end.Code != codes.Aborted || c.anew {
		return c.next(end, now)
	}
	c.anew = true
	if end.RetryAfter < 0 {
		return 0, end
	}
	if c.final != nil {
		return 0, c.final
	}
	return c.wait(end, end.RetryAfter, now)
}

// succeeded takes note that a try led back.
func (c *comeback) succeeded(now time.Time) { c.back = now }

func (c *comeback) next(end *Ended, now time.Time) (time.Duration, *Ended) {
	if end.RetryAfter < 0 {
		return 0, end
	}
	switch end.Code {
	case codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled:
	case codes.ResourceExhausted, codes.DeadlineExceeded:
		c.final = end
	case codes.Unauthenticated:
		if c.denied {
			return 0, end
		}
		c.denied = true
	default:
		return 0, end
	}
	return c.wait(end, end.RetryAfter, now)
}

func (c *comeback) wait(end *Ended, atLeast time.Duration, now time.Time) (time.Duration, *Ended) {
	longest := longestWaits[min(c.tries, len(longestWaits)-1)]
	c.tries++
	wait := time.Duration(c.random() * float64(longest))
	if atLeast > 0 {
		wait = atLeast + time.Duration(c.random()*float64(atLeast)/2)
	}
	if now.Add(wait).After(c.deadline) {
		return 0, end
	}
	return wait, nil
}
