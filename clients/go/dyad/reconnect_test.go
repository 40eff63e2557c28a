package dyad

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// ended is an end that Dyad told the client of.
func ended(code codes.Code) *Ended { return &Ended{Code: code, told: true} }

var start = time.Now()

// always returns a policy whose random numbers are all the same.
func always(chance float64) reconnectPolicy {
	return reconnectPolicy{random: func() float64 { return chance }, giveUpAfter: time.Minute}
}

var (
	transient = []codes.Code{codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled}
	limits    = []codes.Code{codes.ResourceExhausted, codes.DeadlineExceeded}
)

func TestItReconnectsAfterTransientErrors(t *testing.T) {
	for _, code := range append(append([]codes.Code{codes.Unauthenticated}, transient...), limits...) {
		policy := always(0)
		if _, final := policy.broke(ended(code), 1, start); final != nil {
			t.Errorf("%s was final", code)
		}
	}
}

func TestItDoesNotReconnectAfterFinalErrors(t *testing.T) {
	for _, code := range []codes.Code{
		codes.PermissionDenied, codes.Aborted, codes.OK, codes.NotFound, codes.Unimplemented,
	} {
		policy := always(0)
		if _, final := policy.broke(ended(code), 1, start); final == nil {
			t.Errorf("it reconnected after %s", code)
		}
	}
}

func TestItJoinsAgainIfItsSeatIsReleased(t *testing.T) {
	for _, code := range transient {
		policy := always(0)
		policy.broke(ended(code), 1, start)
		if policy.rejoins {
			t.Errorf("%s: it did not try to resume", code)
		}
		if _, final := policy.failed(ended(codes.Aborted), start); final != nil || !policy.rejoins {
			t.Errorf("%s: it did not join again: %v", code, final)
		}
	}
}

func TestALimitIsFinalIfTheSeatIsReleased(t *testing.T) {
	for _, code := range limits {
		policy := always(0)
		end := ended(code)
		policy.broke(end, 1, start)
		if _, final := policy.failed(ended(codes.Aborted), start); final != end || !policy.rejoins {
			t.Errorf("%s: it ended with %v", code, final)
		}
	}
}

func TestANewTokenIsTriedOnce(t *testing.T) {
	policy := always(0)
	if _, final := policy.broke(ended(codes.Unavailable), 1, start); final != nil {
		t.Fatal(final)
	}
	if _, final := policy.failed(ended(codes.Unauthenticated), start); final != nil {
		t.Fatal("no new token was tried")
	}
	if _, final := policy.failed(ended(codes.Unauthenticated), start); final == nil {
		t.Error("a second new token was tried")
	}
}

func TestAnAppThatCouldNotGetATokenIsAskedAgain(t *testing.T) {
	policy := always(1)
	policy.broke(ended(codes.Unavailable), 1, start)
	if wait, final := policy.failed(errors.New("no network"), start); final != nil || wait != 250*time.Millisecond {
		t.Errorf("it waits %s, %v", wait, final)
	}
}

func TestARefusedJoinIsFinal(t *testing.T) {
	policy := always(0)
	policy.broke(ended(codes.Unavailable), 1, start)
	policy.failed(ended(codes.Aborted), start)
	_, final := policy.failed(&Refused{Code: ErrRoomNotFound}, start)
	if !errors.Is(final, ErrRoomNotFound) || !errors.Is(final, ErrUnavailable) || final.Retryable() {
		t.Errorf("it ended with %v", final)
	}
}

func TestTheWaitsGrowToFourSeconds(t *testing.T) {
	policy := always(1)
	wait, _ := policy.broke(ended(codes.Unavailable), 1, start)
	waits := []time.Duration{wait}
	for range 6 {
		wait, _ = policy.failed(ended(codes.Unavailable), start)
		waits = append(waits, wait)
	}
	for i, want := range []int{100, 250, 500, 1000, 2000, 4000, 4000} {
		if waits[i] != time.Duration(want)*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", i, waits[i], want)
		}
	}
	least := always(0)
	if wait, _ := least.broke(ended(codes.Unavailable), 1, start); wait != 0 {
		t.Errorf("the least wait is %s", wait)
	}
}

func TestAWaitIsAtLeastWhatTheServerAsksFor(t *testing.T) {
	end := &Ended{Code: codes.Unavailable, RetryAfter: 2 * time.Second, told: true}
	for chance, want := range map[float64]time.Duration{0: 2 * time.Second, 1: 3 * time.Second} {
		policy := always(chance)
		if wait, _ := policy.broke(end, 1, start); wait != want {
			t.Errorf("it waits %s, want %s", wait, want)
		}
	}
}

func TestANegativeRetryAfterIsFinalWhateverTheStatus(t *testing.T) {
	for _, code := range append(append([]codes.Code{codes.Unauthenticated, codes.Aborted}, transient...), limits...) {
		told := &Ended{Code: code, RetryAfter: -time.Millisecond, told: true}
		policy := always(0)
		if _, final := policy.broke(told, 1, start); final != told {
			t.Errorf("%s: it reconnected", code)
		}
		if told.Retryable() {
			t.Errorf("%s: the app is told to connect again", code)
		}
		for _, cause := range []codes.Code{codes.Unavailable, codes.ResourceExhausted} {
			policy := always(0)
			policy.broke(ended(cause), 1, start)
			if _, final := policy.failed(told, start); final != told {
				t.Errorf("%s after %s: it ended with %v", code, cause, final)
			}
		}
	}
}

func TestItGivesUpAMinuteAfterTheLoss(t *testing.T) {
	policy := always(1)
	policy.broke(ended(codes.Unavailable), 1, start)
	now, end := start, (*Ended)(nil)
	for last := ended(codes.Unavailable); end == nil; last = ended(codes.Internal) {
		var wait time.Duration
		wait, end = policy.failed(last, now)
		now = now.Add(wait)
	}
	if took := now.Sub(start); took < 55*time.Second || took > time.Minute || end.Code != codes.Internal {
		t.Errorf("it gave up after %s with %v", took, end)
	}
}

func TestWaitsGrowWhenEachNewStreamBreaksAtOnce(t *testing.T) {
	policy := always(1)
	var waits []time.Duration
	now := start
	for progress := range uint64(4) {
		wait, _ := policy.broke(ended(codes.Unavailable), 1+progress/3, now)
		waits = append(waits, wait)
		now = now.Add(wait)
		policy.connected(now)
	}
	// A frame got through before the fourth break.
	want := []time.Duration{100, 250, 500, 100}
	for i, wait := range waits {
		if wait != want[i]*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", i, wait, want[i])
		}
	}
	if wait, _ := policy.broke(ended(codes.Unavailable), 2, now.Add(steady)); wait != 100*time.Millisecond {
		t.Errorf("after a steady stream it waits %s", wait)
	}
}
