package dyad

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func ended(code codes.Code) *Ended { return &Ended{Code: code} }

// always is a source of chance that always says the same.
func always(chance float64) comeback {
	return comeback{random: func() float64 { return chance }}
}

var (
	transient = []codes.Code{codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled}
	limits    = []codes.Code{codes.ResourceExhausted, codes.DeadlineExceeded}
)

func TestItComesBackAfterWhatPasses(t *testing.T) {
	for _, code := range append(append([]codes.Code{codes.Unauthenticated}, transient...), limits...) {
		back := always(0)
		if _, final := back.broke(ended(code)); final != nil {
			t.Errorf("%s was final", code)
		}
	}
}

func TestItDoesNotComeBackAfterWhatIsFinal(t *testing.T) {
	for _, code := range []codes.Code{
		codes.PermissionDenied, codes.Aborted, codes.OK, codes.NotFound, codes.Unimplemented,
	} {
		back := always(0)
		if _, final := back.broke(ended(code)); final == nil {
			t.Errorf("it came back after %s", code)
		}
	}
}

func TestWhereTheSeatIsGoneItJoinsAgain(t *testing.T) {
	for _, code := range transient {
		back := always(0)
		back.broke(ended(code))
		if back.anew {
			t.Errorf("%s: it did not try to resume", code)
		}
		if _, final := back.failed(ended(codes.Aborted)); final != nil || !back.anew {
			t.Errorf("%s: it did not join again: %v", code, final)
		}
	}
}

func TestWhereTheSeatIsGoneALimitWasFinal(t *testing.T) {
	for _, code := range limits {
		back := always(0)
		end := ended(code)
		back.broke(end)
		if _, final := back.failed(ended(codes.Aborted)); final != end {
			t.Errorf("%s: it ended with %v", code, final)
		}
	}
}

func TestANewTokenIsTriedOnce(t *testing.T) {
	back := always(0)
	if _, final := back.broke(ended(codes.Unavailable)); final != nil {
		t.Fatal(final)
	}
	if _, final := back.failed(ended(codes.Unauthenticated)); final != nil {
		t.Fatal("no new token was tried")
	}
	if _, final := back.failed(ended(codes.Unauthenticated)); final == nil {
		t.Error("a second new token was tried")
	}
}

func TestAnAppWithoutATokenIsAskedAgain(t *testing.T) {
	back := always(1)
	back.broke(ended(codes.Unavailable))
	if wait, final := back.failed(errors.New("no network")); final != nil || wait != 250*time.Millisecond {
		t.Errorf("it waits %s, %v", wait, final)
	}
}

func TestJoiningAgainMayBeRefused(t *testing.T) {
	back := always(0)
	back.broke(ended(codes.Unavailable))
	back.failed(ended(codes.Aborted))
	_, final := back.failed(&Refused{Code: ErrRoomNotFound})
	if !errors.Is(final, ErrRoomNotFound) || !errors.Is(final, ErrUnavailable) || final.Retryable() {
		t.Errorf("it ended with %v", final)
	}
}

func TestTheWaitsGrowToFourSeconds(t *testing.T) {
	back := always(1)
	wait, _ := back.broke(ended(codes.Unavailable))
	waits := []time.Duration{wait}
	for range 6 {
		wait, _ = back.failed(ended(codes.Unavailable))
		waits = append(waits, wait)
	}
	for i, want := range []int{100, 250, 500, 1000, 2000, 4000, 4000} {
		if waits[i] != time.Duration(want)*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", i, waits[i], want)
		}
	}
	least := always(0)
	if wait, _ := least.broke(ended(codes.Unavailable)); wait != 0 {
		t.Errorf("the least wait is %s", wait)
	}
}

func TestTheServerSaysHowLongToWaitAtLeast(t *testing.T) {
	end := &Ended{Code: codes.Unavailable, RetryAfter: 2 * time.Second}
	for chance, want := range map[float64]time.Duration{0: 2 * time.Second, 1: 3 * time.Second} {
		back := always(chance)
		if wait, _ := back.broke(end); wait != want {
			t.Errorf("it waits %s, want %s", wait, want)
		}
	}
}
