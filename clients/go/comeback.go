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

// comeback decides what follows the end of a connection, by the table in
// docs/protocol.md. Plain state without I/O.
type comeback struct {
	// random gives a number from 0 to less than 1.
	random func() float64
	// anew says that the seat is lost: the next try joins again, as a new session.
	anew   bool
	tries  int
	denied bool
	cause  *Ended
	// final is what the end was, should the seat be refused; nil: join again.
	final *Ended
}

// broke takes note of the end of a connection that had a seat to come back to.
// It returns how long to wait before trying, or an error: do not.
func (c *comeback) broke(end *Ended) (time.Duration, *Ended) {
	c.cause = end
	if end.Code == codes.Aborted {
		return 0, end
	}
	return c.next(end)
}

// failed takes note of a try that came to nothing: an *[Ended] if the stream
// ended, a *[Refused] if joining again was refused, or an error of the app's
// token source.
func (c *comeback) failed(failure error) (time.Duration, *Ended) {
	var refused *Refused
	if errors.As(failure, &refused) {
		end := *c.cause
		end.Refused = refused
		return 0, &end
	}
	var end *Ended
	if !errors.As(failure, &end) {
		return c.wait(0), nil
	}
	if end.Code != codes.Aborted {
		return c.next(end)
	}
	switch {
	case c.anew:
		return 0, end
	case c.final != nil:
		return 0, c.final
	default:
		c.anew = true
		return c.wait(end.RetryAfter), nil
	}
}

func (c *comeback) next(end *Ended) (time.Duration, *Ended) {
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
	return c.wait(end.RetryAfter), nil
}

func (c *comeback) wait(atLeast time.Duration) time.Duration {
	longest := longestWaits[min(c.tries, len(longestWaits)-1)]
	c.tries++
	if atLeast > 0 {
		return atLeast + time.Duration(c.random()*float64(atLeast)/2)
	}
	return time.Duration(c.random() * float64(longest))
}
