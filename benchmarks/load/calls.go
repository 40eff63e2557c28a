package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// users counts, so that each participant of a run is a user of its own.
var users atomic.Uint64

// pair is two participants who have met in a room, or a participant who waits there alone.
type pair struct {
	number         uint64
	caller, callee participant
}

// meet connects two participants and lets them join a room.
func meet(dialer dialer) (*pair, error) {
	number := users.Add(1)
	caller, err := dialer.connect(fmt.Sprintf("caller-%d", number))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	callee, err := dialer.connect(fmt.Sprintf("callee-%d", number))
	if err != nil {
		caller.abort()
		return nil, fmt.Errorf("connecting: %w", err)
	}
	met := &pair{number, caller, callee}
	if err := met.join(dialer.greets()); err != nil {
		met.abort()
		return nil, fmt.Errorf("joining: %w", err)
	}
	return met, nil
}

func (p *pair) join(greets bool) error {
	room, err := p.caller.join("")
	if err != nil {
		return err
	}
	if _, err := p.callee.join(room); err != nil {
		return err
	}
	if greets {
		return expect(p.caller, event{kind: joined})
	}
	return nil
}

func (p *pair) ends() []participant {
	if p.callee == nil {
		return []participant{p.caller}
	}
	return []participant{p.caller, p.callee}
}

func (p *pair) abort() {
	for _, end := range p.ends() {
		end.abort()
	}
}

// wait connects one participant, who waits in a room of its own.
func wait(dialer dialer) (*pair, error) {
	number := users.Add(1)
	caller, err := dialer.connect(fmt.Sprintf("caller-%d", number))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if _, err := caller.join(""); err != nil {
		caller.abort()
		return nil, fmt.Errorf("joining: %w", err)
	}
	return &pair{number: number, caller: caller}, nil
}

// negotiate is an offer with its candidates one way, an answer with its
// candidates the other way; or what takes their place.
func (p *pair) negotiate() error {
	if _, alone := p.caller.(negotiating); alone {
		return together(2, func(index int) error {
			return p.ends()[index].(negotiating).negotiate(2*p.number + uint64(index))
		})
	}
	if err := describe(p.caller, p.callee, offer, 2*p.number); err != nil {
		return err
	}
	return describe(p.callee, p.caller, answer, 2*p.number+1)
}

// describe sends a description and its candidates at once, as a browser does,
// and checks that all arrive, unchanged and in order.
func describe(from, to participant, what kind, number uint64) error {
	due := []event{{what, sdp(what, number)}}
	for index := range uint64(candidatesPerSide) {
		due = append(due, event{candidate, iceCandidate(number*candidatesPerSide + index)})
	}
	for _, one := range due {
		if err := from.send(one); err != nil {
			return err
		}
	}
	for _, one := range due {
		if err := expect(to, one); err != nil {
			return err
		}
	}
	return nil
}

// hangUp ends the call: the caller leaves, the callee hears it and leaves.
func (p *pair) hangUp() error {
	if err := p.caller.hangUp(); err != nil {
		return fmt.Errorf("hanging up: %w", err)
	}
	if err := expect(p.callee, event{kind: left}); err != nil {
		return err
	}
	if err := p.callee.hangUp(); err != nil {
		return fmt.Errorf("hanging up second: %w", err)
	}
	return nil
}

// call is one whole call; without talk, it is only joins and a hang-up.
func call(dialer dialer, talk bool) error {
	met, err := meet(dialer)
	if err != nil {
		return err
	}
	// After a hang-up in good order it does nothing.
	defer met.abort()
	if talk {
		if err := met.negotiate(); err != nil {
			return err
		}
	}
	return met.hangUp()
}

// calls makes so many calls, some at a time. It stops at the first that fails.
func calls(dialer dialer, count, atOnce int, talk bool) error {
	var left atomic.Int64
	left.Store(int64(count))
	return together(atOnce, func(int) error {
		for left.Add(-1) >= 0 {
			if err := call(dialer, talk); err != nil {
				left.Store(0)
				return err
			}
		}
		return nil
	})
}

// together runs work for 0 … count-1 at once, and returns one of their errors.
func together(count int, work func(index int) error) error {
	var group sync.WaitGroup
	var once sync.Once
	var failed error
	for index := range count {
		group.Go(func() {
			if err := work(index); err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	group.Wait()
	return failed
}
