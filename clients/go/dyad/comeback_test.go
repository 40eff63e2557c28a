package dyad

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func ended(code codes.Code) *Ended { return &Ended{Code: code} }

var start = time.Now()

// always is for a chance that always says the same.
func always(chance float64) comeback {
	return comeback{random: func() float64 { return chance }, giveUpAfter: time.Minute}
}

var (
	transient = []codes.Code{codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled}
	limits    = []codes.Code{codes.ResourceExhausted, codes.DeadlineExceeded}
)

func TestItComesBackAfterWhatPasses(t *testing.T) {
	for _, code := range append(append([]codes.Code{codes.Unauthenticated}, transient...), limits...) {
		back := always(0)
		if _, final := back.lost(ended(code), 1, start); final != nil {
			t.Errorf("%s was final", code)
		}
	}
}

func TestItDoesNotComeBackAfterWhatIsFinal(t *testing.T) {
	for _, code := range []codes.Code{
		codes.PermissionDenied, codes.Aborted, codes.OK, codes.NotFound, codes.Unimplemented,
	} {
		back := always(0)
		if _, final := back.lost(ended(code), 1, start); final == nil {
			t.Errorf("it came back after %s", code)
		}
	}
}

func TestWhereTheSeatIsGoneItJoinsAgain(t *testing.T) {
	for _, code := range transient {
		back := always(0)
		back.lost(ended(code), 1, start)
		if back.anew {
			t.Errorf("%s: it did not try to resume", code)
		}
		if _, final := back.failed(ended(codes.Aborted), start); final != nil || !back.anew {
			t.Errorf("%s: it did not join again: %v", code, final)
		}
	}
}

func TestWhereTheSeatIsGoneALimitWasFinal(t *testing.T) {
	for _, code := range limits {
		back := always(0)
		end := ended(code)
		back.lost(end, 1, start)
		if _, final := back.failed(ended(codes.Aborted), start); final != end || !back.anew {
			t.Errorf("%s: it ended with %v", code, final)
		}
	}
}

func TestANewTokenIsTriedOnce(t *testing.T) {
	back := always(0)
	if _, final := back.lost(ended(codes.Unavailable), 1, start); final != nil {
		t.Fatal(final)
	}
	if _, final := back.failed(ended(codes.Unauthenticated), start); final != nil {
		t.Fatal("no new token was tried")
	}
	if _, final := back.failed(ended(codes.Unauthenticated), start); final == nil {
		t.Error("a second new token was tried")
	}
}

func TestAnAppWithoutATokenIsAskedAgain(t *testing.T) {
	back := always(1)
	back.lost(ended(codes.Unavailable), 1, start)
	if wait, final := back.failed(errors.New("no network"), start); final != nil || wait != 250*time.Millisecond {
		t.Errorf("it waits %s, %v", wait, final)
	}
}

func TestJoiningAgainMayBeRefused(t *testing.T) {
	back := always(0)
	back.lost(ended(codes.Unavailable), 1, start)
	back.failed(ended(codes.Aborted), start)
	_, final := back.failed(&Refused{Code: ErrRoomNotFound}, start)
	if !errors.Is(final, ErrRoomNotFound) || !errors.Is(final, ErrUnavailable) || final.Retryable() {
		t.Errorf("it ended with %v", final)
	}
}

func TestTheWaitsGrowToFourSeconds(t *testing.T) {
	back := always(1)
	wait, _ := back.lost(ended(codes.Unavailable), 1, start)
	waits := []time.Duration{wait}
	for range 6 {
		wait, _ = back.failed(ended(codes.Unavailable), start)
		waits = append(waits, wait)
	}
	for i, want := range []int{100, 250, 500, 1000, 2000, 4000, 4000} {
		if waits[i] != time.Duration(want)*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", i, waits[i], want)
		}
	}
	least := always(0)
	if wait, _ := least.lost(ended(codes.Unavailable), 1, start); wait != 0 {
		t.Errorf("the least wait is %s", wait)
	}
}

func TestTheServerSaysHowLongToWaitAtLeast(t *testing.T) {
	end := &Ended{Code: codes.Unavailable, RetryAfter: 2 * time.Second}
	for chance, want := range map[float64]time.Duration{0: 2 * time.Second, 1: 3 * time.Second} {
		back := always(chance)
		if wait, _ := back.lost(end, 1, start); wait != want {
			t.Errorf("it waits %s, want %s", wait, want)
		}
	}
}

func TestANegativeRetryAfterIsFinalWhateverTheStatus(t *testing.T) {
	for _, code := range append(append([]codes.Code{codes.Unauthenticated, codes.Aborted}, transient...), limits...) {
		told := &Ended{Code: code, RetryAfter: -time.Millisecond}
		back := always(0)
		if _, final := back.lost(told, 1, start); final != told {
			t.Errorf("%s: it came back", code)
		}
		if told.Retryable() {
			t.Errorf("%s: the app is told to come back", code)
		}
		for _, cause := range []codes.Code{codes.Unavailable, codes.ResourceExhausted} {
			back := always(0)
			back.lost(ended(cause), 1, start)
			if _, final := back.failed(told, start); final != told {
				t.Errorf("%s after %s: it ended with %v", code, cause, final)
			}
		}
	}
}

func TestItGivesUpAMinuteAfterTheLoss(t *testing.T) {
	back := always(1)
	back.lost(ended(codes.Unavailable), 1, start)
	now, end := start, (*Ended)(nil)
	for last := ended(codes.Unavailable); end == nil; last = ended(codes.Internal) {
		var wait time.Duration
		wait, end = back.failed(last, now)
		now = now.Add(wait)
	}
	if took := now.Sub(start); took < 55*time.Second || took > time.Minute || end.Code != codes.Internal {
		t.Errorf("it gave up after %s with %v", took, end)
	}
}

func TestWhatBreaksEachNewStreamAtOnceIsNotTriedAtFullSpeed(t *testing.T) {
	back := always(1)
	var waits []time.Duration
	now := start
	for progress := range uint64(4) {
		wait, _ := back.lost(ended(codes.Unavailable), 1+progress/3, now)
		waits = append(waits, wait)
		now = now.Add(wait)
		back.succeeded(now)
	}
	// Before the fourth, something got through.
	want := []time.Duration{100, 250, 500, 100}
	for i, wait := range waits {
		if wait != want[i]*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", i, wait, want[i])
		}
	}
	if wait, _ := back.lost(ended(codes.Unavailable), 2, now.Add(steady)); wait != 100*time.Millisecond {
		t.Errorf("after a steady stream it waits %s", wait)
	}
}
