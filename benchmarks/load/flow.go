package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// flow is what a run of frames over open pairs showed.
type flow struct {
	Frames  int     `json:"frames"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// stream lets both ends of all pairs send candidates for a while, and checks that
// each arrives, unchanged and in order. With a rate, that many leave each
// second in all. Without one, each end has as many under way as window says.
func stream(pairs []*pair, duration time.Duration, rate float64, window int) (flow, error) {
	ways := 2 * len(pairs)
	latencies := make([][]time.Duration, ways)
	began := time.Now()
	end := began.Add(duration)
	err := together(ways, func(index int) error {
		one := pairs[index/2]
		from, to := one.caller, one.callee
		if index%2 == 1 {
			from, to = to, from
		}
		number := (2*one.number + uint64(index%2)) << 20
		way := &way{from: from, to: to, first: number}
		var err error
		if rate > 0 {
			latencies[index], err = way.paced(end, time.Duration(float64(ways)/rate*float64(time.Second)))
		} else {
			latencies[index], err = way.saturated(end, window)
		}
		return err
	})
	seconds := time.Since(began).Seconds()
	all := slices.Concat(latencies...)
	if err != nil || len(all) == 0 {
		return flow{}, fmt.Errorf("after %d frames: %w", len(all), err)
	}
	slices.Sort(all)
	at := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))]) / float64(time.Millisecond)
	}
	return flow{len(all), seconds, at(0.5), at(0.99)}, nil
}

// way is one direction of a pair.
type way struct {
	from, to participant
	// first is the number of its first candidate.
	first uint64
}

// saturated keeps window candidates under way.
func (w *way) saturated(end time.Time, window int) ([]time.Duration, error) {
	sent := make(chan time.Time, window)
	failed := make(chan error, 1)
	go func() {
		defer close(sent)
		for number := w.first; time.Now().Before(end); number++ {
			// The channel is as long as the window, and read when a frame arrives.
			sent <- time.Now()
			if err := w.from.send(event{candidate, iceCandidate(number)}); err != nil {
				failed <- err
				return
			}
		}
	}()
	return w.arrivals(sent, failed)
}

// paced sends a candidate every interval, whether or not earlier ones have arrived.
func (w *way) paced(end time.Time, interval time.Duration) ([]time.Duration, error) {
	// Long enough that the sender never waits for the receiver.
	sent := make(chan time.Time, int(time.Until(end)/interval)+2)
	failed := make(chan error, 1)
	go func() {
		defer close(sent)
		due := time.Now().Add(time.Duration(rand.Float64() * float64(interval)))
		for number := w.first; due.Before(end); number++ {
			time.Sleep(time.Until(due))
			sent <- time.Now()
			if err := w.from.send(event{candidate, iceCandidate(number)}); err != nil {
				failed <- err
				return
			}
			due = due.Add(interval)
		}
	}()
	return w.arrivals(sent, failed)
}

// arrivals takes in what was sent, and returns how long each took.
func (w *way) arrivals(sent <-chan time.Time, failed <-chan error) ([]time.Duration, error) {
	var took []time.Duration
	number := w.first
	for at := range sent {
		if err := expect(w.to, event{candidate, iceCandidate(number)}); err != nil {
			select {
			case first := <-failed:
				err = first
			default:
			}
			// The sender must not wait for ever.
			w.from.abort()
			for range sent {
			}
			return took, err
		}
		took = append(took, time.Since(at))
		number++
	}
	return took, nil
}
